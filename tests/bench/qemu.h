// QEMU with the image, for benchmarks.
#pragma once
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

extern char** environ;

namespace doorbell::bench {

/// QEMU with the image; its output comes out of a pipe.
class Qemu {
  public:
    /// `plugin`: the value of -plugin, if any.
    Qemu(bool exact, const std::string& words, const std::string& plugin = {}) {
        std::vector<std::string> line{"qemu-system-x86_64",
                                      "-nodefaults",
                                      "-M",
                                      "pc",
                                      "-m",
                                      "512M",
                                      "-cpu",
                                      exact ? "max,-x2apic" : "max",
                                      "-accel",
                                      "tcg,thread=single",
                                      "-display",
                                      "none",
                                      "-serial",
                                      "stdio",
                                      "-monitor",
                                      "none",
                                      "-no-reboot",
                                      "-device",
                                      "isa-debug-exit,iobase=0xf4,iosize=4",
                                      "-kernel",
                                      DOORBELL_IMAGE,
                                      "-append",
                                      words + " exit=debug"};
        if (exact)
            line.insert(line.end(), {"-icount", "shift=0,sleep=off", "-seed", "1", "-rtc",
                                     "base=2026-01-01,clock=vm"});
        if (!plugin.empty()) line.insert(line.end(), {"-plugin", plugin});
        std::vector<char*> arguments;
        for (std::string& word : line) arguments.push_back(word.data());
        arguments.push_back(nullptr);
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) != 0) return;
        posix_spawn_file_actions_t actions;
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
        if (posix_spawnp(&child_, arguments[0], &actions, nullptr, arguments.data(), environ) != 0)
            child_ = -1;
        posix_spawn_file_actions_destroy(&actions);
        close(ends[1]);
        out_ = ends[0];
    }
    ~Qemu() {
        if (child_ > 0 && !ended_) {
            kill(child_, SIGKILL);
            waitpid(child_, nullptr, 0);
        }
        if (out_ >= 0) close(out_);
    }
    /// Waits for the first record's first byte. False: QEMU ended before.
    bool first_record() {
        char c;
        while (read(out_, &c, 1) == 1)
            if (c == '@') return true;
        return false;
    }
    /// Waits until QEMU ends. Returns whether the image reported that it was done.
    bool done() {
        char buffer[65536];
        while (read(out_, buffer, sizeof buffer) > 0) {
        }
        int status = 0;
        rusage usage{};
        wait4(child_, &status, 0, &usage);
        ended_ = true;
        auto seconds = [](const timeval& t) {
            return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
        };
        cpu_seconds_ = seconds(usage.ru_utime) + seconds(usage.ru_stime);
        return WIFEXITED(status) && WEXITSTATUS(status) == 33;
    }

    /// The processor time that it used, after done().
    double cpu_seconds() const { return cpu_seconds_; }

  private:
    pid_t child_ = -1;
    int out_ = -1;
    bool ended_ = false;
    double cpu_seconds_ = 0;
};

}  // namespace doorbell::bench
