#include "host/counters/pcm.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
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
    PcmJob job{state.raw, {"-f", "-yc", std::to_string(core)}};
    for (const std::string& event : events) job.options.insert(job.options.end(), {"-e", event});
    return job;
}

PcmJob system_totals(const PcmState& state) { return {state.pcm, {"-nc", "-ns"}}; }

PcmWindow::PcmWindow(const PcmJob& job, unsigned seconds, unsigned patience)
    : seconds_(seconds), patience_(patience) {
    std::string pattern = (fs::temp_directory_path() / "doorbell-pcm-XXXXXX").string();
    int file = mkstemp(pattern.data());
    int pipe_ends[2] = {-1, -1};
    if (file < 0 || pipe2(pipe_ends, O_CLOEXEC) != 0)
        throw std::runtime_error(std::string("PCM: no file for its output: ") +
                                 std::strerror(errno));
    close(file);
    file_ = pattern;
    std::vector<std::string> words{job.program.string(), std::to_string(seconds), "-i=1",
                                   "-csv=" + pattern};
    words.insert(words.end(), job.options.begin(), job.options.end());
    // PCM would switch the NMI watchdog off and on again by itself; settings are changed in one
    // place only.
    std::vector<std::string> settings{"PCM_KEEP_NMI_WATCHDOG=1"};
    for (char** one = environ; *one != nullptr; ++one) settings.emplace_back(*one);
    auto pointers = [](std::vector<std::string>& texts) {
        std::vector<char*> all;
        for (std::string& text : texts) all.push_back(text.data());
        all.push_back(nullptr);
        return all;
    };
    std::vector<char*> argv = pointers(words), environment = pointers(settings);
    cpu_set_t everywhere;
    std::memset(&everywhere, 0xFF, sizeof everywhere);
    child_ = fork();
    if (child_ == 0) {
        // Other threads may hold any lock: from here on only what is safe then. The measured task's
        // CPU and priority are its own.
        sched_param ordinary{};
        sched_setscheduler(0, SCHED_OTHER, &ordinary);
        sched_setaffinity(0, sizeof everywhere, &everywhere);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(pipe_ends[1], STDERR_FILENO);
        int null = open("/dev/null", O_RDWR);
        dup2(null, STDIN_FILENO);
        dup2(null, STDOUT_FILENO);
        execve(argv[0], argv.data(), environment.data());
        _exit(127);
    }
    close(pipe_ends[1]);
    errors_ = pipe_ends[0];
    if (hear("Update every", patience)) return;
    std::string why = last_words();
    kill_it();
    throw std::runtime_error("PCM does not count: " + why);
}

bool PcmWindow::hear(const char* word, unsigned seconds) {
    auto until = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
    while (word == nullptr ? !ended_ : said_.find(word) == said_.npos) {
        auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
                        until - std::chrono::steady_clock::now())
                        .count();
        pollfd wait{errors_, POLLIN, 0};
        if (ended_ || left <= 0 || poll(&wait, 1, static_cast<int>(left)) <= 0) return false;
        char buffer[4096];
        ssize_t count = read(errors_, buffer, sizeof buffer);
        if (count > 0)
            said_.append(buffer, static_cast<size_t>(count));
        else
            ended_ = true;
    }
    return true;
}

std::string PcmWindow::last_words() const {
    if (said_.empty()) return ended_ ? "it ended without a word" : "it said nothing";
    std::string words = said_.substr(0, said_.find_last_not_of('\n') + 1);
    return words.substr(words.find_last_of('\n') + 1);
}

void PcmWindow::kill_it() {
    if (child_ > 0) {
        kill(child_, SIGKILL);
        waitpid(child_, nullptr, 0);
    }
    child_ = -1;
    if (errors_ >= 0) close(errors_);
    errors_ = -1;
}

PcmWindow::~PcmWindow() {
    kill_it();
    std::error_code ignored;
    if (!file_.empty()) fs::remove(file_, ignored);
}

PcmCsv PcmWindow::result() {
    bool in_time = hear(nullptr, seconds_ + patience_);
    kill_it();
    if (!in_time) throw std::runtime_error("PCM does not end: " + last_words());
    std::ifstream in(file_, std::ios::binary);
    std::stringstream text;
    text << in.rdbuf();
    if (text.str().empty()) throw std::runtime_error("PCM left an empty file: it did not count");
    return PcmCsv::parse(text.str());
}

}  // namespace doorbell::host
