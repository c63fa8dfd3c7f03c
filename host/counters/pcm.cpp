#include "host/counters/pcm.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <optional>
#include <sstream>
#include <stdexcept>

namespace doorbell::host {

namespace fs = std::filesystem;

PcmState look_for_pcm(const fs::path& root) {
    std::error_code ignored;
    fs::path raw, pcm;
    for (const char* folder : {"usr/local/bin", "usr/local/sbin", "usr/bin", "usr/sbin"}) {
        if (fs::path file = root / folder / "pcm-raw"; fs::exists(file, ignored)) raw = file;
        if (fs::path file = root / folder / "pcm"; fs::exists(file, ignored)) pcm = file;
    }
    if (raw.empty()) return {false, "there is no pcm-raw", "apt-get install pcm"};
    std::ifstream in(root / "proc/cpuinfo");
    bool intel = false, counters = false;
    for (std::string line; std::getline(in, line);) {
        intel = intel || line.find("GenuineIntel") != line.npos;
        counters =
            counters || (line.starts_with("flags") && line.find(" arch_perfmon") != line.npos);
    }
    if (!intel) return {false, "PCM counts on Intel processors only", ""};
    if (!counters)
        return {false,
                "CPUID shows no architectural performance monitoring: in a virtual machine the "
                "vPMU is off",
                "switch the vPMU on in the hypervisor"};
    fs::path msr = root / "dev/cpu/0/msr";
    if (!fs::exists(msr, ignored)) return {false, "there is no /dev/cpu/0/msr", "modprobe msr"};
    if (access(msr.c_str(), R_OK | W_OK) != 0)
        return {false, "/dev/cpu/0/msr cannot be read and written by this user", "be root"};
    return {true, "pcm-raw, with MSRs", "", raw, pcm};
}

PcmJob core_events(const PcmState& state, const std::vector<std::string>& events, int core) {
    PcmJob job{state.raw, {"-f", "-yc", std::to_string(core)}, true};
    for (const std::string& event : events) job.options.insert(job.options.end(), {"-e", event});
    return job;
}

/// -f: without it, the header rows stay in PCM's buffer until it ends.
PcmJob system_totals(const PcmState& state) { return {state.pcm, {"-f", "-nc", "-ns"}}; }

namespace {

constexpr auto between_looks = std::chrono::milliseconds(5);

/// The rows that have begun below the two header rows; nothing where those are not there yet. The
/// second one may have no newline behind it: pcm writes a newline in front of each row.
std::optional<size_t> rows_begun(std::string_view csv) {
    size_t first = csv.find_first_not_of('\n');
    size_t first_end = first == csv.npos ? first : csv.find('\n', first);
    if (first_end == csv.npos) return std::nullopt;
    std::string_view groups = csv.substr(first, first_end - first), rest = csv.substr(first_end);
    rest.remove_prefix(std::min(rest.find_first_not_of('\n'), rest.size()));
    std::string_view columns = rest.substr(0, rest.find('\n'));
    bool whole = columns.size() < rest.size() ||
                 (columns.ends_with(',') && std::count(columns.begin(), columns.end(), ',') >=
                                                std::count(groups.begin(), groups.end(), ','));
    if (columns.empty() || !whole) return std::nullopt;
    rest.remove_prefix(columns.size());
    size_t rows = 0;
    for (size_t i = 1; i < rest.size(); ++i) rows += rest[i - 1] == '\n' && rest[i] != '\n';
    return rows;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
    std::vector<char*> all;
    for (std::string& text : texts) all.push_back(text.data());
    all.push_back(nullptr);
    return all;
}

}  // namespace

PcmWindow::PcmWindow(const PcmJob& job, unsigned seconds, unsigned timeout)
    : seconds_(seconds), timeout_(timeout) {
    unsigned wait = timeout + (job.header_comes_with_a_row ? seconds : 0);
    std::optional<size_t> rows;
    auto header = [&] { return (rows = rows_begun(output())).has_value(); };
    bool ready = false;
    try {
        start(job, job.header_comes_with_a_row ? 2 : 1);
        ready = follow(std::chrono::seconds(wait), header) || header();
        // A program that leaves after its first row, whatever its options: its own message is then
        // the only sign that it counts.
        if (ready && ended_ && job.header_comes_with_a_row && rows == 1u) {
            kill_it();
            start(job, 1);
            rows = 0;
            ready = follow(std::chrono::seconds(timeout),
                           [&] { return said_.find("Update every") != said_.npos; });
        }
    } catch (...) {
        kill_it();
        throw;
    }
    if (ready) {
        rows_before_ = *rows;
        return;
    }
    std::string why = reason();
    kill_it();
    throw std::runtime_error("PCM does not count: " + why);
}

void PcmWindow::start(const PcmJob& job, unsigned rows) {
    ended_ = false;
    said_.clear();
    output_ = memfd_create("doorbell-pcm", MFD_CLOEXEC);
    int pipe_ends[2] = {-1, -1};
    if (output_ < 0 || pipe2(pipe_ends, O_CLOEXEC) != 0)
        throw std::runtime_error(std::string("PCM: no memory for its output: ") +
                                 std::strerror(errno));
    std::vector<std::string> words{job.program.string(), std::to_string(seconds_),
                                   "-i=" + std::to_string(rows),
                                   "-csv=/proc/self/fd/" + std::to_string(output_)};
    words.insert(words.end(), job.options.begin(), job.options.end());
    // PCM would switch the NMI watchdog off and on itself; only host/counters/settings changes
    // settings.
    std::vector<std::string> settings{"PCM_KEEP_NMI_WATCHDOG=1"};
    for (char** one = environ; *one != nullptr; ++one) settings.emplace_back(*one);
    std::vector<char*> argv = pointers(words), environment = pointers(settings);
    cpu_set_t everywhere;
    std::memset(&everywhere, 0xFF, sizeof everywhere);
    child_ = fork();
    if (child_ == 0) {
        // Other threads may hold any lock: from here on, call only async-signal-safe functions. The
        // measured task's CPU and priority are its own.
        sched_param ordinary{};
        sched_setscheduler(0, SCHED_OTHER, &ordinary);
        sched_setaffinity(0, sizeof everywhere, &everywhere);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        fcntl(output_, F_SETFD, 0);
        dup2(pipe_ends[1], STDERR_FILENO);
        int null = open("/dev/null", O_RDWR);
        dup2(null, STDIN_FILENO);
        dup2(null, STDOUT_FILENO);
        execve(argv[0], argv.data(), environment.data());
        _exit(127);
    }
    close(pipe_ends[1]);
    errors_ = pipe_ends[0];
}

template <class Done>
bool PcmWindow::follow(std::chrono::milliseconds timeout, Done&& done) {
    auto until = std::chrono::steady_clock::now() + timeout;
    while (!done()) {
        if (ended_ || std::chrono::steady_clock::now() >= until) return false;
        // Writes to its output wake nobody: poll it.
        pollfd wait{errors_, POLLIN, 0};
        if (poll(&wait, 1, static_cast<int>(between_looks.count())) <= 0) continue;
        char buffer[4096];
        ssize_t count = read(errors_, buffer, sizeof buffer);
        if (count > 0)
            said_.append(buffer, static_cast<size_t>(count));
        else
            ended_ = true;
    }
    return true;
}

std::string PcmWindow::output() const {
    std::string text;
    char buffer[16384];
    for (ssize_t count;
         (count = pread(output_, buffer, sizeof buffer, static_cast<off_t>(text.size()))) > 0;)
        text.append(buffer, static_cast<size_t>(count));
    return text;
}

/// PCM prints what is wrong and then what it cleans up: the reason is the last line with a
/// complaint, or else the last line.
std::string PcmWindow::reason() const {
    std::string last, complaint;
    std::istringstream lines(said_);
    for (std::string line; std::getline(lines, line);) {
        line.erase(0, line.find_first_not_of(" \t"));
        if (line.empty()) continue;
        last = line;
        for (const char* word : {"denied", "rror", "ERROR", "annot", "an not", "not supported",
                                 "nsupported", "ailed", "Try "})
            if (line.find(word) != line.npos) {
                complaint = line;
                break;
            }
    }
    if (!complaint.empty()) return complaint;
    if (!last.empty()) return last;
    return ended_ ? "it ended without a word" : "it said nothing";
}

void PcmWindow::kill_it() {
    if (child_ > 0) {
        kill(child_, SIGKILL);
        waitpid(child_, nullptr, 0);
    }
    child_ = -1;
    for (int* file : {&errors_, &output_}) {
        if (*file >= 0) close(*file);
        *file = -1;
    }
}

PcmWindow::~PcmWindow() { kill_it(); }

PcmCsv PcmWindow::result() {
    follow(std::chrono::seconds(2 * seconds_ + timeout_), [&] { return ended_; });
    bool in_time = ended_;
    std::string text = output(), why = reason();
    kill_it();
    if (!in_time) throw std::runtime_error("PCM does not end: " + why);
    if (text.empty()) throw std::runtime_error("PCM left an empty file: it did not count");
    PcmCsv csv = PcmCsv::parse(text);
    csv.forget_rows(rows_before_);
    if (csv.rows() == 0) throw std::runtime_error("PCM ended before the window did: " + why);
    return csv;
}

}  // namespace doorbell::host
