// How fast the time-stamp counter runs, from what the processor says and from measurements: what
// the majority of sources agrees on; and how fast the local APIC's timer runs beside it. Source:
// Intel SDM vol. 3B, "Time-Stamp Counter" and "Determining the Processor Base Frequency"; vol. 2A,
// CPUID.
#pragma once
#include <cstdint>
#include <span>

#include "firmware/cpu/access.h"
#include "firmware/cpu/apic.h"
#include "firmware/cpu/rate.h"
#include "firmware/cpu/result.h"

namespace doorbell::cpu {

/// A counter of known frequency to measure against. It counts up and wraps at `mask`.
struct ReferenceCounter {
    const char* name = "";
    uint64_t (*read)(void* context) = nullptr;
    void* context = nullptr;
    uint64_t hz_numerator = 0, hz_denominator = 1;  ///< frequency as a fraction, in Hz
    uint64_t mask = ~0ull;
    uint64_t value() const { return read(context) & mask; }
};

/// How long to measure.
struct Calibration {
    uint32_t window_us = 10000;  ///< the first window
    uint32_t longest_us =
        80000;  ///< windows grow up to this while the bounds are wider than wide_ppm
    uint32_t wide_ppm = 50;
    unsigned windows = 3;  ///< the most of one length that are tried until two agree
};

/// A frequency and the bounds between which it certainly lies, in Hz.
struct Frequency {
    uint64_t hz = 0, low = 0, high = 0;
};

/// Measures the TSC against one reference: the bounds come from reads of the TSC on either side of
/// each read of the reference, and hz is the roundest number between them (the measurement cannot
/// tell it from the others). Error: the reference or the TSC stands still, or no two windows agree.
Result<Frequency> measure_tsc(Tsc tsc, const ReferenceCounter& reference,
                              const Calibration& how = {});

/// What one source says of the TSC's frequency.
struct TscSource {
    const char* name = "";  ///< "cpuid-15h", "hypervisor", a reference's name, or "cpuid-16h"
    Frequency says;         ///< all three the same where it was enumerated, not measured
};

struct TscClock {
    uint64_t hz = 0;
    uint64_t hz_low = 0, hz_high = 0;  ///< bounds of a measurement; both hz where it was enumerated
    const char* source = "";           ///< the name of the source that hz is from
    const char* check_source = nullptr;  ///< null: there was no second source
    int64_t check_ppm = 0;               ///< second source against hz, in parts per million
    bool disagrees = false;  ///< some source is more than 1000 ppm away: a flag on the whole run

    static constexpr size_t most_sources = 8;
    TscSource sources[most_sources];  ///< those that were asked and answered
    size_t source_count = 0;
    size_t agree = 0;  ///< how many of them lie within 1000 ppm of hz, `source` among them
};

/// Finds the TSC's frequency. Sources are CPUID (one source, however many of its leaves answer:
/// 15h, a hypervisor's leaf 0x40000010, else 16h) and each reference. The first two that were asked
/// are believed where they agree to 1000 ppm. Where they do not, all are asked and the largest
/// group that agrees gives the frequency; where no two agree `agree` is 1 and the frequency is the
/// first source's. References in order of preference. Error: no source says anything.
Result<TscClock> establish(Cpuid cpuid, Tsc tsc, std::span<const ReferenceCounter> references,
                           const Calibration& how = {});

/// Whether the same instructions take the same ticks each of 16 times, 10,000 turns of a loop long:
/// only a clock that counts instructions (QEMU's -icount) is so even. For what must be known before
/// interrupts can be taken; the instrument examines the clock more closely.
bool counts_instructions(Tsc tsc);

/// How fast the local APIC's timer (divided by 1) runs, measured with the timer masked, over about
/// `window` TSC ticks. The timer is stopped afterwards. Error: it stands still or ran out. With a
/// timer that follows the TSC exactly (QEMU's instruction clock) the rate is exact.
Result<TimerRate> measure_apic_timer(const LocalApic& apic, Tsc tsc, uint64_t window);

}  // namespace doorbell::cpu
