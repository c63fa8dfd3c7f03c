// Linux's clock and the TSC side by side.
#pragma once
#include <time.h>

#include <cstdint>

#include "firmware/measure/timestamp.h"
#include "host/instrument.h"

namespace doorbell::host {

inline uint64_t ns_of(const timespec& t) {
    return static_cast<uint64_t>(t.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(t.tv_nsec);
}
inline timespec timespec_of(uint64_t ns) {
    return {static_cast<time_t>(ns / 1'000'000'000), static_cast<long>(ns % 1'000'000'000)};
}

inline uint64_t monotonic_ns() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return ns_of(t);
}

/// One instant on both clocks.
struct Instant {
    uint64_t ticks, ns;
    /// The tick at which CLOCK_MONOTONIC reaches `at_ns`, after this instant.
    uint64_t tick_at(uint64_t at_ns, uint64_t tsc_hz) const {
        return ticks + static_cast<uint64_t>(static_cast<unsigned __int128>(at_ns - ns) * tsc_hz /
                                             1'000'000'000);
    }
};

/// Reads both: the TSC is taken after the clock was read, so that a deadline counted from it is
/// late, never early, by at most the reading of the clock.
inline Instant instant() {
    uint64_t ns = monotonic_ns();
    return {measure::end(), ns};
}

/// Spins until the TSC reaches `deadline`.
inline void spin_until(uint64_t deadline) {
    while (measure::end() < deadline) {
    }
}

}  // namespace doorbell::host
