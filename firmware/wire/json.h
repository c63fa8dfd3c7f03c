// A JSON writer for a buffer of fixed size: what the image needs to say a record without a C
// library.
#pragma once
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace doorbell::wire {

/// Writes one JSON text into a buffer that the caller owns. It writes the commas itself: call key()
/// and the value in an object, values in an array. Text beyond the buffer is dropped and
/// overflowed() stays true from then on; nothing is written outside the buffer. Depth at most 16.
/// Strings are escaped (quotes, backslash, control characters); bytes above 0x7E are replaced by
/// '?', so that the text is always printable ASCII.
class Json {
  public:
    explicit Json(std::span<char> buffer) : buffer_(buffer) {}

    Json& object() { return open('{'); }
    Json& array() { return open('['); }
    /// Closes the innermost object or array.
    Json& end();
    Json& key(std::string_view name);
    Json& value(std::string_view text);
    Json& value(const char* text) { return value(std::string_view(text)); }
    Json& value(bool truth) { return raw(truth ? "true" : "false"); }
    Json& value(std::unsigned_integral auto number) { return decimal(number, false); }
    Json& value(std::signed_integral auto number) {
        return number < 0 ? decimal(0 - static_cast<uint64_t>(number), true)
                          : decimal(static_cast<uint64_t>(number), false);
    }
    /// `thousandths` / 1000 with three decimals: fractions without floating point.
    Json& fixed3(uint64_t thousandths);
    /// A number as a string "0x..." (addresses, registers).
    Json& hex(uint64_t number);
    Json& null() { return raw("null"); }
    template <class T>
    Json& member(std::string_view name, T&& v) {
        key(name);
        return value(static_cast<T&&>(v));
    }

    std::string_view text() const { return {buffer_.data(), used_}; }
    bool overflowed() const { return overflowed_; }
    /// Bytes still free in the buffer.
    size_t room() const { return buffer_.size() - used_; }
    void clear();

  private:
    Json& open(char bracket);
    Json& raw(std::string_view text);
    Json& decimal(uint64_t number, bool negative);
    void comma();
    void put(char c);
    void put(std::string_view text);

    static constexpr unsigned max_depth = 16;
    std::span<char> buffer_;
    size_t used_ = 0;
    bool overflowed_ = false;
    unsigned depth_ = 0;
    char closing_[max_depth] = {};
    bool first_[max_depth + 1] = {true};
    bool after_key_ = false;
};

}  // namespace doorbell::wire
