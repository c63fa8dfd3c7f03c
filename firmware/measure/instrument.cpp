#include "firmware/measure/instrument.h"

#include "firmware/cpu/descriptors.h"
#include "firmware/cpu/msr.h"
#include "firmware/measure/timed_body.h"

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

void time_call(Histogram& h, uint64_t n) {
    time_body(h, n, []() __attribute__((always_inline)) {
        asm volatile("call instrument_empty_call" : : : "memory");
    });
}

void time_interrupt(Histogram& h, uint64_t n) {
    time_body(h, n, []() __attribute__((always_inline)) {
        asm volatile("int %0" : : "i"(cpu::vector::first_free) : "memory");
    });
}

/// Recording itself, into a third histogram and with a value that the compiler does not know.
Histogram* recorded_here;
void time_record(Histogram& h, uint64_t n) {
    Histogram& target = *recorded_here;
    uint64_t value = 12345;
    time_body(h, n, [&]() __attribute__((always_inline)) {
        asm volatile("" : "+r"(value));
        target.record(value);
        asm volatile("" : : : "memory");
    });
}

/// MSR_SMI_COUNT exists on Intel processors from Nehalem on (SDM vol. 4, table 2-15 and later). A
/// hypervisor's copy of it means nothing, so it is read on bare metal only.
bool counts_smis(const cpu::Features& f) {
    return f.intel() && !f.hypervisor_present && f.family == 6 && f.model >= 0x1A;
}
uint64_t smi_count(cpu::Msrs msrs) {
    using cpu::msr::SmiCount;
    return SmiCount::count.of(cpu::read<SmiCount>(msrs));
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

Instrument observe(const cpu::Features& features, const cpu::TscClock& tsc, Histogram* scratch,
                   cpu::Msrs msrs) {
    Instrument in;
    Histogram &overhead = scratch[0], &body = scratch[1];
    in.smi_known = counts_smis(features);
    if (in.smi_known) {
        cpu::FaultGuard guard;
        in.smi_before = smi_count(msrs);
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
    GapScan scan = observe_gaps(in, in.counts_instructions ? tsc.hz / 1000 : tsc.hz / 50);
    in.backward = scan.backward;
    in.stopped = scan.stopped;
    if (in.smi_known)
        in.smi_during = (smi_count(msrs) - in.smi_before) & cpu::msr::SmiCount::count.ones;
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
