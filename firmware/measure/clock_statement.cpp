#include "firmware/measure/clock_statement.h"

#include "firmware/cpu/mul_div.h"
#include "firmware/measure/resolution.h"
#include "firmware/measure/timed_body.h"

namespace doorbell::measure {
namespace {

void time_nothing(Histogram& h, uint64_t n) {
    time_body(h, n, []() __attribute__((always_inline)) {});
}

/// The clock's step, from bodies of many lengths.
uint64_t find_resolution() {
    static uint64_t differences[statement_rounds];
    for (uint64_t i = 0; i < statement_rounds; ++i) {
        uint64_t skip = i * 7 % 61;
        uint64_t t = begin();
        imul_chain_from(skip);
        differences[i] = end() - t;
    }
    return find_step(differences);
}

}  // namespace

void time_nops(Histogram& h, uint64_t n) {
    time_body(h, n, []() __attribute__((always_inline)) {
        asm volatile(".rept 1000\n\tnop\n\t.endr" : : : "memory");
    });
}

void observe_pair(ClockStatement& in, Histogram& overhead) {
    overhead.clear();
    time_nothing(overhead, statement_rounds);  // warms code and histogram
    overhead.clear();
    time_nothing(overhead, 10 * statement_rounds);
    in.overhead_min = overhead.min();
    in.overhead_p50 = overhead.percentile(50000);
    in.overhead_p99 = overhead.percentile(99000);
    in.resolution = find_resolution();
    if (in.coarse()) in.overhead_mean = mean_of(overhead, in.resolution);
    // The least is what every pair costs; what is above it was noise of that moment. In a coarse
    // clock the least is what was rounded down: there it is the mean.
    in.overhead = in.coarse() ? whole(in.overhead_mean) : in.overhead_min;
}

uint64_t typical(const ClockStatement& in, Histogram& body, TimeBody* time) {
    body.clear();
    time(body, 10);
    body.clear();
    time(body, statement_rounds);
    uint64_t median = body.percentile(50000);
    if (in.coarse() && median < short_in_steps * in.resolution)
        return whole(mean_of(body, in.resolution) - in.overhead_mean);
    return median > in.overhead ? median - in.overhead : 0;
}

GapScan observe_gaps(ClockStatement& in, uint64_t span) {
    GapScan scan = scan_for_gaps([] { return end(); }, span, in.overhead_p50);
    in.gap_scan = scan.scanned;
    in.gap_lost = scan.lost;
    in.gap_longest = scan.longest;
    in.gaps = scan.gaps;
    in.gap_share_ppm = cpu::mul_div(scan.lost, 1000000, scan.scanned);
    return scan;
}

Spread spread_of(const Histogram& h) {
    return {h.min(), h.percentile(50000), h.percentile(99000), h.max()};
}

}  // namespace doorbell::measure
