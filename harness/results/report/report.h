// Runs as one HTML page: self-contained, with the charting library inside; it needs no server.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "harness/results/stored_run.h"
#include "harness/results/table/show.h"

namespace doorbell::harness {

/// The page stays below this many bytes.
inline constexpr size_t largest_page = 2'000'000;

/// The page of one run, or of several side by side. Throws UsageError where it cannot be made small
/// enough, or samples cannot be read.
std::string report_page(const std::vector<StoredRun>& runs);

/// Writes report.html into the run's folder. Returns its path, or throws.
std::filesystem::path write_report(const std::filesystem::path& folder);

/// show(), then the page in the run's folder: its path for people, or on stderr why there is none.
/// Returns the exit status.
int show_with_report(const Finished& finished, const Showing& showing);

/// A shell line that repeats a run: `doorbell run ...`; "" without a manifest.
std::string command_of(const StoredRun& stored);

}  // namespace doorbell::harness
