// Numbers from JSON and from the command line, with a sentence where they are invalid.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "harness/text/json.h"

namespace doorbell::harness {

/// A JSON number that is whole and not negative. Throws std::runtime_error that names `what`.
uint64_t whole_number(const Json& value, std::string_view what);

/// A decimal number of the command line, least..most. Throws UsageError: `--samples: "12x" is not a
/// number from 1 to 1000`.
uint64_t parse_number(std::string_view text, std::string_view what, uint64_t least, uint64_t most);

/// The whole part of a number from a file, which may have any size: 0 where it is negative or not a
/// number, the largest uint64_t from 2^64 on, where a conversion would be undefined.
uint64_t whole_part(double number);

/// 1234567 as "1,234,567".
std::string grouped(uint64_t number);

}  // namespace doorbell::harness
