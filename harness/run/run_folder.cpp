#include "harness/run/run_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "harness/system/failure.h"
#include "harness/system/file.h"

namespace doorbell::harness {

namespace fs = std::filesystem;

namespace {

constexpr const char* own_files[] = {"manifest.json", "results.json", "console.log"};

/// A folder that holds something, and no run.
bool belongs_to_someone_else(const fs::path& folder) {
    std::error_code error;
    if (fs::is_empty(folder, error) || error) return false;
    for (const char* name : own_files)
        if (fs::exists(folder / name, error)) return false;
    return true;
}

fs::path fresh_name(const std::string& clock, const std::string& machine) {
    fs::path base = fs::path("results") / fmt::format("{}-{}-{}", time_stamp(), clock, machine);
    fs::path name = base;
    std::error_code ignored;
    for (int i = 2; fs::exists(name, ignored); ++i) name = fmt::format("{}-{}", base.string(), i);
    return name;
}

}  // namespace

RunFolder RunFolder::create(const std::optional<fs::path>& out, const std::string& clock,
                            const std::string& machine) {
    RunFolder folder;
    folder.named_by_user_ = out.has_value();
    folder.path_ = out ? *out : fresh_name(clock, machine);
    std::error_code error;
    fs::create_directories(folder.path_, error);
    // create_directories reports no error where a file of that name exists.
    if (!error && !fs::is_directory(folder.path_))
        error = std::make_error_code(std::errc::not_a_directory);
    if (error)
        throw UsageError(
            fmt::format("cannot make the run's folder {}: {}; choose another with --out",
                        folder.path_.string(), error.message()));
    if (out && belongs_to_someone_else(folder.path_))
        throw UsageError(fmt::format(
            "--out {}: the folder holds files that are no run; name an empty or a new one",
            folder.path_.string()));
    for (const char* name : own_files) fs::remove(folder.path_ / name, error);
    fs::remove_all(folder.path_ / "samples", error);
    fs::path log = folder.path_ / "console.log";
    folder.console_ = open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
    if (folder.console_ < 0)
        throw UsageError(
            fmt::format("cannot write in the run's folder: {}: {}; choose another with --out",
                        log.string(), strerror(errno)));
    return folder;
}

RunFolder::RunFolder(RunFolder&& other) noexcept
    : path_(std::move(other.path_)),
      named_by_user_(other.named_by_user_),
      console_(std::exchange(other.console_, -1)),
      trouble_(std::move(other.trouble_)) {}

RunFolder::~RunFolder() {
    if (console_ >= 0) close(console_);
}

void RunFolder::console(std::string_view bytes) {
    if (console_ < 0 || !trouble_.empty()) return;
    if (int error = write_all(console_, bytes); error != 0)
        trouble_ =
            fmt::format("cannot write {}: {}", (path_ / "console.log").string(), strerror(error));
}

std::string RunFolder::write(const std::string& name, std::string_view content) const {
    fs::path file = path_ / name;
    std::error_code error;
    fs::create_directories(file.parent_path(), error);
    return write_whole(file, content);
}

std::string RunFolder::point_latest() const {
    if (named_by_user_) return {};
    fs::path link = path_.parent_path() / "latest",
             beside = path_.parent_path() / fmt::format(".latest.{}", getpid());
    std::error_code error;
    fs::create_directory_symlink(path_.filename(), beside, error);
    if (!error) fs::rename(beside, link, error);
    if (!error) return {};
    std::error_code ignored;
    fs::remove(beside, ignored);
    return fmt::format("cannot point {} at this run: {}", link.string(), error.message());
}

}  // namespace doorbell::harness
