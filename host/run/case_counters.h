// Counters around the samples of a case, in separate passes: no latency includes the cost of
// counting. perf events count the measured thread; Intel PCM, where asked for, its core and the
// system's memory.
#pragma once
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "firmware/measure/timestamp.h"
#include "host/bench.h"
#include "host/counters/pcm.h"
#include "host/counters/perf_group.h"

namespace doorbell::host {

/// Which counters were asked for.
enum class Counting { off, perf, all };

/// The counters that work here, found once a run.
struct CounterSources {
    bool perf = false;
    std::optional<PcmState> pcm;  ///< where it was asked for and is usable
    std::string because;          ///< what counts; what does not, why, and what would change that
    const char* name() const { return perf ? pcm ? "perf, pcm" : "perf" : pcm ? "pcm" : "none"; }
};
CounterSources look_for_counters(Counting wanted, const std::filesystem::path& root);

/// Sums over `samples` samples of a case.
struct CaseCounts {
    uint64_t samples = 0;
    std::vector<PerfCount> counts;
    std::string trouble;  ///< why requested counts are missing; "" where none is
};

/// Takes one more pass of a case: with that loop, and that window around the samples that count.
using Pass = std::function<void(uint64_t samples, Loop& loop, Window& window)>;

/// At most `samples` samples with perf events; `threads`: also those of the threads and processes
/// that it makes.
CaseCounts count_by_perf(const Pass& pass, uint64_t samples, bool threads);

/// What PCM's programs count while the case repeats, for one second each. Only whole samples within
/// the window are counted as samples, but the counts include whatever else runs on the core. Where
/// one of the two programs fails, what the other counted is kept, `trouble` has the reason, and
/// `pcm` loses the program that failed. Throws std::runtime_error where both fail.
CaseCounts count_by_pcm(const Pass& pass, PcmState& pcm, int cpu, uint64_t tsc_hz);

}  // namespace doorbell::host
