#include "firmware/measure/instrument.h"

#include <numeric>
#include <string_view>

#include "firmware/cpu/descriptors.h"
#include "firmware/measure/timestamp.h"

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

constexpr uint32_t msr_smi_count = 0x34;
constexpr uint64_t rounds = 1000;

void time_nothing(Histogram& h, uint64_t n) {
    for (uint64_t i = 0; i < n; ++i) {
        uint64_t t = begin();
        h.record(end() - t);
    }
}

void time_call(Histogram& h, uint64_t n) {
    for (uint64_t i = 0; i < n; ++i) {
        uint64_t t = begin();
        asm volatile("call instrument_empty_call" : : : "memory");
        h.record(end() - t);
    }
}

void time_interrupt(Histogram& h, uint64_t n) {
    for (uint64_t i = 0; i < n; ++i) {
        uint64_t t = begin();
        asm volatile("int %0" : : "i"(cpu::vector::first_free) : "memory");
        h.record(end() - t);
    }
}

/// Recording itself, into a third histogram and with a value that the compiler does not know.
void time_record(Histogram& h, Histogram& target, uint64_t n) {
    uint64_t value = 12345;
    for (uint64_t i = 0; i < n; ++i) {
        uint64_t t = begin();
        asm volatile("" : "+r"(value));
        target.record(value);
        asm volatile("" : : : "memory");
        h.record(end() - t);
    }
}

void time_nops(Histogram& h, uint64_t n) {
    for (uint64_t i = 0; i < n; ++i) {
        uint64_t t = begin();
        asm volatile(".rept 1000\n\tnop\n\t.endr" : : : "memory");
        h.record(end() - t);
    }
}

/// Bodies of differing length, a jump into a row of NOPs, so that every step the counter can make
/// is seen.
uint64_t find_resolution() {
    uint64_t common = 0;
    for (uint64_t i = 0; i < rounds; ++i) {
        uint64_t skip = i * 7 % 61;
        uint64_t t = begin();
        asm volatile(
            "leaq 1f(%0), %%rax\n\t"
            "jmp *%%rax\n"
            "1:\n\t"
            ".rept 61\n\tnop\n\t.endr"
            :
            : "r"(skip)
            : "rax", "memory");
        common = std::gcd(common, end() - t);
    }
    return common;
}

/// Reads the clock in a tight loop; a step far above the usual one is time that somebody else took.
void scan_for_gaps(Instrument& in, uint64_t span, uint64_t usual) {
    uint64_t threshold = usual * 10 + 100;
    uint64_t start = end(), last = start, now = start;
    while (now - start < span) {
        now = end();
        uint64_t step = now - last;
        if (step > threshold) {
            in.gap_lost += step - usual;
            ++in.gaps;
            if (step > in.gap_longest) in.gap_longest = step;
        }
        last = now;
    }
    in.gap_scan = now - start;
    in.gap_share_ppm =
        static_cast<uint64_t>(static_cast<unsigned __int128>(in.gap_lost) * 1000000 / in.gap_scan);
}

struct Judgement {
    Verdict verdict;
    const char* because;
};

Judgement judge(const Instrument& in, const cpu::Features& f) {
    if (in.counts_instructions)
        return {Verdict::exact,
                "1000 NOPs are 1000 ticks and an interrupt costs no more than a call: this clock "
                "counts instructions"};
    if (in.overhead_p50 > 2 * in.overhead_min + 20)
        return {Verdict::refused,
                "the cost of a timestamp is not stable: its median is more than twice its minimum"};
    if (f.tcg())
        return {Verdict::medians,
                "QEMU's emulation in the live clock: ticks of the host's time, good for a smoke "
                "test only"};
    if (!f.invariant_tsc)
        return {Verdict::medians, "the TSC is not invariant: its rate may change with the core's"};
    if (in.gap_share_ppm > 1000)
        return {Verdict::medians,
                "more than 0.1 % of the time is taken by something else (SMI, hypervisor)"};
    if (in.smi_during != 0)
        return {Verdict::medians, "a system management interrupt came while the clock was watched"};
    if (in.overhead_p99 > 4 * in.overhead_min + 100)
        return {Verdict::medians,
                "one timestamp in a hundred costs more than four times the least"};
    return {Verdict::tails,
            "invariant TSC, stable timestamp, less than 0.1 % of the time taken by something else"};
}

const char* evidence_of(const Instrument& in, const cpu::Features& f) {
    if (in.counts_instructions) return "exact";
    // A hypervisor that traps or emulates shows in an empty pair; hardware needs well under 1000
    // ticks.
    if (f.tcg() || in.overhead_p50 > 1000) return "rough";
    return "measured";
}

}  // namespace

const char* name_of(Verdict verdict) {
    switch (verdict) {
        case Verdict::exact:
            return "exact";
        case Verdict::tails:
            return "tails";
        case Verdict::medians:
            return "medians";
        case Verdict::refused:
            break;
    }
    return "refused";
}

Instrument observe(const cpu::Features& features, uint64_t tsc_hz, Histogram* scratch) {
    Instrument in;
    Histogram &overhead = scratch[0], &body = scratch[1];

    // MSR_SMI_COUNT is there on Intel from Nehalem on (SDM vol. 4, table 2-15 and later); a
    // hypervisor's copy of it says nothing, so it is read on bare metal only.
    in.smi_known = features.intel() && !features.hypervisor_present && features.family == 6 &&
                   features.model >= 0x1A;
    if (in.smi_known) {
        cpu::FaultGuard guard;
        in.smi_before = cpu::Msrs::read(msr_smi_count) & 0xFFFFFFFF;
        in.smi_known = !guard.faulted();
    }

    overhead.clear();
    time_nothing(overhead, rounds);  // warms code and histogram
    overhead.clear();
    time_nothing(overhead, 10 * rounds);
    in.overhead_min = overhead.min();
    in.overhead_p50 = overhead.percentile(50000);
    in.overhead_p99 = overhead.percentile(99000);
    // The least is what every pair costs; what is above it was noise of that moment.
    in.overhead = in.overhead_min;
    in.resolution = find_resolution();

    auto median = [&](void (*time)(Histogram&, uint64_t)) {
        body.clear();
        time(body, 10);
        body.clear();
        time(body, rounds);
        uint64_t m = body.percentile(50000);
        return m > in.overhead ? m - in.overhead : 0;
    };
    in.call_cost = median(time_call);
    cpu::set_gate(cpu::vector::first_free, instrument_empty_interrupt);
    in.interrupt_cost = median(time_interrupt);
    cpu::reset_gate(cpu::vector::first_free);
    scratch[2].clear();
    body.clear();
    time_record(body, scratch[2], rounds);
    in.record_cost = body.percentile(50000) - in.overhead;
    in.thousand_nops = median(time_nops);
    in.noise_p99 = body.percentile(99000) - body.percentile(50000);

    bool same_every_time = body.min() == body.max() && overhead.min() == overhead.max();
    in.counts_instructions =
        same_every_time && in.thousand_nops == 1000 && in.call_cost == 2 && in.interrupt_cost <= 4;

    // 20 ms of a machine's time; in a counting clock nothing can be missing, and 1 ms shows that.
    scan_for_gaps(in, in.counts_instructions ? tsc_hz / 1000 : tsc_hz / 50, in.overhead_p50);
    if (in.smi_known) in.smi_during = (cpu::Msrs::read(msr_smi_count) & 0xFFFFFFFF) - in.smi_before;

    if (in.counts_instructions) {
        in.clock = "exact";
        in.unit = "insn";
    }
    in.evidence = evidence_of(in, features);
    Judgement j = judge(in, features);
    in.verdict = j.verdict;
    in.because = j.because;
    return in;
}

}  // namespace doorbell::measure
