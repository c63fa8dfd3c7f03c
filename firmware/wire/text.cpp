#include "firmware/wire/text.h"

namespace doorbell::wire {

Text& Text::operator<<(std::string_view text) {
    for (char c : text)
        if (used_ < buffer_.size()) buffer_[used_++] = c;
    return *this;
}

Text& Text::decimal(uint64_t number) {
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = static_cast<char>('0' + number % 10);
        number /= 10;
    } while (number != 0);
    return *this << std::string_view(digits + at, sizeof digits - at);
}

Text& Text::hex(uint64_t number) {
    char digits[16];
    size_t at = sizeof digits;
    do {
        digits[--at] = "0123456789abcdef"[number & 15];
        number >>= 4;
    } while (number != 0);
    return *this << "0x" << std::string_view(digits + at, sizeof digits - at);
}

}  // namespace doorbell::wire
