// Samples of a body whose cost says something of the clock.
#pragma once
#include <cstdint>

#include "firmware/measure/histogram.h"
#include "firmware/measure/timestamp.h"
#include "firmware/measure/yardstick.h"

namespace doorbell::measure {

/// Records how long `body` takes, `n` times. Each sample begins elsewhere within a step of a coarse
/// clock. A body that is a lambda is marked always_inline, so that no call is timed with it.
template <class Body>
[[gnu::always_inline]] inline void time_body(Histogram& h, uint64_t n, Body&& body) {
    for (uint64_t i = 0; i < n; ++i) {
        dither(i);
        uint64_t t = begin();
        body();
        h.record(end() - t);
    }
}

}  // namespace doorbell::measure
