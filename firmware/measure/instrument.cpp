#include "firmware/measure/instrument.h"

#include "firmware/cpu/descriptors.h"
#include "firmware/cpu/msr.h"
#include "firmware/cpu/mul_div.h"
#include "firmware/measure/gap_scan.h"
#include "firmware/measure/resolution.h"
#include "firmware/measure/timestamp.h"
#include "firmware/measure/yardstick.h"

// The cheapest handler there is: what INT n costs when nothing is done.
extern "C" void instrument_empty_interrupt();
asm(R"(
        .pushsection .text.instrument, "ax"
        .balign 16
instrument_empty_interrupt:
        iretq
instrument_empty_call:
        ret
        .popsection
)");

namespace doorbell::measure {
namespace {

constexpr uint64_t rounds = 1000;

void time_nothing(Histogram& h, uint64_t n) {
    for (uint64_t i = 0; i < n; ++i) {
        dither(i);
        uint64_t t = begin();
        h.record(end() - t);
    }
}

void time_call(Histogram& h, uint64_t n) {
    for (uint64_t i = 0; i < n; ++i) {
        dither(i);
        uint64_t t = begin();
        asm volatile("call instrument_empty_call" : : : "memory");
        h.record(end() - t);
    }
}

void time_interrupt(Histogram& h, uint64_t n) {
    for (uint64_t i = 0; i < n; ++i) {
        dither(i);
        uint64_t t = begin();
        asm volatile("int %0" : : "i"(cpu::vector::first_free) : "memory");
        h.record(end() - t);
    }
}

/// Recording itself, into a third histogram and with a value that the compiler does not know.
Histogram* recorded_here;
void time_record(Histogram& h, uint64_t n) {
    Histogram& target = *recorded_here;
    uint64_t value = 12345;
    for (uint64_t i = 0; i < n; ++i) {
        dither(i);
        uint64_t t = begin();
        asm volatile("" : "+r"(value));
        target.record(value);
        asm volatile("" : : : "memory");
        h.record(end() - t);
    }
}

void time_nops(Histogram& h, uint64_t n) {
    for (uint64_t i = 0; i < n; ++i) {
        dither(i);
        uint64_t t = begin();
        asm volatile(".rept 1000\n\tnop\n\t.endr" : : : "memory");
        h.record(end() - t);
    }
}

/// The clock's step, from bodies of many lengths.
uint64_t find_resolution() {
    static uint64_t differences[rounds];
    for (uint64_t i = 0; i < rounds; ++i) {
        uint64_t skip = i * 7 % 61;
        uint64_t t = begin();
        imul_chain_from(skip);
        differences[i] = end() - t;
    }
    return find_step(differences);
}

/// What a tight loop of timestamps sees in `span` ticks.
void observe_gaps(Instrument& in, uint64_t span) {
    GapScan scan = scan_for_gaps([] { return end(); }, span, in.overhead_p50);
    in.gap_scan = scan.scanned;
    in.gap_lost = scan.lost;
    in.gap_longest = scan.longest;
    in.gaps = scan.gaps;
    in.backward = scan.backward;
    in.stopped = scan.stopped;
    in.gap_share_ppm = cpu::mul_div(scan.lost, 1000000, scan.scanned);
}

/// What a body costs: its median, less a pair; in a coarse clock, where it is short, its mean.
uint64_t typical(const Instrument& in, Histogram& body, void (*time)(Histogram&, uint64_t)) {
    body.clear();
    time(body, 10);
    body.clear();
    time(body, rounds);
    uint64_t median = body.percentile(50000);
    if (in.coarse() && median < short_in_steps * in.resolution)
        return whole(mean_of(body, in.resolution) - in.overhead_mean);
    return median > in.overhead ? median - in.overhead : 0;
}

Spread spread_of(const Histogram& h) {
    return {h.min(), h.percentile(50000), h.percentile(99000), h.max()};
}

/// MSR_SMI_COUNT is there on Intel from Nehalem on (SDM vol. 4, table 2-15 and later); a
/// hypervisor's copy of it says nothing, so it is read on bare metal only.
bool counts_smis(const cpu::Features& f) {
    return f.intel() && !f.hypervisor_present && f.family == 6 && f.model >= 0x1A;
}
uint64_t smi_count() {
    using cpu::msr::SmiCount;
    return SmiCount::count.of(cpu::read<SmiCount>(cpu::Msrs{}));
}

/// What a pair of timestamps costs, and the clock's step.
void observe_pair(Instrument& in, Histogram& overhead) {
    overhead.clear();
    time_nothing(overhead, rounds);  // warms code and histogram
    overhead.clear();
    time_nothing(overhead, 10 * rounds);
    in.overhead_min = overhead.min();
    in.overhead_p50 = overhead.percentile(50000);
    in.overhead_p99 = overhead.percentile(99000);
    in.resolution = find_resolution();
    if (in.coarse()) in.overhead_mean = mean_of(overhead, in.resolution);
    // The least is what every pair costs; what is above it was noise of that moment. In a coarse
    // clock the least is what was rounded down: there it is the mean.
    in.overhead = in.coarse() ? whole(in.overhead_mean) : in.overhead_min;
}

/// What the fixed bodies cost; leaves the NOPs' histogram in `body`.
void observe_bodies(Instrument& in, Histogram& body, Histogram& recorded) {
    in.call_cost = typical(in, body, time_call);
    cpu::set_gate(cpu::vector::first_free, instrument_empty_interrupt);
    in.interrupt_cost = typical(in, body, time_interrupt);
    cpu::reset_gate(cpu::vector::first_free);
    recorded_here = &recorded;
    recorded.clear();
    in.record_cost = typical(in, body, time_record);
    in.thousand_nops = typical(in, body, time_nops);
    in.noise_p99 = body.percentile(99000) - body.percentile(50000);
}

}  // namespace

Instrument observe(const cpu::Features& features, const cpu::TscClock& tsc, Histogram* scratch) {
    Instrument in;
    Histogram &overhead = scratch[0], &body = scratch[1];
    in.smi_known = counts_smis(features);
    if (in.smi_known) {
        cpu::FaultGuard guard;
        in.smi_before = smi_count();
        in.smi_known = !guard.faulted();
    }
    observe_pair(in, overhead);
    observe_bodies(in, body, scratch[2]);

    Observed seen;
    seen.pair = spread_of(overhead);
    seen.nops = spread_of(body);
    seen.thousand_nops = in.thousand_nops;
    seen.call_cost = in.call_cost;
    seen.interrupt_cost = in.interrupt_cost;
    seen.resolution = in.resolution;
    in.counts_instructions = counts_instructions(seen);

    // 20 ms of a machine's time; in a counting clock nothing can be missing, and 1 ms shows that.
    observe_gaps(in, in.counts_instructions ? tsc.hz / 1000 : tsc.hz / 50);
    if (in.smi_known)
        in.smi_during = (smi_count() - in.smi_before) & cpu::msr::SmiCount::count.ones;
    seen.gap_share_ppm = in.gap_share_ppm;
    seen.smi_during = in.smi_during;
    seen.backward = in.backward;
    seen.stopped = in.stopped;
    seen.tcg = features.tcg();
    seen.invariant = features.invariant_tsc;
    seen.rate_sources = tsc.source_count;
    seen.rate_agree = tsc.agree;

    if (in.counts_instructions) {
        in.clock = "exact";
        in.unit = "insn";
    }
    Judgement j = judge(seen);
    in.evidence = name_of(j.evidence);
    in.verdict = j.verdict;
    in.because = j.because;
    return in;
}

}  // namespace doorbell::measure
