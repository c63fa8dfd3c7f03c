// When a timer's deadline passes, how soon does the program know? The deadline is the tick of the
// arming store plus the count; `latency` runs from there to the first timestamp of the code that
// now knows. For interrupts `round-trip` goes on to the interrupted code's next timestamp, in
// stages.
#include <cstddef>
#include <type_traits>

#include "firmware/cpu/descriptors.h"
#include "firmware/cpu/registers.h"
#include "firmware/measure/hold.h"
#include "firmware/measure/timestamp.h"
#include "firmware/wire/text.h"
#include "labs/kit/bench.h"
#include "labs/kit/case_timeout.h"
#include "labs/kit/choice.h"
#include "labs/kit/compare.h"
#include "labs/kit/handler.h"
#include "labs/kit/lab.h"
#include "labs/kit/timers.h"
#include "labs/kit/until_fired.h"

// What the handler leaves behind, in one cache line; the handler itself, for either way of ending
// an interrupt.
extern "C" {
struct alignas(64) TimerEvent {
    uint64_t known;             ///< first timestamp in the handler
    uint64_t handled;           ///< after the end of interrupt
    uint64_t end_of_interrupt;  ///< address of the xAPIC's EOI register
    volatile uint32_t fired;
};
[[gnu::used]] TimerEvent timer_event;
void timer_interrupt_xapic();
void timer_interrupt_x2apic();
}
// What the handler below takes for granted.
static_assert(offsetof(TimerEvent, known) == 0 && offsetof(TimerEvent, handled) == 8 &&
              offsetof(TimerEvent, end_of_interrupt) == 16 && offsetof(TimerEvent, fired) == 24);
asm(R"(
        .pushsection .text.timer, "ax"
        HANDLER_BEGIN timer_interrupt_xapic, timer_event
        HANDLER_END_OF_INTERRUPT 0, timer_event + 16
        HANDLER_STAMP timer_event + 8
        movl    $1, timer_event + 24(%rip)
        HANDLER_RETURN
        HANDLER_BEGIN timer_interrupt_x2apic, timer_event
        pushq   %rcx
        HANDLER_END_OF_INTERRUPT 1, timer_event + 16
        popq    %rcx
        HANDLER_STAMP timer_event + 8
        movl    $1, timer_event + 24(%rip)
        HANDLER_RETURN
        .popsection
)");

namespace doorbell::labs {
namespace {

constexpr uint8_t timer_vector = cpu::vector::first_free + 1;
constexpr const char* interrupt_stages[] = {"entry", "end-of-interrupt", "resume"};

constexpr Case cases[] = {
    "source=lapic wait=poll",
    "source=lapic wait=poll-tsc",
    "source=lapic wait=irq",
    "source=lapic wait=irq-halt",
    "source=lapic wait=mwait",
    "source=tsc-deadline wait=poll",
    "source=tsc-deadline wait=poll-tsc",
    "source=tsc-deadline wait=irq",
    "source=tsc-deadline wait=irq-halt",
    "source=tsc-deadline wait=mwait",
    "source=hpet wait=poll",
    "source=hpet wait=poll-tsc",
    "source=hpet wait=irq",
    "source=hpet wait=irq-halt",
    "source=hpet wait=mwait",
    "source=pit wait=poll",
    "source=pit wait=poll-tsc",
    "source=pit wait=irq",
    "source=pit wait=irq-halt",
    "source=pit wait=mwait",
};
static_assert(keys_are(cases, {"source wait"}));

constexpr Setting settings[] = {
    {"spacing", 5000, 2000, 40000000, "tick",
     "shortest time from arming to the deadline; up to a quarter of it is added by seed, so that "
     "no phase is favoured"},
};

class DeadlineTimer {
  public:
    explicit DeadlineTimer(Bench& bench, uint8_t) : apic_(*bench.machine.apic.device) {}
    Result<void> open(bool interrupts) {
        if (!apic_.has_deadline())
            return Lacking{"this processor has no TSC-deadline timer (CPUID.01H:ECX[24])"};
        apic_.set_timer_mode(cpu::TimerMode::tsc_deadline, timer_vector, !interrupts);
        // SDM vol. 3A, "TSC-Deadline Mode": the MSR write must not pass the LVT write in xAPIC
        // mode.
        asm volatile("mfence" : : : "memory");
        return {};
    }
    void close() {
        apic_.arm_deadline(0);
        apic_.set_timer_mode(cpu::TimerMode::one_shot, timer_vector, true);
    }
    uint64_t arm(uint64_t delay) const {
        uint64_t deadline = measure::end() + delay;
        apic_.arm_deadline(deadline);
        return deadline;
    }
    /// SDM vol. 3A, "TSC-Deadline Mode": the MSR reads 0 once the deadline has passed.
    bool passed() const { return !cpu::read<cpu::msr::TscDeadline>(cpu::Msrs{}); }
    void expire() const { apic_.arm_deadline(0); }
    uint64_t wait_by_poll(uint64_t begin) const {
        uint32_t low, high;
        asm volatile(DOORBELL_HOLD
                     "movl %3, %%ecx\n"
                     "1:\trdmsr\n\torl %%edx, %%eax\n\tjnz 1b\n\tlfence\n\trdtsc"
                     : "=&a"(low), "=&d"(high), "+c"(begin)
                     : "i"(cpu::msr::TscDeadline::address)
                     : "memory", "cc");
        return uint64_t{high} << 32 | low;
    }

  private:
    const cpu::LocalApic& apic_;
};

/// Waits for the deadline with the TSC alone. Compares the low halves, which is right for deadlines
/// less than 2^31 ticks away (the largest spacing sees to that) and makes the loop three
/// instructions.
[[gnu::always_inline]] inline uint64_t spin_on_tsc(uint64_t deadline, uint64_t begin) {
    uint32_t low, high;
    asm volatile(DOORBELL_HOLD
                 "1:\n\t"
                 "rdtsc\n\t"
                 "subl %3, %%eax\n\t"
                 "js 1b\n\t"
                 "lfence\n\t"
                 "rdtsc"
                 : "=&a"(low), "=&d"(high), "+c"(begin)
                 : "r"(static_cast<uint32_t>(deadline))
                 : "cc", "memory");
    return uint64_t{high} << 32 | low;
}

enum class Idle { busy, halt, mwait };

template <Idle idle>
[[gnu::always_inline]] inline uint64_t await_handler(uint64_t begin) {
    if constexpr (idle == Idle::busy) return spin_until_fired(timer_event, begin);
    if constexpr (idle == Idle::halt) return halt_until_fired(timer_event, begin);
    if constexpr (idle == Idle::mwait) return mwait_until_fired(timer_event, begin);
}

/// Where the clock counts instructions, a wait begins at a tick before the deadline that the seed
/// chooses: at the same phase whatever a compiler put between the arming and the wait. With another
/// clock, at once.
class Beginning {
  public:
    explicit Beginning(Bench& bench) : random_(bench.random), exact_(bench.exact() ? ~0ull : 0) {}
    /// How long before the deadline: to be asked before the arming.
    uint64_t early() { return 1000 + random_.below(64); }
    uint64_t at(uint64_t deadline, uint64_t early) const { return (deadline - early) & exact_; }

  private:
    measure::Random& random_;
    uint64_t exact_;
};

/// How long the lab waits for an event that should have come, in ticks. Where time is the host's,
/// the host may give the emulator's processor away for long.
uint64_t longest_wait(const Bench& bench) {
    return bench.exact() ? bench.machine.tsc.hz / 100 : bench.machine.tsc.hz;
}

/// One event in a bounded wait: the measured loops are not bounded, so this shows beforehand that
/// the event is seen. It is armed again where it does not come: a host that gave the processor away
/// between reading a counter and arming its comparator let the deadline pass by. Error:
/// `otherwise`.
template <class Source, class Condition>
Result<void> try_once(Bench& bench, Source& source, uint64_t spacing, const Error& otherwise,
                      Condition&& known) {
    for (unsigned attempt = 0; attempt < 3; ++attempt) {
        uint64_t end = source.arm(spacing) + longest_wait(bench);
        while (static_cast<int64_t>(measure::end() - end) < 0)
            if (known()) return {};
    }
    return otherwise;
}

/// Why an interrupt that was tried did not arrive. Boards exist whose PIT does not reach the
/// I/O APIC input that the MADT names: the machine lacks that path then.
template <class Source>
Error not_arrived() {
    if constexpr (std::is_same_v<Source, PitTimer>)
        return Lacking{"the PIT's interrupt does not arrive at the I/O APIC input that ACPI names"};
    return Error{"the timer's interrupt did not arrive: tried three times"};
}

/// Which timer may end a wait for this source.
template <class Source>
constexpr CaseTimeout::Lapic lapic_beside =
    std::is_same_v<Source, HpetTimer> || std::is_same_v<Source, PitTimer>
        ? CaseTimeout::Lapic::free
        : CaseTimeout::Lapic::measured;

/// Calls `sample(delay, early)` for each sample: how far away its deadline is to be, and how much
/// before that the wait is to begin.
template <class Sample>
void at_each_deadline(Bench& bench, Beginning& beginning, Sample&& sample) {
    uint64_t spacing = bench.setting("spacing");
    bench.repeat([&](uint64_t count) {
        for (uint64_t i = 0; i < count; ++i) {
            uint64_t delay = spacing + bench.random.below(spacing / 4);
            sample(delay, beginning.early());
        }
    });
}

template <class Source, Idle idle>
Result<void> by_interrupt(Bench& bench, Source& source) {
    measure::Series& latency = bench.series("latency", {.derived = "round-trip:entry"});
    measure::Series& round_trip =
        bench.series("round-trip", {.stages = interrupt_stages, .since_event = true});
    bool x2 = bench.machine.apic->x2();
    timer_event.end_of_interrupt =
        x2 ? 0
           : bench.machine.apic->xapic().base() +
                 static_cast<uint64_t>(cpu::ApicRegister::end_of_interrupt);
    cpu::set_gate(timer_vector, x2 ? timer_interrupt_x2apic : timer_interrupt_xapic);
    uint64_t spacing = bench.setting("spacing");
    Beginning beginning(bench);
    cpu::enable_interrupts();
    timer_event.fired = 0;
    auto arrives = try_once(bench, source, spacing, not_arrived<Source>(),
                            [] { return timer_event.fired != 0; });
    CaseTimeout timeout(bench, lapic_beside<Source>, [](cpu::Frame&) { timer_event.fired = 1; });
    // HLT returns by any interrupt; MWAIT by what an emulator or a hypervisor makes of it.
    if (idle == Idle::mwait && arrives && !timeout.armed())
        arrives =
            Lacking{"this machine has no second timer to end MWAIT where its wake-up is lost"};
    if (arrives)
        at_each_deadline(bench, beginning, [&](uint64_t delay, uint64_t early) {
            timeout.wait_from_now();
            timer_event.fired = 0;
            uint64_t marks[4];
            marks[0] = source.arm(delay);
            marks[3] = await_handler<idle>(beginning.at(marks[0], early));
            marks[1] = timer_event.known;
            marks[2] = timer_event.handled;
            latency.record(marks[1] - marks[0]);
            round_trip.record_path(marks);
        });
    cpu::disable_interrupts();
    cpu::reset_gate(timer_vector);
    return timeout.outcome(arrives,
                           DOORBELL_DID_NOT_COME("the timer's interrupt, or the wake-up by it,"));
}

template <class Source>
Result<void> by_poll(Bench& bench, Source& source) {
    measure::Series& latency = bench.series("latency", {.since_event = true});
    uint64_t spacing = bench.setting("spacing");
    Beginning beginning(bench);
    auto tells =
        try_once(bench, source, spacing,
                 Error{"the timer does not say that its deadline has passed: tried three times"},
                 [&] { return source.passed(); });
    static Source* polled;
    polled = &source;
    CaseTimeout timeout(bench, lapic_beside<Source>, [](cpu::Frame&) { polled->expire(); });
    cpu::enable_interrupts();
    if (tells)
        at_each_deadline(bench, beginning, [&](uint64_t delay, uint64_t early) {
            timeout.wait_from_now();
            uint64_t deadline = source.arm(delay);
            latency.record(source.wait_by_poll(beginning.at(deadline, early)) - deadline);
        });
    cpu::disable_interrupts();
    return timeout.outcome(tells,
                           DOORBELL_DID_NOT_COME("the timer's sign that its deadline has passed"));
}

/// Needs no timeout: the TSC itself ends the wait.
template <class Source>
Result<void> by_tsc(Bench& bench, Source& source) {
    measure::Series& latency = bench.series("latency", {.since_event = true});
    Beginning beginning(bench);
    at_each_deadline(bench, beginning, [&](uint64_t delay, uint64_t early) {
        uint64_t deadline = source.arm(delay);
        latency.record(spin_on_tsc(deadline, beginning.at(deadline, early)) - deadline);
    });
    return {};
}

/// One way to wait.
template <class Source>
struct Waiting {
    Result<void> (*measure)(Bench&, Source&);
    bool interrupts, halts;
};
template <class Source>
constexpr Choice<Waiting<Source>> waits[] = {
    {"poll", {by_poll<Source>, false, false}},
    {"poll-tsc", {by_tsc<Source>, false, false}},
    {"irq", {by_interrupt<Source, Idle::busy>, true, false}},
    {"irq-halt", {by_interrupt<Source, Idle::halt>, true, true}},
    {"mwait", {by_interrupt<Source, Idle::mwait>, true, true}}};
static_assert(all_chosen(cases, "wait", waits<LapicTimer>));

template <class Source>
Result<void> measure_source(Bench& bench, std::string_view wait) {
    if (wait == "mwait" && !bench.machine.features.monitor)
        return Lacking{"this processor has no MONITOR/MWAIT (CPUID.01H:ECX[3])"};
    auto* waiting = chosen(waits<Source>, wait);
    if (waiting == nullptr) return no_such_choice;
    Source source(bench, timer_vector);
    DOORBELL_TRY(source.open(waiting->interrupts));
    Result<void> done = waiting->measure(bench, source);
    source.close();
    if (waiting->halts && bench.exact())
        for (measure::Series* s : bench.all()) s->flag(halted_flag);
    return done;
}

constexpr Choice<Result<void> (*)(Bench&, std::string_view wait)> sources[] = {
    {"lapic", measure_source<LapicTimer>},
    {"tsc-deadline", measure_source<DeadlineTimer>},
    {"hpet", measure_source<HpetTimer>},
    {"pit", measure_source<PitTimer>}};
static_assert(all_chosen(cases, "source", sources));

Result<void> body(Bench& bench, const Case& test_case) {
    auto* measure = chosen(sources, test_case["source"]);
    return measure == nullptr ? no_such_choice : (*measure)(bench, test_case["wait"]);
}

// The clock that counts instructions does not have the price of an interrupt in its numbers.
constexpr const char* interrupt_is_one = "this clock counts an interrupt as one instruction";

ClaimVerdict interrupt_is_steady(const Results& results) {
    return judge_path_length(results, "timer", {"source=lapic wait=irq", "latency"},
                             [](const Summary& s) { return s.min == s.max; });
}

constexpr Claim claims[] = {
    {"poll-sooner-than-irq", "spinning on the TSC knows sooner than a busy interrupt",
     below({"source=lapic wait=poll-tsc", "latency"}, {"source=lapic wait=irq", "latency"}, 1,
           interrupt_is_one)},
    {"busy-sooner-than-halted", "an interrupt reaches a busy processor sooner than a halted one",
     below({"source=lapic wait=irq", "latency"}, {"source=lapic wait=irq-halt", "latency"}, 1,
           interrupt_is_one)},
    {"same-path-every-time", "the path from deadline to handler has the same length every time",
     interrupt_is_steady},
};

}  // namespace

extern const Lab timer_lab = define_lab(
    {.name = "timer",
     .question =
         "When a timer's deadline passes, how soon does the program know, by asking or by being "
         "told?",
     .needs =
         "a local APIC; HPET, PIT, MONITOR/MWAIT and the TSC-deadline timer where there are any",
     .counters = "instructions iretq mmio_writes l1i_misses l1d_misses branch_misses"},
    cases, settings, claims, body);

}  // namespace doorbell::labs
