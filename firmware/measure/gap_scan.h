// Reads a clock in a tight loop, to see what it does when nothing else happens: time that somebody
// else took, values that go back, a clock that stands still.
#pragma once
#include <cstdint>

namespace doorbell::measure {

/// What a scan saw, in ticks.
struct GapScan {
    uint64_t scanned = 1;                      ///< the span, at least what was asked for; never 0
    uint64_t lost = 0, longest = 0, gaps = 0;  ///< steps far above the usual one, less a usual one
    uint64_t backward = 0;                     ///< reads that gave less than the read before
    bool stopped = false;  ///< the scan ended because the clock stood still or kept going back
};

/// Reads that may give the same value: far more than fit into one step of any clock.
inline constexpr uint64_t most_still_reads = 10000000;

/// Reads `clock` for `span` ticks; a step over ten times `usual` and 100 is a gap. Ends also where
/// the clock does not move on.
template <class Clock>
GapScan scan_for_gaps(Clock clock, uint64_t span, uint64_t usual,
                      uint64_t most_still = most_still_reads) {
    GapScan scan;
    uint64_t threshold = usual * 10 + 100;
    uint64_t start = clock(), last = start, still = 0;
    while (scan.scanned < span && !scan.stopped) {
        uint64_t now = clock();
        uint64_t step = now - last;
        still = step == 0 ? still + 1 : 0;
        scan.stopped = still == most_still;
        if (now < last) {
            // What passed before the jump stays scanned; the scan goes on from here.
            ++scan.backward;
            scan.stopped = scan.stopped || scan.backward == most_still;
            start = now;
        } else if (step > threshold) {
            scan.lost += step - usual;
            ++scan.gaps;
            if (step > scan.longest) scan.longest = step;
        }
        last = now;
        if (now - start > scan.scanned) scan.scanned = now - start;
    }
    return scan;
}

}  // namespace doorbell::measure
