// The command as a user runs it: as a program, in the test's own folder.
#pragma once
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "harness/data/run_data.h"

namespace doorbell::harness {

namespace fs = std::filesystem;

inline std::string content(const fs::path& file) {
    std::ifstream in(file, std::ios::binary);
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
}

/// A folder of its own for each test, and the command started in it.
class CommandTest : public testing::Test {
  protected:
    void SetUp() override {
        std::string name = (fs::temp_directory_path() / "doorbell-test-XXXXXX").string();
        folder_ = mkdtemp(name.data());
        std::ofstream(folder_ / "image.elf") << "an image";
        ASSERT_EQ(mkfifo((folder_ / "events").c_str(), 0600), 0);
        // For reading and writing, so that neither side waits for the other to open it.
        events_ = open((folder_ / "events").c_str(), O_RDWR | O_CLOEXEC);
        environment_["FAKE_EVENTS"] = (folder_ / "events").string();
        environment_["DOORBELL_IMAGE"] = (folder_ / "image.elf").string();
    }
    void TearDown() override {
        close(events_);
        fs::remove_all(folder_);
    }

    /// Starts the command in the test's folder; finish() waits for it.
    void start(std::vector<std::string> words) {
        words.insert(words.begin(), DOORBELL_COMMAND);
        pid_ = fork();
        if (pid_ == 0) {
            if (chdir(folder_.c_str()) != 0) _exit(99);
            dup2(open("/dev/null", O_RDONLY), 0);
            if (!input_.empty()) dup2(open(input_.c_str(), O_RDONLY), 0);
            dup2(open(output_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), 1);
            dup2(open("stderr", O_WRONLY | O_CREAT | O_TRUNC, 0600), 2);
            for (const auto& [name, value] : environment_) setenv(name.c_str(), value.c_str(), 1);
            if (largest_file_ != 0) {
                rlimit limit{largest_file_, largest_file_};
                setrlimit(RLIMIT_FSIZE, &limit);
            }
            if (most_files_ != 0) {
                rlimit limit{most_files_, most_files_};
                setrlimit(RLIMIT_NOFILE, &limit);
            }
            for (int number : closed_) close(number);
            std::vector<char*> argv;
            for (std::string& word : words) argv.push_back(word.data());
            argv.push_back(nullptr);
            execv(argv[0], argv.data());
            _exit(98);
        }
    }
    /// The exit status, or -n where signal n ended it.
    int finish() {
        int status = 0;
        waitpid(pid_, &status, 0);
        out_ = content(folder_ / "stdout");
        err_ = content(folder_ / "stderr");
        return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
    }
    int run(const std::vector<std::string>& words) {
        start(words);
        return finish();
    }
    /// `doorbell run` with the fake QEMU behaving as `fake`, into the folder "out".
    std::vector<std::string> fake_run(const std::string& fake, std::vector<std::string> more = {}) {
        environment_["FAKE"] = fake;
        std::vector<std::string> words{"run", "--qemu", FAKE_QEMU, "--out", "out"};
        words.insert(words.end(), more.begin(), more.end());
        return words;
    }
    harness::Run saved() { return read_run(folder_ / "out"); }

    /// The next event of the fake QEMU.
    std::string event() {
        std::string line;
        for (char c; read(events_, &c, 1) == 1 && c != '\n';) line += c;
        return line;
    }
    /// Waits until the process has ended; it may still be another process's zombie.
    static bool gone(pid_t pid) {
        int file = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
        if (file < 0) return errno == ESRCH;
        pollfd wait{file, POLLIN, 0};
        bool gone = poll(&wait, 1, 30000) == 1;
        close(file);
        return gone;
    }

    fs::path folder_;
    std::map<std::string, std::string> environment_;
    std::string input_, output_ = "stdout", out_, err_;
    std::vector<int> closed_;  // standard streams that the command starts without
    rlim_t largest_file_ = 0, most_files_ = 0;
    pid_t pid_ = -1;
    int events_ = -1;
};

inline bool says(const std::string& text, const std::string& words) {
    return text.find(words) != std::string::npos;
}

}  // namespace doorbell::harness
