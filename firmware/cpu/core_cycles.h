// How many core cycles a tick of the TSC has: IA32_APERF counts cycles of the core while it runs
// (C0), IA32_MPERF ticks at the TSC's rate in the same time. Intel SDM vol. 3B, "Hardware Feedback
// (IA32_MPERF, IA32_APERF)"; vol. 2A, CPUID.06H:ECX[0]. AMD APM vol. 2, "Determining Processor
// Effective Frequency"; CPUID Fn0000_0006_ECX[0].
#pragma once
#include <cstdint>

#include "firmware/cpu/access.h"
#include "firmware/cpu/features.h"
#include "firmware/cpu/result.h"

namespace doorbell::cpu {

class CoreCycles {
  public:
    struct Reading {
        uint64_t cycles = 0, ticks = 0;
    };

    /// Looks whether both counters are there and move while `work` runs, which must take well over
    /// a microsecond. Reading them faults where a hypervisor hides what CPUID shows: the caller
    /// holds a FaultGuard. Error: CPUID has none, or they stand still.
    static Result<CoreCycles> find(Cpuid cpuid, Msrs msrs, const Features& features,
                                   void (*work)());

    Reading read() const { return {msrs_.read(ia32_aperf), msrs_.read(ia32_mperf)}; }
    /// Core cycles in a million ticks between two readings; 0 where the ticks stood still.
    static uint64_t a_million_ticks(const Reading& first, const Reading& second);

  private:
    // SDM vol. 4, table 2-2.
    static constexpr uint32_t ia32_mperf = 0xE7, ia32_aperf = 0xE8;
    Msrs msrs_;
};

}  // namespace doorbell::cpu
