// Benchmarks that boot the image: how soon it speaks, and how fast interrupts are recorded in the exact clock.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <vector>

extern char** environ;

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// QEMU with the image; what it prints comes out of a pipe.
class Qemu {
  public:
    Qemu(bool exact, const std::string& words) {
        std::vector<std::string> line{"qemu-system-x86_64", "-nodefaults", "-M", "pc", "-m", "512M", "-cpu", "max", "-accel",
                                      "tcg,thread=single", "-display", "none", "-serial", "stdio", "-monitor", "none",
                                      "-no-reboot", "-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-kernel", DOORBELL_IMAGE,
                                      "-append", words + " exit=debug"};
        if (exact) line.insert(line.end(), {"-icount", "shift=0,sleep=off", "-seed", "1", "-rtc", "base=2026-01-01,clock=vm"});
        std::vector<char*> arguments;
        for (std::string& word : line) arguments.push_back(word.data());
        arguments.push_back(nullptr);
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) != 0) return;
        posix_spawn_file_actions_t actions;
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
        if (posix_spawnp(&child_, arguments[0], &actions, nullptr, arguments.data(), environ) != 0) child_ = -1;
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
    /// Until the first record's first byte. False: QEMU ended before.
    bool first_record() {
        char c;
        while (read(out_, &c, 1) == 1)
            if (c == '@') return true;
        return false;
    }
    /// Until QEMU ends; whether the image said that it was done.
    bool done() {
        char buffer[65536];
        while (read(out_, buffer, sizeof buffer) > 0) {}
        int status = 0;
        waitpid(child_, &status, 0);
        ended_ = true;
        return WIFEXITED(status) && WEXITSTATUS(status) == 33;
    }

  private:
    pid_t child_ = -1;
    int out_ = -1;
    bool ended_ = false;
};

/// Wall seconds of a whole exact-clock run.
double run_seconds(const std::string& words) {
    auto start = Clock::now();
    Qemu qemu(true, words);
    return qemu.done() ? seconds_since(start) : -1;
}

void BM_QemuStartToFirstRecord(benchmark::State& state) {
    for (auto _ : state) {
        auto start = Clock::now();
        Qemu qemu(false, "lab=clock samples=1");
        if (!qemu.first_record()) state.SkipWithError("no record came; is qemu-system-x86_64 installed?");
        state.SetIterationTime(seconds_since(start));
    }
}
BENCHMARK(BM_QemuStartToFirstRecord)->UseManualTime()->Iterations(1)->Repetitions(11)->ReportAggregatesOnly()->Unit(benchmark::kMillisecond);

/// One million LAPIC interrupts, about 2250 instructions apart, against the rate of a loop that is interrupted
/// hardly ever. Start-up is measured and taken off both.
void BM_MillionInterrupts(benchmark::State& state) {
    constexpr double samples = 1e6, spacing = 2000 * 1.125;
    constexpr double quiet_samples = 100, quiet_spacing = 8e6 * 1.125;
    const std::string lab = "lab=timer:source=lapic,wait=irq warmup=1 ";
    for (auto _ : state) {
        double start_up = run_seconds(lab + "samples=1 set.spacing=2000");
        double quiet = run_seconds(lab + "samples=100 set.spacing=8000000");
        double busy = run_seconds(lab + "samples=1000000 set.spacing=2000");
        if (start_up < 0 || quiet < 0 || busy < 0) {
            state.SkipWithError("a run failed");
            break;
        }
        state.SetIterationTime(busy - start_up);
        double rate = samples * spacing / (busy - start_up);
        double quiet_rate = quiet_samples * quiet_spacing / (quiet - start_up);
        state.counters["samples_per_second"] = samples / (busy - start_up);
        state.counters["exact_insn_per_second"] = quiet_rate;
        state.counters["share_of_exact_rate"] = rate / quiet_rate;
    }
}
BENCHMARK(BM_MillionInterrupts)->UseManualTime()->Iterations(1)->Repetitions(3)->ReportAggregatesOnly()->Unit(benchmark::kSecond);

}  // namespace

BENCHMARK_MAIN();
