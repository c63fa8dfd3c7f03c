// How fast the time-stamp counter runs, from what the processor says or from a measurement, checked
// against a second source; and how fast the local APIC's timer runs beside it. Source: Intel SDM
// vol. 3B, "Time-Stamp Counter" and "Determining the Processor Base Frequency"; vol. 2A, CPUID.
#pragma once
#include <cstdint>
#include <span>

#include "firmware/cpu/access.h"
#include "firmware/cpu/apic.h"
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

struct TscClock {
    uint64_t hz = 0;
    uint64_t hz_low = 0, hz_high = 0;  ///< bounds of a measurement; both hz where it was enumerated
    const char* source = "";  ///< "cpuid-15h", "hypervisor", a reference's name, or "cpuid-16h"
    const char* check_source = nullptr;  ///< null: there was no second source
    int64_t check_ppm = 0;               ///< second source against hz, in parts per million
    bool disagrees = false;              ///< by more than 1000 ppm: a flag on the whole run
    bool invariant = false;              ///< CPUID.80000007H:EDX[8]
    Error fault{nullptr, 0};             ///< the first reference that could not be used, if any
};

/// Finds the TSC's frequency: CPUID 15h, a hypervisor's leaf 0x40000010, the first reference that
/// works, or CPUID 16h, in that order; and checks it against the next source that works. References
/// in order of preference. Error: none of them says anything.
Result<TscClock> establish(Cpuid cpuid, Tsc tsc, std::span<const ReferenceCounter> references,
                           const Calibration& how = {});

/// Whether the same instructions take the same ticks each of 16 times, 10,000 turns of a loop long:
/// only a clock that counts instructions (QEMU's -icount) is so even. For what must be known before
/// interrupts can be taken; the instrument examines the clock more closely.
bool counts_instructions(Tsc tsc);

/// How many TSC ticks one count of the local APIC's timer (divided by 1) lasts, as 32.32 fixed
/// point.
struct TimerRate {
    uint64_t tsc_per_count_32_32 = 0;
    uint64_t low_32_32 = 0, high_32_32 = 0;  ///< certain bounds
    /// The timer's frequency in Hz for a TSC of `tsc_hz`.
    uint64_t hz(uint64_t tsc_hz) const;
    /// `counts` in TSC ticks, rounded to the nearest.
    uint64_t ticks(uint32_t counts) const;
};

/// Measures it with the timer masked, over about `window` TSC ticks. The timer is stopped
/// afterwards. Error: it stands still or ran out. With a timer that follows the TSC exactly (QEMU's
/// instruction clock) the rate is exact.
Result<TimerRate> measure_apic_timer(const LocalApic& apic, Tsc tsc, uint64_t window);

}  // namespace doorbell::cpu
