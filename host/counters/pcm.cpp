#include "host/counters/pcm.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
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
    bool program = false;
    for (const char* folder : {"usr/sbin", "usr/bin", "usr/local/sbin", "usr/local/bin"}) program = program || fs::exists(root / folder / "pcm-raw", ignored);
    if (!program) return {false, "there is no pcm-raw", "apt-get install pcm"};
    std::ifstream in(root / "proc/cpuinfo");
    bool intel = false, counters = false;
    for (std::string line; std::getline(in, line);) {
        intel = intel || line.find("GenuineIntel") != line.npos;
        counters = counters || (line.starts_with("flags") && line.find(" arch_perfmon") != line.npos);
    }
    if (!intel) return {false, "PCM counts on Intel processors only", ""};
    if (!counters) return {false, "the processor shows no architectural performance monitoring: in a virtual machine the vPMU is off", "switch the vPMU on in the hypervisor"};
    fs::path msr = root / "dev/cpu/0/msr";
    if (!fs::exists(msr, ignored)) return {false, "there is no /dev/cpu/0/msr", "modprobe msr"};
    if (access(msr.c_str(), R_OK | W_OK) != 0) return {false, "/dev/cpu/0/msr cannot be read and written by this user", "be root"};
    return {true, "pcm-raw, with MSRs", ""};
}

std::string pin_to(int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) == 0) return {};
    return "cannot run on CPU " + std::to_string(cpu) + ": " + std::strerror(errno);
}

PcmWindow::PcmWindow(const std::vector<std::string>& events, int core, const std::string& program, unsigned seconds) {
    std::string pattern = (fs::temp_directory_path() / "doorbell-pcm-XXXXXX").string();
    int file = mkstemp(pattern.data());
    int pipe_ends[2] = {-1, -1};
    if (file < 0 || pipe2(pipe_ends, O_CLOEXEC) != 0) throw std::runtime_error(std::string("PCM: no file for its output: ") + std::strerror(errno));
    close(file);
    file_ = pattern;
    // One long sample: it is printed at the end, when the program is interrupted or its time is over.
    std::vector<std::string> words{program, "3600", "-i=1", "-yc", std::to_string(core), "-csv=" + pattern, "-f"};
    for (const std::string& event : events) words.insert(words.end(), {"-e", event});
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    child_ = fork();
    if (child_ == 0) {
        // PCM would switch the NMI watchdog off and on again by itself; settings are changed in one place only.
        setenv("PCM_KEEP_NMI_WATCHDOG", "1", 1);
        dup2(pipe_ends[1], STDERR_FILENO);
        int null = open("/dev/null", O_RDWR);
        dup2(null, STDIN_FILENO);
        dup2(null, STDOUT_FILENO);
        execvp(argv[0], argv.data());
        _exit(127);
    }
    close(pipe_ends[1]);
    errors_ = pipe_ends[0];
    auto until = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
    while (said_.find("Update every") == said_.npos) {
        auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now()).count();
        pollfd wait{errors_, POLLIN, 0};
        char buffer[4096];
        ssize_t count = left > 0 && poll(&wait, 1, static_cast<int>(left)) > 0 ? read(errors_, buffer, sizeof buffer) : -1;
        if (count > 0) {
            said_.append(buffer, static_cast<size_t>(count));
            continue;
        }
        std::string why = said_.empty() ? (left > 0 ? "it ended without a word" : "it said nothing") : said_.substr(said_.find_last_of('\n', said_.size() - 2) + 1);
        end();
        throw std::runtime_error("PCM does not count: " + why);
    }
}

void PcmWindow::end() {
    if (child_ > 0) {
        kill(child_, SIGINT);
        // It may hang on hardware: five seconds, then for good.
        for (int i = 0; i < 500 && waitpid(child_, nullptr, WNOHANG) == 0; ++i) {
            pollfd nothing{-1, 0, 0};
            poll(&nothing, 0, 10);
        }
        if (kill(child_, 0) == 0) {
            kill(child_, SIGKILL);
            waitpid(child_, nullptr, 0);
        }
        child_ = -1;
    }
    if (errors_ >= 0) close(errors_);
    errors_ = -1;
}

PcmWindow::~PcmWindow() {
    end();
    std::error_code ignored;
    if (!file_.empty()) fs::remove(file_, ignored);
}

PcmCsv PcmWindow::stop() {
    end();
    std::ifstream in(file_, std::ios::binary);
    std::stringstream text;
    text << in.rdbuf();
    if (text.str().empty()) throw std::runtime_error("PCM left an empty file: it did not count");
    return PcmCsv::parse(text.str());
}

}  // namespace doorbell::host
