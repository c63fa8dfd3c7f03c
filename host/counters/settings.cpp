#include "host/counters/settings.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <vector>

namespace doorbell::host {
namespace {

namespace fs = std::filesystem;

// Plain memory, because a signal handler reads it, and may call only open, write and close.
struct Kept {
    char file[256];
    char value[128];
};
Kept kept[Settings::most];
volatile sig_atomic_t kept_count = 0;
char journal_name[256];
bool in_use = false;
constexpr int signals[] = {SIGINT, SIGTERM, SIGHUP};
struct sigaction before[3];

bool write_value(const char* file, const char* value) {
    int out = open(file, O_WRONLY | O_CLOEXEC | O_TRUNC);
    if (out < 0) return false;
    size_t length = std::strlen(value);
    bool done = write(out, value, length) == static_cast<ssize_t>(length);
    return close(out) == 0 && done;
}

bool put_all_back() {
    bool all = true;
    for (int i = kept_count; i-- > 0;) all = write_value(kept[i].file, kept[i].value) && all;
    if (all) {
        kept_count = 0;
        unlink(journal_name);
    }
    return all;
}

void on_signal(int number) {
    int saved = errno;
    put_all_back();
    // Then do what would have happened without this handler.
    for (int i = 0; i < 3; ++i)
        if (signals[i] == number) sigaction(number, &before[i], nullptr);
    raise(number);
    errno = saved;
}

/// When a process was started, in ticks since boot (proc(5), stat's field 22), so that a reused
/// number is not taken for its first owner; "" where there is no such process.
std::string start_of(pid_t process) {
    std::ifstream in("/proc/" + std::to_string(process) + "/stat");
    std::string text((std::istreambuf_iterator<char>(in)), {});
    size_t name_ends = text.rfind(')');
    if (name_ends == text.npos) return {};
    std::istringstream fields(text.substr(name_ends + 1));
    std::string field;
    for (int i = 3; i <= 22; ++i) fields >> field;
    return field;
}

std::string line_of(const fs::path& file) {
    std::ifstream in(file);
    std::string line;
    std::getline(in, line);
    return line;
}

}  // namespace

fs::path settings_journal(const fs::path& root) {
    if (geteuid() == 0 || root != "/") return root / "run/doorbell-settings";
    const char* runtime = std::getenv("XDG_RUNTIME_DIR");
    return fs::path(runtime != nullptr && *runtime != 0 ? runtime : "/tmp") /
           ("doorbell-settings-" + std::to_string(geteuid()));
}

Settings::Settings(fs::path journal) : journal_(std::move(journal)) {
    if (in_use) throw std::logic_error("host settings are changed in one place at a time");
    if (journal_.native().size() >= sizeof journal_name)
        throw std::runtime_error(journal_.string() + ": too long a name for a journal");
    // First line: who wrote it, and when that was started. Each further line: file, tab, the
    // previous value; the last change is last.
    std::ifstream in(journal_);
    std::string line;
    if (in && std::getline(in, line)) {
        pid_t owner = static_cast<pid_t>(std::atol(line.c_str()));
        std::string started = line.substr(std::min(line.find(' '), line.size() - 1) + 1);
        if (owner > 0 && owner != getpid() && !start_of(owner).empty() &&
            (started.empty() || started == start_of(owner)))
            throw std::runtime_error("another doorbell (process " + std::to_string(owner) +
                                     ") has changed host settings and is still running");
        std::vector<std::pair<std::string, std::string>> left;
        while (std::getline(in, line))
            if (size_t tab = line.find('\t'); tab != line.npos)
                left.emplace_back(line.substr(0, tab), line.substr(tab + 1));
        bool all = true;
        for (size_t i = left.size(); i-- > 0;) {
            bool done = write_value(left[i].first.c_str(), left[i].second.c_str());
            leftovers_ += done;
            all = all && done;
        }
        if (all) fs::remove(journal_);
    }
    std::memcpy(journal_name, journal_.c_str(), journal_.native().size() + 1);
    kept_count = 0;
    in_use = true;
    struct sigaction action{};
    action.sa_handler = on_signal;
    for (int i = 0; i < 3; ++i) sigaction(signals[i], &action, &before[i]);
}

Settings::~Settings() {
    put_all_back();
    for (int i = 0; i < 3; ++i) sigaction(signals[i], &before[i], nullptr);
    in_use = false;
}

bool Settings::write_journal() const {
    std::ostringstream text;
    text << getpid() << ' ' << start_of(getpid()) << '\n';
    for (int i = 0; i < kept_count; ++i) text << kept[i].file << '\t' << kept[i].value << '\n';
    int out = open(journal_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (out < 0) return false;
    std::string bytes = text.str();
    bool done = write(out, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()) &&
                fsync(out) == 0;
    return close(out) == 0 && done;
}

std::string Settings::set(const fs::path& file, const std::string& value) {
    std::string old = line_of(file);
    if (old == value) return {};
    if (old.empty()) return file.string() + " cannot be read";
    if (kept_count == most || file.native().size() >= sizeof kept[0].file ||
        old.size() >= sizeof kept[0].value)
        return file.string() + ": its value cannot be kept";
    Kept& place = kept[kept_count];
    std::memcpy(place.file, file.c_str(), file.native().size() + 1);
    std::memcpy(place.value, old.c_str(), old.size() + 1);
    kept_count = kept_count + 1;
    // On disk before it is changed: a kill may come at any time.
    if (!write_journal()) {
        kept_count = kept_count - 1;
        return journal_.string() + " cannot be written, and without it nothing is changed";
    }
    if (!write_value(file.c_str(), value.c_str()))
        return file.string() + ": " + std::strerror(errno);
    return {};
}

std::string Settings::put_back() {
    return put_all_back()
               ? std::string()
               : "some settings could not be put back; they are listed in " + journal_.string();
}

}  // namespace doorbell::host
