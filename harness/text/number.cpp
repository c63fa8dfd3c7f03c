#include "harness/text/number.h"

#include <fmt/format.h>

#include <charconv>
#include <stdexcept>

#include "harness/system/failure.h"

namespace doorbell::harness {

uint64_t whole_number(const Json& value, std::string_view what) {
    if (value.is_number_unsigned()) return value.get<uint64_t>();
    if (value.is_number_integer() && value.get<int64_t>() >= 0) return value.get<uint64_t>();
    throw std::runtime_error(fmt::format("{} is not a whole number", what));
}

uint64_t parse_number(std::string_view text, std::string_view what, uint64_t least, uint64_t most) {
    uint64_t number = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size() || number < least || number > most)
        throw UsageError(
            fmt::format("{}: \"{}\" is not a whole number from {} to {}", what, text, least, most));
    return number;
}

uint64_t whole_part(double number) {
    if (!(number > 0)) return 0;
    return number >= 0x1p64 ? ~uint64_t{0} : static_cast<uint64_t>(number);
}

std::string grouped(uint64_t number) {
    std::string digits = std::to_string(number);
    for (size_t at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, 1, ',');
    return digits;
}

}  // namespace doorbell::harness
