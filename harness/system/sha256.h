// SHA-256, by OpenSSL.
#pragma once
#include <filesystem>
#include <string>
#include <string_view>

namespace doorbell::harness {

/// SHA-256 of bytes, 64 hexadecimal digits.
std::string sha256(std::string_view bytes);

/// SHA-256 of a file's content. Throws std::runtime_error where it cannot be read.
std::string sha256_file(const std::filesystem::path& file);

}  // namespace doorbell::harness
