// What the cache model costs: processor seconds of QEMU in the exact clock with it, divided by
// those without it. Both are measured in turn, without start-up.
#include <benchmark/benchmark.h>

#include <string>

#include "tests/bench/qemu.h"

namespace {

using doorbell::bench::Qemu;

const std::string model = DOORBELL_MODEL ",l1d=32K:8:64";

/// Processor seconds of a whole run; negative where it failed.
double cpu_seconds(const std::string& words, const std::string& plugin) {
    Qemu qemu(true, words, plugin);
    return qemu.done() ? qemu.cpu_seconds() : -1;
}

void model_costs(benchmark::State& state, const std::string& words) {
    const std::string nothing = "lab=clock:clock=rdtsc samples=1 warmup=1";
    for (auto _ : state) {
        double start = cpu_seconds(nothing, ""), start_modelled = cpu_seconds(nothing, model);
        double without = cpu_seconds(words, "") - start,
               with = cpu_seconds(words, model) - start_modelled;
        if (start < 0 || start_modelled < 0 || without <= 0 || with <= 0) {
            state.SkipWithError("a run failed");
            break;
        }
        state.SetIterationTime(with);
        state.counters["seconds_without"] = without;
        state.counters["times"] = with / without;
    }
}

#define MODEL_BENCH(name, words)                \
    BENCHMARK_CAPTURE(model_costs, name, words) \
        ->UseManualTime()                       \
        ->Iterations(1)                         \
        ->Repetitions(5)                        \
        ->ReportAggregatesOnly()                \
        ->Unit(benchmark::kSecond)
MODEL_BENCH(loads_that_miss, "lab=caches:walk=chase,bytes=65536,state=warm samples=60000 warmup=1");
MODEL_BENCH(random_loads, "lab=caches:walk=random,bytes=524288 samples=5000 warmup=1");
MODEL_BENCH(matrix, "lab=caches:walk=transpose samples=8000 warmup=1");
MODEL_BENCH(branches, "lab=caches:walk=branches samples=12000 warmup=1");
MODEL_BENCH(interrupts, "lab=timer:source=lapic,wait=irq samples=40000 warmup=1");
MODEL_BENCH(system_calls, "lab=syscall:gate=syscall,space=same samples=2000000 warmup=1");
MODEL_BENCH(switches, "lab=switch:set=65536 samples=20000 set.lines=50000000");
MODEL_BENCH(tasks, "lab=thrash:tasks=5000,policy=tasks");

}  // namespace

BENCHMARK_MAIN();
