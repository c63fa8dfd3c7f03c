#include "harness/results/compare/history.h"

#include <fmt/format.h>

#include <algorithm>

#include "harness/results/compare/compare.h"
#include "harness/run/run_folder.h"

namespace doorbell::harness {

namespace fs = std::filesystem;

std::optional<fs::path> run_before(const fs::path& results, const fs::path& than) {
    std::vector<RunPlace> runs = runs_in(results);
    StoredRun now = load_run(than);
    for (auto at = runs.rbegin(); at != runs.rend(); ++at) {
        std::error_code error;
        if (fs::equivalent(at->path, than, error)) continue;
        try {
            StoredRun before = load_run(at->path);
            // An interrupted run lacks half of the series without saying so.
            if (before.run.complete && why_not_comparable(before, now).empty()) return at->path;
        } catch (const std::exception&) {
            // Half-written or damaged: take an older one.
        }
    }
    return std::nullopt;
}

std::vector<fs::path> remove_old_runs(const fs::path& results, size_t keep, const fs::path& made) {
    std::vector<RunPlace> runs = runs_in(results);
    std::vector<fs::path> removed;
    std::error_code error;
    fs::path latest = results / "latest";
    // Keep the run just made first of all, whatever its manifest says.
    std::erase_if(runs, [&](const RunPlace& run) {
        return !made.empty() && fs::equivalent(run.path, made, error);
    });
    if (!made.empty() && keep != 0) --keep;
    for (size_t i = 0; i + keep < runs.size(); ++i) {
        const RunPlace& run = runs[i];
        if (is_going(run.path, run.manifest) || fs::equivalent(latest, run.path, error)) continue;
        fs::remove_all(run.path, error);
        if (!error) removed.push_back(run.path);
    }
    // Another command may have pointed it at a run that no longer exists.
    if (fs::is_symlink(latest, error) && !fs::exists(latest, error)) {
        runs = runs_in(results);
        if (!runs.empty()) (void)point_at(latest, runs.back().path.filename());
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
