// Sentences with numbers in them, in a buffer of fixed size, without a C library. Not for measured
// code.
#pragma once
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace doorbell::wire {

/// Appends; what does not fit is cut. Reading: view().
class Text {
  public:
    explicit Text(std::span<char> buffer) : buffer_(buffer) {}
    Text& operator<<(std::string_view text);
    Text& operator<<(const char* text) { return *this << std::string_view(text); }
    Text& operator<<(std::unsigned_integral auto number) { return decimal(number); }
    Text& decimal(uint64_t number);
    Text& hex(uint64_t number);
    void clear() { used_ = 0; }
    std::string_view view() const { return {buffer_.data(), used_}; }

  private:
    std::span<char> buffer_;
    size_t used_ = 0;
};

}  // namespace doorbell::wire
