#include "harness/run_folder.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <utility>

#include "harness/failure.h"

namespace doorbell::harness {

namespace fs = std::filesystem;

namespace {

constexpr const char* own_files[] = {"manifest.json", "results.json", "console.log"};

/// Writes all bytes; 0 or errno.
int write_all(int file, std::string_view bytes) {
    while (!bytes.empty()) {
        ssize_t done = write(file, bytes.data(), bytes.size());
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) return errno;
        bytes.remove_prefix(static_cast<size_t>(done));
    }
    return 0;
}

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

std::string time_stamp() {
    return fmt::format("{:%Y%m%dT%H%M%SZ}", fmt::gmtime(std::time(nullptr)));
}

std::string write_whole(const fs::path& file, std::string_view content) {
    fs::path beside = file;
    beside += fmt::format(".{}.part", getpid());
    int out = open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    int error = out < 0 ? errno : write_all(out, content);
    // A full disk may show only here.
    if (out >= 0 && error == 0 && fsync(out) != 0 && errno != EINVAL && errno != EROFS) error = errno;
    if (out >= 0 && close(out) != 0 && error == 0) error = errno;
    if (error == 0 && rename(beside.c_str(), file.c_str()) != 0) error = errno;
    if (error == 0) return {};
    if (out >= 0) unlink(beside.c_str());
    return fmt::format("cannot write {}: {}", file.string(), strerror(error));
}

RunFolder RunFolder::create(const std::optional<fs::path>& out, const std::string& clock, const std::string& machine) {
    RunFolder folder;
    folder.named_by_user_ = out.has_value();
    folder.path_ = out ? *out : fresh_name(clock, machine);
    std::error_code error;
    fs::create_directories(folder.path_, error);
    // create_directories reports no error where a file of that name exists.
    if (!error && !fs::is_directory(folder.path_)) error = std::make_error_code(std::errc::not_a_directory);
    if (error)
        throw UsageError(fmt::format("cannot make the run's folder {}: {}; choose another with --out",
                                     folder.path_.string(), error.message()));
    if (out && belongs_to_someone_else(folder.path_))
        throw UsageError(fmt::format("--out {}: the folder holds files that are no run; name an empty or a new one",
                                     folder.path_.string()));
    for (const char* name : own_files) fs::remove(folder.path_ / name, error);
    fs::remove_all(folder.path_ / "samples", error);
    fs::path log = folder.path_ / "console.log";
    folder.console_ = open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
    if (folder.console_ < 0)
        throw UsageError(fmt::format("cannot write in the run's folder: {}: {}; choose another with --out", log.string(),
                                     strerror(errno)));
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
        trouble_ = fmt::format("cannot write {}: {}", (path_ / "console.log").string(), strerror(error));
}

std::string RunFolder::write(const std::string& name, std::string_view content) const {
    fs::path file = path_ / name;
    std::error_code error;
    fs::create_directories(file.parent_path(), error);
    return write_whole(file, content);
}

std::string RunFolder::point_latest() const {
    if (named_by_user_) return {};
    fs::path link = path_.parent_path() / "latest", beside = path_.parent_path() / fmt::format(".latest.{}", getpid());
    std::error_code error;
    fs::create_directory_symlink(path_.filename(), beside, error);
    if (!error) fs::rename(beside, link, error);
    if (!error) return {};
    std::error_code ignored;
    fs::remove(beside, ignored);
    return fmt::format("cannot point {} at this run: {}", link.string(), error.message());
}

}  // namespace doorbell::harness
