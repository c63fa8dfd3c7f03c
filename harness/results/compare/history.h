// The last runs under results/: how many are kept, and what changed since the one before.
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace doorbell::harness {

/// The newest finished run in `results` (other than `than`) that `than` can be compared with, or
/// nothing.
std::optional<std::filesystem::path> run_before(const std::filesystem::path& results,
                                                const std::filesystem::path& than);

/// Removes the oldest runs in `results` until `keep` are left; returns what it removed. `made`, the
/// run just made, counts as one and stays. Runs that are still going, the one that `latest` points
/// at, and folders that Doorbell did not name (runs_in()) stay too.
std::vector<std::filesystem::path> remove_old_runs(const std::filesystem::path& results,
                                                   size_t keep,
                                                   const std::filesystem::path& made = {});

/// What changed since the previous run, for the terminal; a sentence where there is none.
std::string changes_since_last(const std::filesystem::path& run);

}  // namespace doorbell::harness
