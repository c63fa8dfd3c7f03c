// What each way of telling the time costs and resolves. Two series a clock: `cost` is one reading,
// with the timestamps around it taken off; `step` is the time from one change of the reading to the
// next as a program that does nothing else sees it.
#include "firmware/cpu/descriptors.h"
#include "firmware/measure/timestamp.h"
#include "labs/kit/bench.h"
#include "labs/kit/lab.h"

namespace doorbell::labs {
namespace {

constexpr Case cases[] = {"clock=rdtsc", "clock=rdtsc-fenced", "clock=rdtscp", "clock=lapic",
                          "clock=hpet",  "clock=pm-timer",     "clock=pit"};

struct Rdtsc {
    uint64_t operator()() const {
        uint32_t low, high;
        asm volatile("rdtsc" : "=a"(low), "=d"(high));
        return uint64_t{high} << 32 | low;
    }
};
struct RdtscFenced {
    uint64_t operator()() const { return measure::begin(); }
};
struct Rdtscp {
    uint64_t operator()() const {
        uint32_t low, high, processor;
        asm volatile("rdtscp" : "=a"(low), "=d"(high), "=c"(processor));
        return uint64_t{high} << 32 | low;
    }
};
struct ApicCount {
    const cpu::LocalApic& apic;
    uint64_t operator()() const { return apic.current_count(); }
};
struct HpetCounter {
    const platform::Hpet& hpet;
    uint64_t operator()() const { return hpet.counter32(); }
};
struct PmCounter {
    const platform::PmTimer& timer;
    uint64_t operator()() const { return timer.read(); }
};
struct PitCounter {
    const platform::Pit& pit;
    uint64_t operator()() const { return pit.free_counter(); }
};

template <class Clock>
Result<void> measure_clock(Bench& bench, const Clock& clock) {
    measure::Series& cost = bench.series("cost", {.less_overhead = true});
    measure::Series& step = bench.series("step");
    bench.repeat([&](uint64_t count) {
        for (uint64_t i = 0; i < count; ++i) {
            uint64_t t = measure::begin();
            uint64_t now = clock();
            cost.record(measure::end() - t);
            // To an edge, then to the next one.
            uint64_t last = now, next;
            while ((next = clock()) == last) {
            }
            uint64_t first_edge = measure::end();
            last = clock();
            while ((next = clock()) == last) {
            }
            step.record(measure::end() - first_edge);
        }
    });
    return {};
}

Result<void> body(Bench& bench, const Case& which) {
    platform::Machine& m = bench.machine;
    std::string_view clock = which["clock"];
    if (clock == "rdtsc") return measure_clock(bench, Rdtsc{});
    if (clock == "rdtsc-fenced") return measure_clock(bench, RdtscFenced{});
    if (clock == "rdtscp") {
        if (!m.features.rdtscp)
            return Error{"this processor has no RDTSCP (CPUID 80000001H:EDX[27])"};
        return measure_clock(bench, Rdtscp{});
    }
    if (clock == "lapic") {
        m.apic->set_timer_mode(cpu::TimerMode::periodic, cpu::vector::spurious, true);
        m.apic->set_divide_1();
        m.apic->set_initial_count(~0u);
        auto done = measure_clock(bench, ApicCount{*m.apic.device});
        m.apic->set_initial_count(0);
        return done;
    }
    if (clock == "hpet")
        return m.hpet ? measure_clock(bench, HpetCounter{*m.hpet.device}) : m.hpet.absent;
    if (clock == "pm-timer")
        return m.pm_timer ? measure_clock(bench, PmCounter{*m.pm_timer.device}) : m.pm_timer.absent;
    return m.pit ? measure_clock(bench, PitCounter{*m.pit.device}) : m.pit.absent;
}

constexpr const char* shown[] = {"instructions", "loads",      "mmio_reads",
                                 "mmio_writes",  "port_reads", "port_writes"};

}  // namespace

extern const Lab clock_lab{
    .name = "clock",
    .question = "What does each way of telling the time cost, and what does it resolve?",
    .needs = "nothing; HPET, PM timer and PIT where there are any",
    .cases = cases,
    .settings = {},
    .claims = {},
    .body = in_image(body),
    .counters = for_the_table(shown),
};

}  // namespace doorbell::labs
