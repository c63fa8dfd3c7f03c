// The folder of a run: made before the machine starts, so that nobody measures for an hour and then
// cannot save.
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "harness/text/json.h"

namespace doorbell::harness {

/// How every run's manifest begins: schema, version, time, status "running", and where it is
/// measured ("exact" or "live"; "q35", "linux").
Json manifest_head(const std::string& clock, const std::string& machine);

class RunFolder {
  public:
    /// Makes `out`, or results/<time>-<clock>-<machine>/ below the current folder, and proves that
    /// it can be written. A folder that holds an earlier run is used again, its files removed; one
    /// that holds anything else, or a run that is still going, is refused. Throws UsageError with
    /// the reason.
    static RunFolder create(const std::optional<std::filesystem::path>& out,
                            const std::string& clock, const std::string& machine);

    const std::filesystem::path& path() const { return path_; }

    /// Appends to console.log. The first error is kept (console_trouble()) and ends the writing.
    void console(std::string_view bytes);
    const std::string& console_trouble() const { return trouble_; }

    /// Writes a whole file or none of it: beside it first, then renamed over it. Returns "" or what
    /// went wrong.
    std::string write(const std::string& name, std::string_view content) const;

    /// A manifest's members about the folder and its writer: "sequence" (its place among the runs
    /// beside it, independent of the clock) and "process".
    Json identity() const;

    /// Points results/latest at this folder where it lies in results/. Returns "" or what went
    /// wrong.
    std::string point_latest() const;

  private:
    std::filesystem::path path_;
    bool named_by_user_ = false;
    uint64_t sequence_ = 1;
    int console_ = -1;
    std::string trouble_;

    RunFolder() = default;

  public:
    RunFolder(RunFolder&& other) noexcept;
    RunFolder& operator=(RunFolder&&) = delete;
    ~RunFolder();
};

/// Makes `link` a symbolic link to `name`, in one step, whatever it was before. Returns "" or what
/// went wrong.
std::string point_at(const std::filesystem::path& link, const std::filesystem::path& name);

/// Whether a process is still writing into a run's folder: its console.log is locked, or the
/// process that its manifest names is alive.
bool is_going(const std::filesystem::path& folder, const Json& manifest);

/// A run that lies in a folder of runs.
struct RunPlace {
    std::filesystem::path path;
    Json manifest;
};

/// The runs in `results` that Doorbell made and named, in the order of their starts: by
/// the manifests' sequence, then by the time in them (older manifests have no sequence, and come
/// first). A folder that holds no manifest of Doorbell's is not among them.
std::vector<RunPlace> runs_in(const std::filesystem::path& results);

}  // namespace doorbell::harness
