// What the instrument's statement says of the clock, in the image and under Linux alike, and the
// bodies whose cost it is read from.
#pragma once
#include <cstdint>
#include <span>

#include "firmware/measure/gap_scan.h"
#include "firmware/measure/histogram.h"
#include "firmware/measure/mean.h"
#include "firmware/measure/verdict.h"

namespace doorbell::measure {

struct ClockStatement {
    const char* clock = "live";      ///< "exact" or "live"
    const char* unit = "tick";       ///< "insn" (exact) or "tick" (of the TSC)
    const char* evidence = "rough";  ///< "exact", "measured" or "rough"
    bool counts_instructions = false;

    // All in `unit`.
    uint64_t overhead = 0;  ///< of a begin()/end() pair: the least; the mean in a coarse clock
    uint64_t overhead_min = 0, overhead_p50 = 0, overhead_p99 = 0;
    Mean overhead_mean;          ///< of the same pairs; unknown unless the clock is coarse
    uint64_t resolution = 0;     ///< the clock's step: measure/resolution.h
    uint64_t call_cost = 0;      ///< CALL+RET: the median, or the mean where the clock is coarse
    uint64_t thousand_nops = 0;  ///< the same of 1000 NOPs
    uint64_t noise_p99 = 0;      ///< p99 less median of a fixed body
    uint64_t gap_scan = 0, gap_lost = 0, gap_longest = 0, gaps = 0;
    uint64_t gap_share_ppm = 0;

    /// Whether the clock skips values, so that one difference is wrong by up to a step.
    bool coarse() const { return resolution > 1; }
    /// What is taken off each sample that holds one pair: the least, so that nothing is below 0 and
    /// cut off there. From a mean of such samples overhead_mean less this goes, too.
    uint64_t overhead_a_sample() const { return overhead_min; }
};

/// How many samples of each body are taken, ten times as many of the pair of timestamps.
inline constexpr uint64_t statement_rounds = 1000;

/// Records `n` samples of a body.
using TimeBody = void(Histogram& h, uint64_t n);
TimeBody time_nops;  ///< 1000 NOPs

/// What a pair of timestamps costs, and the clock's step; leaves the pairs in `overhead`.
void observe_pair(ClockStatement& in, Histogram& overhead);
/// What a body costs: its median, less a pair; in a coarse clock, where it is short, its mean.
/// Leaves the samples in `body`.
uint64_t typical(const ClockStatement& in, Histogram& body, TimeBody* time);
/// What a tight loop of timestamps sees in `span` ticks.
GapScan observe_gaps(ClockStatement& in, uint64_t span);

Spread spread_of(const Histogram& h);

}  // namespace doorbell::measure
