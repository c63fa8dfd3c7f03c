// The instrument's statement about itself, made before any lab: what a timestamp costs, what it
// resolves, how much time something else takes away, whether this clock counts instructions, and so
// what a number is worth.
#pragma once
#include <cstdint>

#include "firmware/cpu/features.h"
#include "firmware/cpu/tsc.h"
#include "firmware/measure/histogram.h"
#include "firmware/measure/mean.h"
#include "firmware/measure/verdict.h"

namespace doorbell::measure {

struct Instrument {
    const char* clock = "live";      ///< "exact" or "live"
    const char* unit = "tick";       ///< "insn" (exact) or "tick" (of the TSC)
    const char* evidence = "rough";  ///< "exact", "measured" or "rough"
    bool counts_instructions = false;

    // All in `unit`.
    uint64_t overhead = 0;  ///< of a begin()/end() pair: the least; the mean in a coarse clock
    uint64_t overhead_min = 0, overhead_p50 = 0, overhead_p99 = 0;
    Mean overhead_mean;       ///< of the same pairs; unknown unless the clock is coarse
    uint64_t resolution = 0;  ///< the clock's step: measure/resolution.h
    /// CALL+RET and INT n+IRETQ: medians, or means where the clock is coarse and they are short.
    uint64_t call_cost = 0, interrupt_cost = 0;
    uint64_t thousand_nops = 0;  ///< the same of 1000 NOPs
    uint64_t record_cost = 0;    ///< the same of one sample into a histogram
    uint64_t noise_p99 = 0;      ///< p99 less median of a fixed body
    uint64_t gap_scan = 0, gap_lost = 0, gap_longest = 0, gaps = 0;
    uint64_t gap_share_ppm = 0;

    uint64_t backward = 0;  ///< reads of the scan that gave less than the read before
    bool stopped = false;   ///< the scan ended because the TSC stood still

    bool smi_known = false;
    uint64_t smi_before = 0, smi_during = 0;  ///< MSR_SMI_COUNT (SDM vol. 4), Intel bare metal only

    Verdict verdict = Verdict::refused;
    const char* because = "";

    /// Whether the clock skips values, so that one difference is wrong by up to a step.
    bool coarse() const { return resolution > 1; }
    /// What is taken off each sample that holds one pair: the least, so that nothing is below 0 and
    /// cut off there. From a mean of such samples overhead_mean less this goes, too.
    uint64_t overhead_a_sample() const { return overhead_min; }
};

/// Looks at the machine (interrupts must be off). `scratch`: three histograms that nobody else uses
/// now.
Instrument observe(const cpu::Features& features, const cpu::TscClock& tsc, Histogram* scratch);

}  // namespace doorbell::measure
