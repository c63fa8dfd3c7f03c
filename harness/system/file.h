// Files written whole or not at all.
#pragma once
#include <filesystem>
#include <string>
#include <string_view>

namespace doorbell::harness {

/// Writes all bytes to an open file; 0 or errno.
int write_all(int file, std::string_view bytes);

/// Writes a whole file or none of it; "" or what went wrong.
std::string write_whole(const std::filesystem::path& file, std::string_view content);

/// The folder for temporary files: TMPDIR, or /tmp. Throws MachineError where TMPDIR is not one.
std::filesystem::path temporary_folder();

/// The present time, UTC, as 20260131T235959Z.
std::string time_stamp();

}  // namespace doorbell::harness
