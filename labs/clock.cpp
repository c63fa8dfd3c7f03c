// What each way of telling the time costs and resolves. Two series a clock: `cost` is one reading,
// with the timestamps around it taken off; `step` is the time from one change of the reading to the
// next as a program that does nothing else sees it.
#include "firmware/cpu/descriptors.h"
#include "firmware/measure/hold.h"
#include "firmware/measure/timestamp.h"
#include "labs/kit/beginning.h"
#include "labs/kit/bench.h"
#include "labs/kit/choice.h"
#include "labs/kit/lab.h"

namespace doorbell::labs {
namespace {

constexpr Case cases[] = {"clock=rdtsc", "clock=rdtsc-fenced", "clock=rdtscp", "clock=lapic",
                          "clock=hpet",  "clock=pm-timer",     "clock=pit"};
static_assert(keys_are(cases, {"clock"}));

/// What a reading needs: the address or port of its register, or nothing.
struct Clock {
    uint64_t at = 0;
};

/// One sample: a reading between two timestamps; then readings until they change, and again until
/// they change. All of it is assembly, so that no compiler's choice is in a cost or a step.
struct Sample {
    uint64_t cost;  ///< with the pair of timestamps
    uint64_t step;
};
using Take = Sample (*)(const Clock& clock, uint64_t begin);

// A reading takes its register from RSI and leaves its value in RAX; it may destroy RCX and RDX.
#define CLOCK_SAMPLE(name, reading)                                                             \
    Sample name(const Clock& clock, uint64_t begin) {                                           \
        uint64_t start, ended, first, second, last;                                             \
        asm volatile(                                                                           \
            DOORBELL_HOLD CLOCK_NOW                                                             \
            "movq %%rax, %[start]\n\tlfence\n\t" reading "movq %%rax, %[last]\n\t" CLOCK_NOW    \
            "movq %%rax, %[ended]\n"                                                            \
            "1:\t" reading "cmpq %%rax, %[last]\n\tje 1b\n\t" CLOCK_NOW                         \
            "movq %%rax, %[first]\n\t" reading                                                  \
            "movq %%rax, %[last]\n"                                                             \
            "2:\t" reading "cmpq %%rax, %[last]\n\tje 2b\n\t" CLOCK_NOW "movq %%rax, %[second]" \
            : [start] "=&r"(start), [ended] "=&r"(ended), [first] "=&r"(first),                 \
              [second] "=&r"(second), [last] "=&r"(last), "+c"(begin)                           \
            : "S"(clock.at)                                                                     \
            : "rax", "rdx", "memory", "cc");                                                    \
        return {ended - start, second - first};                                                 \
    }
#define CLOCK_NOW "lfence\n\trdtsc\n\tshlq $32, %%rdx\n\torq %%rdx, %%rax\n\t"

CLOCK_SAMPLE(sample_rdtsc, "rdtsc\n\tshlq $32, %%rdx\n\torq %%rdx, %%rax\n\t")
CLOCK_SAMPLE(sample_rdtsc_fenced,
             "lfence\n\trdtsc\n\tshlq $32, %%rdx\n\torq %%rdx, %%rax\n\tlfence\n\t")
CLOCK_SAMPLE(sample_rdtscp, "rdtscp\n\tshlq $32, %%rdx\n\torq %%rdx, %%rax\n\t")
CLOCK_SAMPLE(sample_memory, "movl (%%rsi), %%eax\n\t")
CLOCK_SAMPLE(sample_x2apic, "movl $0x839, %%ecx\n\trdmsr\n\t")
CLOCK_SAMPLE(sample_port, "movl %%esi, %%edx\n\tinl %%dx, %%eax\n\t")
// Channel 2's count, latched: low byte, high byte.
CLOCK_SAMPLE(sample_pit,
             "movb $0x80, %%al\n\toutb %%al, $0x43\n\txorl %%eax, %%eax\n\tinb $0x42, %%al\n\t"
             "movl %%eax, %%edx\n\tinb $0x42, %%al\n\tshll $8, %%eax\n\torl %%edx, %%eax\n\t")

/// `align`, where there is one, brings the device into the phase in which the samples begin.
Result<void> measure_clock(Bench& bench, Take take, const Clock& clock = {},
                           void (*align)(Bench&) = nullptr) {
    /// Where the clock counts instructions, each sample begins at a multiple of so many: longer
    /// than a sample takes.
    constexpr uint64_t grid = 10000;
    measure::Series& cost = bench.series("cost", {.less_overhead = true});
    measure::Series& step = bench.series("step");
    if (align != nullptr) align(bench);
    bench.repeat([&](uint64_t count) {
        for (uint64_t i = 0; i < count; ++i) {
            Sample sample = take(clock, bench.exact() ? measure::next_multiple(grid) : 0);
            cost.record(sample.cost);
            step.record(sample.step);
        }
    });
    return {};
}

/// 3,579,545 Hz: a whole number of its ticks is a fifth of a second.
[[maybe_unused]] void align_pm_timer(Bench& bench) {
    begin_at_multiple(bench, bench.machine.tsc.hz / 5);
}

/// The counter counts from its load on: channel 2, mode 0, 0xFFFF.
[[maybe_unused]] void load_pit(Bench& bench) {
    uint64_t begin = bench.exact() ? measure::next_multiple(1000000) : 0;
    asm volatile(DOORBELL_HOLD
                 "movb $0xB0, %%al\n\toutb %%al, $0x43\n\t"
                 "movb $0xFF, %%al\n\toutb %%al, $0x42\n\toutb %%al, $0x42"
                 : "+c"(begin)
                 :
                 : "rax", "rdx", "memory", "cc");
}

Result<void> measure_apic(Bench& bench) {
    platform::Machine& m = bench.machine;
    m.apic->set_timer_mode(cpu::TimerMode::periodic, cpu::vector::spurious, true);
    m.apic->set_divide_1();
    m.apic->set_initial_count(~0u);
    auto done = m.apic->x2()
                    ? measure_clock(bench, sample_x2apic)
                    : measure_clock(bench, sample_memory,
                                    {m.apic->xapic().base() +
                                     static_cast<uint64_t>(cpu::ApicRegister::current_count)});
    m.apic->set_initial_count(0);
    return done;
}

Result<void> measure_rdtsc(Bench& bench) { return measure_clock(bench, sample_rdtsc); }
Result<void> measure_rdtsc_fenced(Bench& bench) {
    return measure_clock(bench, sample_rdtsc_fenced);
}
Result<void> measure_rdtscp(Bench& bench) {
    if (!bench.machine.features.rdtscp)
        return Lacking{"this processor has no RDTSCP (CPUID 80000001H:EDX[27])"};
    return measure_clock(bench, sample_rdtscp);
}
Result<void> measure_hpet(Bench& bench) {
    platform::Machine& m = bench.machine;
    if (!m.hpet) return m.hpet.absent;
    return measure_clock(bench, sample_memory,
                         {m.hpet->base() + platform::hpet::MainCounter::address});
}
Result<void> measure_pm_timer(Bench& bench) {
    platform::Machine& m = bench.machine;
    if (!m.pm_timer) return m.pm_timer.absent;
    return measure_clock(bench, sample_port, {m.pm_timer->port()}, align_pm_timer);
}
Result<void> measure_pit(Bench& bench) {
    if (!bench.machine.pit) return bench.machine.pit.absent;
    return measure_clock(bench, sample_pit, {}, load_pit);
}

constexpr Choice<Result<void> (*)(Bench&)> clocks[] = {
    {"rdtsc", measure_rdtsc},   {"rdtsc-fenced", measure_rdtsc_fenced},
    {"rdtscp", measure_rdtscp}, {"lapic", measure_apic},
    {"hpet", measure_hpet},     {"pm-timer", measure_pm_timer},
    {"pit", measure_pit}};
static_assert(all_chosen(cases, "clock", clocks));

Result<void> body(Bench& bench, const Case& test_case) {
    auto* measure = chosen(clocks, test_case["clock"]);
    return measure == nullptr ? no_such_choice : (*measure)(bench);
}

}  // namespace

extern const Lab clock_lab = define_lab(
    {.name = "clock",
     .question = "What does each way of telling the time cost, and what does it resolve?",
     .needs = "nothing; HPET, PM timer and PIT where there are any",
     .counters = "instructions loads mmio_reads mmio_writes port_reads port_writes"},
    cases, {}, {}, body);

}  // namespace doorbell::labs
