// Compressed input, read as it comes.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace doorbell::harness {

/// Passes bytes on, and unpacks them where they are gzip data (RFC 1952; also several members in a
/// row). The outcome does not depend on how the bytes are cut.
class Gunzip {
  public:
    using Sink = std::function<void(std::string_view bytes)>;
    explicit Gunzip(Sink sink);
    ~Gunzip();

    void feed(std::string_view bytes);
    /// The input has ended. Returns what is wrong with it, or "".
    std::string end();

  private:
    struct Stream;
    void unpack(std::string_view bytes);

    Sink sink_;
    std::string first_;  // until the format is known
    bool known_ = false;
    std::unique_ptr<Stream> stream_;  // where it is gzip data
    std::string trouble_;
};

/// Which format input with these first bytes has, and how to convert it, as a sentence, or "".
std::string known_packing(std::string_view first);

}  // namespace doorbell::harness
