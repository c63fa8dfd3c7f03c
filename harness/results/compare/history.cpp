#include "harness/results/compare/history.h"

#include <fmt/format.h>

#include <algorithm>
#include <regex>

#include "harness/results/compare/compare.h"

namespace doorbell::harness {

namespace fs = std::filesystem;

namespace {

/// Folders that RunFolder names by itself, the youngest last: the time stands first in the name.
std::vector<fs::path> runs_in(const fs::path& results) {
    static const std::regex own_name("[0-9]{8}T[0-9]{6}Z-[a-z]+-[a-z0-9]+(-[0-9]+)?");
    std::vector<fs::path> runs;
    std::error_code error;
    for (const fs::directory_entry& entry : fs::directory_iterator(results, error)) {
        if (!entry.is_directory(error) || entry.is_symlink(error)) continue;
        if (!std::regex_match(entry.path().filename().string(), own_name)) continue;
        try {
            if (word_of(read_manifest(entry.path()), "schema").starts_with("doorbell-manifest/"))
                runs.push_back(entry.path());
        } catch (const std::exception&) {
            // Whatever it is, it is no run of ours to judge or to remove.
        }
    }
    // "-2" after a name is younger than the name; "-10" is younger than "-9".
    std::sort(runs.begin(), runs.end(), [](const fs::path& a, const fs::path& b) {
        std::string x = a.filename().string(), y = b.filename().string();
        std::string_view time_x = std::string_view(x).substr(0, 16),
                         time_y = std::string_view(y).substr(0, 16);
        return time_x != time_y ? time_x < time_y : std::pair(x.size(), x) < std::pair(y.size(), y);
    });
    return runs;
}

}  // namespace

std::optional<fs::path> run_before(const fs::path& results, const fs::path& than) {
    std::vector<fs::path> runs = runs_in(results);
    StoredRun now = load_run(than);
    for (auto at = runs.rbegin(); at != runs.rend(); ++at) {
        std::error_code error;
        if (fs::equivalent(*at, than, error)) continue;
        try {
            StoredRun before = load_run(*at);
            // One that was interrupted lacks half of the series, and says nothing of them.
            if (before.run.complete && why_not_comparable(before, now).empty()) return *at;
        } catch (const std::exception&) {
            // Half-written or damaged: an older one will do.
        }
    }
    return std::nullopt;
}

std::vector<fs::path> remove_old_runs(const fs::path& results, size_t keep) {
    std::vector<fs::path> runs = runs_in(results), removed;
    for (size_t i = 0; i + keep < runs.size(); ++i) {
        std::error_code error;
        fs::remove_all(runs[i], error);
        if (!error) removed.push_back(runs[i]);
    }
    return removed;
}

std::string changes_since_last(const fs::path& run) {
    auto before = run_before(run.parent_path(), run);
    if (!before) return "since the run before: there is none to compare with\n";
    StoredRun a = load_run(*before), b = load_run(run);
    return fmt::format("since the run before ({}):\n{}", a.name,
                       comparison_text(compare(a, b), false));
}

}  // namespace doorbell::harness
