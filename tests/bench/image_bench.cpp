// Benchmarks that boot the image: the time to its first record, and how fast interrupts are
// recorded in the exact clock.
#include <benchmark/benchmark.h>

#include <chrono>
#include <string>

#include "tests/bench/qemu.h"

namespace {

using doorbell::bench::Qemu;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

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
        if (!qemu.first_record())
            state.SkipWithError("no record came; is qemu-system-x86_64 installed?");
        state.SetIterationTime(seconds_since(start));
    }
}
BENCHMARK(BM_QemuStartToFirstRecord)
    ->UseManualTime()
    ->Iterations(1)
    ->Repetitions(11)
    ->ReportAggregatesOnly()
    ->Unit(benchmark::kMillisecond);

/// One million LAPIC interrupts, about 2250 instructions apart, against the rate of a loop that is
/// hardly ever interrupted. Start-up time is measured and subtracted from both.
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
BENCHMARK(BM_MillionInterrupts)
    ->UseManualTime()
    ->Iterations(1)
    ->Repetitions(3)
    ->ReportAggregatesOnly()
    ->Unit(benchmark::kSecond);

}  // namespace

BENCHMARK_MAIN();
