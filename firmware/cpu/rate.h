// How fast one counter runs beside the TSC, and the way from the ticks of one to the other's
// counts: the one place for this arithmetic, where 64 bits are not enough.
#pragma once
#include <cstdint>

#include "firmware/cpu/mul_div.h"

namespace doorbell::cpu {

/// How many TSC ticks one count of a timer lasts, as 32.32 fixed point.
struct TimerRate {
    static constexpr uint64_t one = uint64_t{1} << 32;
    uint64_t tsc_per_count_32_32 = 0;
    uint64_t low_32_32 = 0, high_32_32 = 0;  ///< certain bounds, where it was measured

    /// `ticks` TSC ticks are as long as `counts` counts.
    static TimerRate of(uint64_t ticks, uint64_t counts) {
        uint64_t rate = mul_div(ticks, one, counts);
        return {rate, rate, rate};
    }
    /// The timer's frequency in Hz for a TSC of `tsc_hz`; 0 where the rate is not known.
    uint64_t hz(uint64_t tsc_hz) const {
        return tsc_per_count_32_32 == 0 ? 0 : mul_div(tsc_hz, one, tsc_per_count_32_32);
    }
    /// `counts` in TSC ticks, rounded to the nearest.
    uint64_t ticks(uint64_t counts) const {
        return static_cast<uint64_t>(
            (static_cast<unsigned __int128>(counts) * tsc_per_count_32_32 + one / 2) >> 32);
    }
    /// How many whole counts fit into `ticks`; ~0 where that does not fit 64 bits.
    uint64_t counts(uint64_t ticks) const { return mul_div(ticks, one, tsc_per_count_32_32); }
    /// The same for a timer of 32 bits that is to fire: from 1 to `most`.
    uint32_t counts_to_load(uint64_t ticks, uint32_t most = 0xFFFFFFFF) const {
        uint64_t whole = counts(ticks);
        return whole == 0 ? 1 : whole < most ? static_cast<uint32_t>(whole) : most;
    }
};

}  // namespace doorbell::cpu
