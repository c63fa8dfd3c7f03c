// What recording one sample costs on this machine: the histogram against the simplest alternatives,
// over latencies that are mostly near 50 with a tail, and over values of every magnitude.
#include <benchmark/benchmark.h>

#include <array>
#include <map>
#include <memory>
#include <random>
#include <vector>

#include "firmware/measure/histogram.h"

namespace {

constexpr size_t samples = 1 << 14;

/// range(0) 0: like a latency; 1: every magnitude up to 2^47.
const std::vector<uint64_t>& values(int64_t kind) {
    static const auto sets = [] {
        std::mt19937_64 random(1);
        std::array<std::vector<uint64_t>, 2> v;
        for (size_t i = 0; i < samples; ++i) {
            v[0].push_back(40 + random() % 20 + (random() % 100 == 0 ? random() % 100000 : 0));
            v[1].push_back(random() >> (17 + random() % 47));
        }
        return v;
    }();
    return sets[static_cast<size_t>(kind)];
}

template <class Record>
void measure(benchmark::State& state, Record record) {
    const auto& v = values(state.range(0));
    for (auto _ : state)
        for (uint64_t value : v) record(value);
    state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * samples));
    state.SetLabel(state.range(0) == 0 ? "latencies" : "every magnitude");
}

void histogram(benchmark::State& state) {
    auto h = std::make_unique<doorbell::measure::Histogram>();
    h->clear();
    measure(state, [&](uint64_t value) { h->record(value); });
    benchmark::DoNotOptimize(h->sum());
}

/// Keeps every sample: the cheapest way, with unbounded memory.
void raw_array(benchmark::State& state) {
    std::vector<uint64_t> kept(samples);
    size_t at = 0;
    measure(state, [&](uint64_t value) {
        kept[at++ % samples] = value;
        benchmark::ClobberMemory();
    });
}

/// Equal bins by division, with a bounds check: three digits only near one scale.
void linear_bins(benchmark::State& state) {
    std::vector<uint64_t> bins(4096);
    uint64_t width = 25;
    benchmark::DoNotOptimize(width);
    measure(state, [&](uint64_t value) {
        size_t bin = value / width;
        ++bins[bin < bins.size() ? bin : bins.size() - 1];
        benchmark::ClobberMemory();
    });
}

/// Exact counts in a tree.
void tree_of_counts(benchmark::State& state) {
    std::map<uint64_t, uint64_t> counts;
    measure(state, [&](uint64_t value) { ++counts[value]; });
}

BENCHMARK(histogram)->Arg(0)->Arg(1);
BENCHMARK(raw_array)->Arg(0)->Arg(1);
BENCHMARK(linear_bins)->Arg(0)->Arg(1);
BENCHMARK(tree_of_counts)->Arg(0)->Arg(1);

}  // namespace

BENCHMARK_MAIN();
