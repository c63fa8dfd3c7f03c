// The last runs under results/: how many are kept, and what changed since the one before.
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace doorbell::harness {

/// The youngest finished run in `results` (other than `than`) that `than` can be compared with, or
/// nothing.
std::optional<std::filesystem::path> run_before(const std::filesystem::path& results,
                                                const std::filesystem::path& than);

/// Removes the oldest runs in `results` until `keep` are left; gives back what it removed. `made`,
/// the run just made, counts as one and stays, and so do runs that are still going, the one that
/// `latest` points at, and every folder that is not a run of Doorbell's own naming (runs_in()).
std::vector<std::filesystem::path> remove_old_runs(const std::filesystem::path& results,
                                                   size_t keep,
                                                   const std::filesystem::path& made = {});

/// What changed since the run before, for the terminal; says so where there is none.
std::string changes_since_last(const std::filesystem::path& run);

}  // namespace doorbell::harness
