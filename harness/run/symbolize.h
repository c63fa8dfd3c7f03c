// Addresses of a panic as function and line.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "harness/data/run_data.h"

namespace doorbell::harness {

/// One line for each address ("0x..."): "0x101234 name at file.cpp:12"; the bare address where
/// addr2line or the image's debug information knows nothing. `calls`: from the second one on they
/// are return addresses, and the call is in front of them.
std::vector<std::string> symbolize(const std::filesystem::path& image,
                                   const std::vector<std::string>& addresses);

/// A panic record in lines for people, with the backtrace's functions. Adds them to the record as
/// "backtrace_lines".
std::vector<std::string> describe_panic(Json& panic, const std::filesystem::path& image);

}  // namespace doorbell::harness
