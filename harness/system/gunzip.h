// Compressed input, read as it comes.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace doorbell::harness {

/// Passes bytes on, unpacked where they are gzip's (RFC 1952; also several members, one behind the
/// other). The outcome does not depend on how the bytes are cut.
class Gunzip {
  public:
    using Sink = std::function<void(std::string_view bytes)>;
    explicit Gunzip(Sink sink);
    ~Gunzip();

    void feed(std::string_view bytes);
    /// No more will come. Returns what is wrong with the input, or "".
    std::string end();

  private:
    struct Stream;
    void unpack(std::string_view bytes);

    Sink sink_;
    std::string first_;  // until it is known what it is
    bool known_ = false;
    std::unique_ptr<Stream> stream_;  // where it is gzip's
    std::string trouble_;
};

/// What input that begins with these bytes is and how to convert it, as a sentence, or "".
std::string known_packing(std::string_view first);

}  // namespace doorbell::harness
