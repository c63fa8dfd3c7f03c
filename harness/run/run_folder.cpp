#include "harness/run/run_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <regex>
#include <tuple>
#include <utility>

#include "harness/data/run_data.h"
#include "harness/system/child.h"
#include "harness/system/failure.h"
#include "harness/system/file.h"
#include "harness/system/process.h"
#include "harness/system/version.h"

namespace doorbell::harness {

namespace fs = std::filesystem;

namespace {

constexpr const char* own_files[] = {"manifest.json", "results.json", "console.log"};

/// A folder that is not empty and holds no run.
bool belongs_to_someone_else(const fs::path& folder) {
    std::error_code error;
    if (fs::is_empty(folder, error) || error) return false;
    for (const char* name : own_files)
        if (fs::exists(folder / name, error)) return false;
    return true;
}

/// Makes a folder that was not there: two runs may start in the same second.
fs::path make_fresh(const std::string& clock, const std::string& machine, std::error_code& error) {
    fs::path base = fs::path("results") / fmt::format("{}-{}-{}", time_stamp(), clock, machine);
    fs::create_directories("results", error);
    fs::path name = base;
    for (int i = 2; !error && !fs::create_directory(name, error) && !error; ++i)
        name = fmt::format("{}-{}", base.string(), i);
    return name;
}

uint64_t sequence_of(const Json& manifest) {
    auto found = manifest.find("sequence");
    return found != manifest.end() && found->is_number_unsigned() ? found->get<uint64_t>() : 0;
}

std::string text_in(const Json& object, const char* name) {
    auto found = object.is_object() ? object.find(name) : object.end();
    return object.is_object() && found != object.end() && found->is_string()
               ? found->get<std::string>()
               : std::string();
}

/// The file is held open and locked (flock(2)) as long as the run is going; the lock ends with the
/// process, however it ends.
int open_log(const fs::path& log) {
    return open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
}

/// Whether another process holds the lock. Always false on a file system without locks.
bool lock_is_taken(int file) { return flock(file, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK; }

}  // namespace

RunFolder RunFolder::create(const std::optional<fs::path>& out, const std::string& clock,
                            const std::string& machine) {
    check_open_files();
    RunFolder folder;
    folder.named_by_user_ = out.has_value();
    std::error_code error;
    folder.path_ = out ? *out : make_fresh(clock, machine, error);
    if (out) fs::create_directories(folder.path_, error);
    // create_directories reports no error where a file of that name exists.
    if (std::error_code none; !error && !fs::is_directory(folder.path_, none))
        error = std::make_error_code(std::errc::not_a_directory);
    if (error)
        throw UsageError(
            fmt::format("cannot make the run's folder {}: {}; choose another with --out",
                        folder.path_.string(), error.message()));
    if (out && belongs_to_someone_else(folder.path_))
        throw UsageError(fmt::format(
            "--out {}: the folder holds files that are not a run's; name an empty or a new one",
            folder.path_.string()));
    fs::path log = folder.path_ / "console.log";
    folder.console_ = open_log(log);
    if (folder.console_ < 0)
        throw UsageError(
            fmt::format("cannot write in the run's folder: {}: {}; choose another with --out",
                        log.string(), strerror(errno)));
    if (lock_is_taken(folder.console_))
        throw UsageError(fmt::format("--out {}: another run is still writing into it; name another",
                                     folder.path_.string()));
    for (const char* name : own_files)
        if (std::string_view(name) != "console.log") fs::remove(folder.path_ / name, error);
    // What was predicted of the run that was here.
    fs::remove(folder.path_ / "predictions.json", error);
    fs::remove_all(folder.path_ / "samples", error);
    if (ftruncate(folder.console_, 0) != 0)
        throw UsageError(fmt::format("cannot empty {}: {}", log.string(), strerror(errno)));
    if (!out)
        for (const RunPlace& run : runs_in("results"))
            folder.sequence_ = std::max(folder.sequence_, sequence_of(run.manifest) + 1);
    return folder;
}

Json RunFolder::identity() const {
    ProcessName process = this_process();
    Json json = {
        {"process", {{"id", process.id}, {"start", process.start}, {"boot", process.boot}}}};
    if (!named_by_user_) json["sequence"] = sequence_;
    return json;
}

bool is_going(const fs::path& folder, const Json& manifest) {
    // For reading, so that nothing is made or changed.
    int log = open((folder / "console.log").c_str(), O_RDONLY | O_CLOEXEC);
    bool taken = log >= 0 && lock_is_taken(log);
    if (log >= 0) close(log);
    if (taken) return true;
    auto found = manifest.find("process");
    if (found == manifest.end() || !found->is_object()) return false;
    auto number = [&](const char* name) {
        auto value = found->find(name);
        return value != found->end() && value->is_number_unsigned() ? value->get<uint64_t>() : 0;
    };
    return is_alive({static_cast<pid_t>(number("id")), number("start"), text_in(*found, "boot")});
}

std::vector<RunPlace> runs_in(const fs::path& results) {
    static const std::regex own_name("[0-9]{8}T[0-9]{6}Z-[a-z]+-[a-z0-9]+(-[0-9]+)?");
    std::vector<RunPlace> runs;
    std::error_code error;
    for (fs::directory_iterator at(results, error), end; !error && at != end; at.increment(error)) {
        std::error_code none;
        std::string name = at->path().filename().string();
        if (!at->is_directory(none) || at->is_symlink(none) || !std::regex_match(name, own_name))
            continue;
        try {
            Json manifest = read_manifest(at->path());
            if (text_in(manifest, "schema").starts_with("doorbell-manifest/"))
                runs.push_back({at->path(), std::move(manifest)});
        } catch (const std::exception&) {
            // Not a run of ours: neither judge nor remove it.
        }
    }
    auto key = [](const RunPlace& run) {
        // "-2" after a name is younger than the name; "-10" is younger than "-9".
        std::string name = run.path.filename().string(), time = text_in(run.manifest, "time");
        return std::tuple(sequence_of(run.manifest), time.empty() ? name.substr(0, 16) : time,
                          name.size(), name);
    };
    std::stable_sort(runs.begin(), runs.end(),
                     [&](const RunPlace& a, const RunPlace& b) { return key(a) < key(b); });
    return runs;
}

RunFolder::RunFolder(RunFolder&& other) noexcept
    : path_(std::move(other.path_)),
      named_by_user_(other.named_by_user_),
      sequence_(other.sequence_),
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
    return point_at(path_.parent_path() / "latest", path_.filename());
}

std::string point_at(const fs::path& link, const fs::path& name) {
    fs::path beside = link.parent_path() / fmt::format(".latest.{}", getpid());
    std::error_code error, ignored;
    fs::remove(beside, ignored);  // a killed process of the same number may have left one
    fs::create_directory_symlink(name, beside, error);
    if (!error) fs::rename(beside, link, error);
    if (!error) return {};
    fs::remove(beside, ignored);
    return fmt::format("cannot point {} at this run: {}", link.string(), error.message());
}

Json manifest_head(const std::string& clock, const std::string& machine) {
    return {{"schema", "doorbell-manifest/1"},
            {"doorbell", version},
            {"time", time_stamp()},
            {"status", "running"},
            {"clock", clock},
            {"machine", machine}};
}

}  // namespace doorbell::harness
