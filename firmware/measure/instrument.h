// The instrument's statement about itself, made before any lab: what a timestamp costs, what it
// resolves, how much time something else takes away, whether this clock counts instructions, and so
// what a number is worth.
#pragma once
#include <cstdint>

#include "firmware/cpu/access.h"
#include "firmware/cpu/features.h"
#include "firmware/cpu/tsc.h"
#include "firmware/measure/clock_statement.h"
#include "firmware/measure/histogram.h"
#include "firmware/measure/verdict.h"

namespace doorbell::measure {

struct Instrument : ClockStatement {
    /// INT n+IRETQ and one sample into a histogram: as call_cost.
    uint64_t interrupt_cost = 0, record_cost = 0;

    uint64_t backward = 0;  ///< reads of the scan that gave less than the read before
    bool stopped = false;   ///< the scan ended because the TSC stood still

    bool smi_known = false;
    uint64_t smi_before = 0, smi_during = 0;  ///< MSR_SMI_COUNT (SDM vol. 4), Intel bare metal only

    Verdict verdict = Verdict::refused;
    const char* because = "";
};

/// Looks at the machine (interrupts must be off). `scratch`: three histograms that nobody else uses
/// now.
Instrument observe(const cpu::Features& features, const cpu::TscClock& tsc, Histogram* scratch,
                   cpu::Msrs msrs = {});

}  // namespace doorbell::measure
