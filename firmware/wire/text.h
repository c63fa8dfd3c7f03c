// Sentences with numbers in them, in a buffer of fixed size, without a C library. Not for measured code.
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
    Text& operator<<(std::string_view text) {
        for (char c : text)
            if (used_ < buffer_.size()) buffer_[used_++] = c;
        return *this;
    }
    Text& operator<<(const char* text) { return *this << std::string_view(text); }
    Text& operator<<(std::unsigned_integral auto number) {
        char digits[20];
        size_t at = sizeof digits;
        uint64_t n = number;
        do {
            digits[--at] = static_cast<char>('0' + n % 10);
            n /= 10;
        } while (n != 0);
        return *this << std::string_view(digits + at, sizeof digits - at);
    }
    Text& hex(uint64_t number) {
        char digits[16];
        size_t at = sizeof digits;
        do {
            digits[--at] = "0123456789abcdef"[number & 15];
            number >>= 4;
        } while (number != 0);
        return *this << "0x" << std::string_view(digits + at, sizeof digits - at);
    }
    void clear() { used_ = 0; }
    std::string_view view() const { return {buffer_.data(), used_}; }

  private:
    std::span<char> buffer_;
    size_t used_ = 0;
};

}  // namespace doorbell::wire
