#include "firmware/measure/verdict.h"

namespace doorbell::measure {
namespace {

/// Ticks that are instructions to 1 %, the same every time. Hardware executes NOPs several at a
/// time and in ticks that are not its core's cycles.
bool ticks_are_instructions(const Observed& o) {
    return o.thousand_nops >= 990 && o.thousand_nops <= 1010 && o.nops.p99 - o.nops.min <= 10;
}

/// The least pair, in a coarse clock, is as much as a step longer than it reads.
uint64_t least_pair(const Observed& o) {
    return o.pair.min + (o.resolution > 1 ? o.resolution - 1 : 0);
}

/// Where both read 0 the clock is too coarse to tell one from the other.
bool no_dearer_than_two_calls(const Observed& o) {
    return o.interrupt_cost != 0 && o.interrupt_cost <= 2 * o.call_cost;
}

constexpr Rule all_rules[] = {
    {"stopped", [](const Observed& o) { return o.stopped || o.resolution == 0; }, Evidence::rough,
     Verdict::refused, "the TSC stands still"},
    {"backward", [](const Observed& o) { return o.backward != 0; }, Evidence::rough,
     Verdict::refused, "the TSC jumps: a read gave less than the read before it"},
    {"unstable", [](const Observed& o) { return o.pair.p50 > 2 * least_pair(o) + 20; },
     Evidence::measured, Verdict::refused,
     "the cost of a timestamp is not stable: its median is more than twice its minimum"},
    {"tcg", [](const Observed& o) { return o.tcg; }, Evidence::rough, Verdict::medians,
     "QEMU's emulation in the live clock: ticks of the host's time, good for a smoke test only"},
    {"trapped", [](const Observed& o) { return o.pair.p50 > 1000; }, Evidence::rough,
     Verdict::medians,
     "a timestamp costs more than 1000 ticks: a hypervisor without hardware behind it emulates "
     "this processor"},
    {"emulated-interrupt", no_dearer_than_two_calls, Evidence::rough, Verdict::medians,
     "an interrupt costs no more than two calls: an emulator, not hardware"},
    {"coarse", [](const Observed& o) { return o.interrupt_cost < o.resolution; }, Evidence::rough,
     Verdict::medians,
     "the clock is coarser than what it measures: its step is longer than an interrupt"},
    {"emulated-instructions", ticks_are_instructions, Evidence::rough, Verdict::medians,
     "1000 NOPs are 1000 ticks to 1 %, every time: an emulator that counts instructions, not "
     "hardware"},
    {"rate-unknown", [](const Observed& o) { return o.rate_sources > 1 && o.rate_agree < 2; },
     Evidence::rough, Verdict::medians, "no two sources of the TSC's frequency agree to 1000 ppm"},
    {"rate-unchecked", [](const Observed& o) { return o.rate_sources < 2; }, Evidence::rough,
     Verdict::medians, "no second source confirms the TSC's frequency"},
    {"variant", [](const Observed& o) { return !o.invariant; }, Evidence::measured,
     Verdict::medians, "the TSC is not invariant: its rate may change with the core's"},
    {"gaps", [](const Observed& o) { return o.gap_share_ppm > 1000; }, Evidence::measured,
     Verdict::medians,
     "more than 0.1 % of the time is taken by something else (SMI, interrupts, other tasks, a "
     "hypervisor)"},
    {"smi", [](const Observed& o) { return o.smi_during != 0; }, Evidence::measured,
     Verdict::medians, "a system management interrupt came while the clock was watched"},
    {"slow-timestamps", [](const Observed& o) { return o.pair.p99 > 4 * least_pair(o) + 100; },
     Evidence::measured, Verdict::medians,
     "one timestamp in a hundred costs more than four times the least"},
};

}  // namespace

const char* name_of(Evidence evidence) {
    constexpr const char* names[] = {"exact", "measured", "rough"};
    return names[static_cast<unsigned>(evidence)];
}

const char* name_of(Verdict verdict) {
    constexpr const char* names[] = {"exact", "tails", "medians", "refused"};
    return names[static_cast<unsigned>(verdict)];
}

bool counts_instructions(const Observed& o) {
    return o.pair.min == o.pair.max && o.nops.min == o.nops.max && o.thousand_nops == 1000 &&
           o.call_cost == 2 && o.interrupt_cost <= 4;
}

std::span<const Rule> rules() { return all_rules; }

Judgement judge(const Observed& o) {
    if (counts_instructions(o))
        return {Evidence::exact, Verdict::exact,
                "1000 NOPs are 1000 ticks and an interrupt costs no more than a call: this clock "
                "counts instructions"};
    Judgement j{Evidence::measured, Verdict::tails,
                "invariant TSC, stable timestamp, less than 0.1 % of the time taken by something "
                "else"};
    bool first = true;
    for (const Rule& rule : all_rules) {
        if (!rule.applies(o)) continue;
        if (first) j.because = rule.because;
        first = false;
        if (rule.evidence > j.evidence) j.evidence = rule.evidence;
        if (rule.verdict > j.verdict) j.verdict = rule.verdict;
    }
    return j;
}

}  // namespace doorbell::measure
