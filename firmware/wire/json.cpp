#include "firmware/wire/json.h"

namespace doorbell::wire {

void Json::clear() {
    used_ = 0;
    overflowed_ = false;
    depth_ = 0;
    first_[0] = true;
    after_key_ = false;
}

void Json::put(char c) {
    if (used_ == buffer_.size()) {
        overflowed_ = true;
        return;
    }
    buffer_[used_++] = c;
}

void Json::put(std::string_view text) {
    for (char c : text) put(c);
}

void Json::comma() {
    if (after_key_) {
        after_key_ = false;
        return;
    }
    if (!first_[depth_]) put(',');
    first_[depth_] = false;
}

Json& Json::raw(std::string_view text) {
    comma();
    put(text);
    return *this;
}

Json& Json::open(char bracket) {
    comma();
    if (depth_ == max_depth) {
        overflowed_ = true;
        return *this;
    }
    put(bracket);
    closing_[depth_++] = bracket == '{' ? '}' : ']';
    first_[depth_] = true;
    return *this;
}

Json& Json::end() {
    if (depth_ != 0) put(closing_[--depth_]);
    return *this;
}

Json& Json::key(std::string_view name) {
    value(name);
    put(':');
    after_key_ = true;
    return *this;
}

Json& Json::value(std::string_view text) {
    constexpr char digits[] = "0123456789abcdef";
    comma();
    put('"');
    for (char c : text) {
        auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            put('\\');
            put(c);
        } else if (c == '\n') {
            put("\\n");
        } else if (byte < 0x20) {
            put("\\u00");
            put(digits[byte >> 4]);
            put(digits[byte & 15]);
        } else {
            put(byte > 0x7E ? '?' : c);
        }
    }
    put('"');
    return *this;
}

Json& Json::decimal(uint64_t number, bool negative) {
    char digits[21];
    size_t at = sizeof digits;
    do {
        digits[--at] = static_cast<char>('0' + number % 10);
        number /= 10;
    } while (number != 0);
    if (negative) digits[--at] = '-';
    return raw({digits + at, sizeof digits - at});
}

Json& Json::fixed3(uint64_t thousandths) {
    decimal(thousandths / 1000, false);
    uint64_t rest = thousandths % 1000;
    put('.');
    put(static_cast<char>('0' + rest / 100));
    put(static_cast<char>('0' + rest / 10 % 10));
    put(static_cast<char>('0' + rest % 10));
    return *this;
}

Json& Json::hex(uint64_t number) {
    constexpr char digits[] = "0123456789abcdef";
    char text[18] = {'0', 'x'};
    size_t length = 2;
    for (int shift = 60; shift >= 0; shift -= 4) {
        unsigned digit = number >> shift & 15;
        if (digit != 0 || length > 2 || shift == 0) text[length++] = digits[digit];
    }
    return value(std::string_view(text, length));
}

}  // namespace doorbell::wire
