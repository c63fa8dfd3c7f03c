// When a timer's deadline passes, how soon does the program know? The deadline is the tick of the
// arming store plus the count; `latency` runs from there to the first timestamp of the code that
// now knows. For interrupts `round-trip` goes on to the interrupted code's next timestamp, in
// stages.
#include "firmware/cpu/descriptors.h"
#include "firmware/cpu/registers.h"
#include "firmware/measure/timestamp.h"
#include "firmware/wire/text.h"
#include "labs/kit/bench.h"
#include "labs/kit/lab.h"
#include "labs/kit/timers.h"

// What the handler leaves behind, in one cache line; the handler itself, for either way of ending
// an interrupt. The first timestamp stands as early as it can: two registers must be saved for
// RDTSC.
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
asm(R"(
        .pushsection .text.timer, "ax"
        .macro  TIMER_STAMP offset
        lfence
        rdtsc
        movl    %eax, timer_event + \offset(%rip)
        movl    %edx, 4 + timer_event + \offset(%rip)
        .endm
        .balign 64
timer_interrupt_xapic:
        pushq   %rax
        pushq   %rdx
        TIMER_STAMP 0
        movq    timer_event + 16(%rip), %rax
        movl    $0, (%rax)
        TIMER_STAMP 8
        movl    $1, timer_event + 24(%rip)
        popq    %rdx
        popq    %rax
        iretq
        .balign 64
timer_interrupt_x2apic:
        pushq   %rax
        pushq   %rdx
        TIMER_STAMP 0
        pushq   %rcx
        movl    $0x80B, %ecx
        xorl    %eax, %eax
        xorl    %edx, %edx
        wrmsr
        popq    %rcx
        TIMER_STAMP 8
        movl    $1, timer_event + 24(%rip)
        popq    %rdx
        popq    %rax
        iretq
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
            return Error{"this processor has no TSC-deadline timer (CPUID.01H:ECX[24])"};
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
    bool passed() const { return cpu::Msrs{}.read(cpu::msr_tsc_deadline) == 0; }
    void wait_by_poll() const {
        while (!passed()) {
        }
    }

  private:
    const cpu::LocalApic& apic_;
};

class PitTimer {
  public:
    explicit PitTimer(Bench& bench, uint8_t) : machine_(bench.machine) {
        auto scaled =
            static_cast<unsigned __int128>(machine_.tsc.hz) * platform::Pit::hz_denominator;
        rate_ = static_cast<uint64_t>((scaled << 32) / platform::Pit::hz_numerator);
    }
    Result<void> open(bool interrupts) {
        if (!machine_.pit) return machine_.pit.absent;
        return machine_.route_isa(0, timer_vector, !interrupts);
    }
    void close() {
        (void)machine_.route_isa(0, timer_vector, true);
        machine_.pit->stop();
    }
    /// The counter takes the count at its first input clock after the second byte, which is up to
    /// one clock (838 ns) away and counted as latency: the chip does not tell where in its period
    /// it is.
    uint64_t arm(uint64_t delay) const {
        uint64_t count = counts_in(delay, rate_);
        if (count > 0xFFFF) count = 0xFFFF;
        constexpr uint16_t port = platform::Pit::channel0_port;
        cpu::Ports ports;
        ports.out8(platform::Pit::command_port, 0x30);
        ports.out8(port, static_cast<uint8_t>(count));
        uint32_t low, high;
        asm volatile("lfence\n\trdtsc" : "=a"(low), "=d"(high) : : "memory");
        uint64_t t = uint64_t{high} << 32 | low;
        ports.out8(port, static_cast<uint8_t>(count >> 8));
        return t + scale(count, rate_);
    }
    bool passed() const { return machine_.pit->expired(); }
    void wait_by_poll() const {
        while (!passed()) {
        }
    }

  private:
    platform::Machine& machine_;
    uint64_t rate_ = 1;
};

/// Waits for the deadline with the TSC alone. Compares the low halves, which is right for deadlines
/// less than 2^31 ticks away (the largest spacing sees to that) and makes the loop three
/// instructions.
[[gnu::always_inline]] inline uint64_t spin_on_tsc(uint64_t deadline) {
    uint32_t low, high;
    asm volatile(
        "1:\n\t"
        "rdtsc\n\t"
        "subl %2, %%eax\n\t"
        "js 1b\n\t"
        "lfence\n\t"
        "rdtsc"
        : "=&a"(low), "=&d"(high)
        : "r"(static_cast<uint32_t>(deadline))
        : "cc", "memory");
    return uint64_t{high} << 32 | low;
}

enum class Idle { busy, halt, mwait };

/// Until the handler has run. STI lets an interrupt through only after the next instruction, so
/// that none can come between the look at `fired` and HLT. The RDTSC in front serves QEMU's
/// instruction clock: HLT there resumes from the clock's last reading, and a stale one would make
/// the wake-up late.
template <Idle idle>
[[gnu::always_inline]] inline void await_handler() {
    if constexpr (idle == Idle::busy) {
        while (timer_event.fired == 0) {
        }
    } else {
        for (;;) {
            cpu::disable_interrupts();
            if constexpr (idle == Idle::mwait)
                asm volatile("monitor" : : "a"(&timer_event), "c"(0), "d"(0) : "memory");
            if (timer_event.fired != 0) break;
            if constexpr (idle == Idle::halt)
                asm volatile("rdtsc\n\tsti\n\thlt" : : : "rax", "rdx", "memory");
            else
                asm volatile("rdtsc\n\txorl %%eax, %%eax\n\tsti\n\tmwait\n\tnop"
                             :
                             : "c"(0)
                             : "rax", "rdx", "memory");
        }
        cpu::enable_interrupts();
    }
}

/// One event, waited for with an end in sight: the measured loops have none, so this shows
/// beforehand that it is known of. Ten spacings after the deadline it is given up.
template <class Source, class Condition>
Result<void> try_once(Source& source, uint64_t spacing, const char* otherwise, Condition&& known) {
    uint64_t deadline = source.arm(spacing);
    while (!known())
        if (static_cast<int64_t>(measure::end() - deadline) > static_cast<int64_t>(10 * spacing))
            return Error{otherwise};
    return {};
}

template <class Source, Idle idle>
Result<void> by_interrupt(Bench& bench, Source& source) {
    measure::Series& latency = bench.series("latency");
    measure::Series& round_trip = bench.series("round-trip", {.stages = interrupt_stages});
    bool x2 = bench.machine.apic->x2();
    timer_event.end_of_interrupt =
        x2 ? 0
           : bench.machine.apic->xapic().base() +
                 static_cast<uint64_t>(cpu::ApicRegister::end_of_interrupt);
    cpu::set_gate(timer_vector, x2 ? timer_interrupt_x2apic : timer_interrupt_xapic);
    uint64_t spacing = bench.setting("spacing");
    cpu::enable_interrupts();
    timer_event.fired = 0;
    auto arrives =
        try_once(source, spacing,
                 "the timer's interrupt did not arrive: tried once, waited ten times the spacing",
                 [] { return timer_event.fired != 0; });
    if (arrives)
        bench.repeat([&](uint64_t count) {
            for (uint64_t i = 0; i < count; ++i) {
                uint64_t delay = spacing + bench.random.below(spacing / 4);
                timer_event.fired = 0;
                uint64_t marks[4];
                marks[0] = source.arm(delay);
                await_handler<idle>();
                marks[3] = measure::end();
                marks[1] = timer_event.known;
                marks[2] = timer_event.handled;
                latency.record(marks[1] - marks[0]);
                round_trip.record_path(marks);
            }
        });
    cpu::disable_interrupts();
    cpu::reset_gate(timer_vector);
    return arrives;
}

template <class Source>
Result<void> by_poll(Bench& bench, Source& source) {
    measure::Series& latency = bench.series("latency");
    uint64_t spacing = bench.setting("spacing");
    auto tells = try_once(source, spacing,
                          "the timer does not say that its deadline has passed: tried once, waited "
                          "ten times the spacing",
                          [&] { return source.passed(); });
    if (tells)
        bench.repeat([&](uint64_t count) {
            for (uint64_t i = 0; i < count; ++i) {
                uint64_t deadline = source.arm(spacing + bench.random.below(spacing / 4));
                source.wait_by_poll();
                latency.record(measure::end() - deadline);
            }
        });
    return tells;
}

template <class Source>
Result<void> by_tsc(Bench& bench, Source& source) {
    measure::Series& latency = bench.series("latency");
    uint64_t spacing = bench.setting("spacing");
    bench.repeat([&](uint64_t count) {
        for (uint64_t i = 0; i < count; ++i) {
            uint64_t deadline = source.arm(spacing + bench.random.below(spacing / 4));
            latency.record(spin_on_tsc(deadline) - deadline);
        }
    });
    return {};
}

template <class Source>
Result<void> measure_source(Bench& bench, std::string_view wait) {
    if (wait == "mwait" && !bench.machine.features.monitor)
        return Error{"this processor has no MONITOR/MWAIT (CPUID.01H:ECX[3])"};
    Source source(bench, timer_vector);
    bool interrupts = wait != "poll" && wait != "poll-tsc";
    auto opened = source.open(interrupts);
    if (!opened) return opened;
    Result<void> done = wait == "poll"       ? by_poll(bench, source)
                        : wait == "poll-tsc" ? by_tsc(bench, source)
                        : wait == "irq"      ? by_interrupt<Source, Idle::busy>(bench, source)
                        : wait == "irq-halt" ? by_interrupt<Source, Idle::halt>(bench, source)
                                             : by_interrupt<Source, Idle::mwait>(bench, source);
    source.close();
    return done;
}

Result<void> body(Bench& bench, const Case& which) {
    std::string_view source = which["source"], wait = which["wait"];
    auto done = source == "lapic"          ? measure_source<LapicTimer>(bench, wait)
                : source == "tsc-deadline" ? measure_source<DeadlineTimer>(bench, wait)
                : source == "hpet"         ? measure_source<HpetTimer>(bench, wait)
                                           : measure_source<PitTimer>(bench, wait);
    if ((wait == "irq-halt" || wait == "mwait") && bench.exact())
        for (measure::Series* s : bench.all()) s->flag(halted_flag);
    return done;
}

char because_buffer[200];

/// Compares two medians: yes where the first is below the second. Where the clock counts
/// instructions, the price of an interrupt is not in the numbers, and nothing can be said.
Verdict first_is_sooner(const Results& results, const char* first, const char* second) {
    const Summary* a = results.find("timer", first, "latency");
    const Summary* b = results.find("timer", second, "latency");
    if (a == nullptr || b == nullptr)
        return {Verdict::Holds::cannot_say, "one of the two cases was not run"};
    wire::Text text(because_buffer);
    text << first << ": p50 " << a->p50 << " " << a->unit << "; " << second << ": p50 " << b->p50
         << " " << b->unit << " (" << a->evidence << ")";
    if (std::string_view(a->evidence) == "exact") {
        text << "; this clock counts an interrupt as one instruction";
        return {Verdict::Holds::cannot_say, text.view()};
    }
    return {a->p50 < b->p50 ? Verdict::Holds::yes : Verdict::Holds::no, text.view()};
}

Verdict polling_is_sooner(const Results& results) {
    return first_is_sooner(results, "source=lapic wait=poll-tsc", "source=lapic wait=irq");
}

Verdict busy_is_sooner(const Results& results) {
    return first_is_sooner(results, "source=lapic wait=irq", "source=lapic wait=irq-halt");
}

Verdict interrupt_is_steady(const Results& results) {
    const Summary* irq = results.find("timer", "source=lapic wait=irq", "latency");
    if (irq == nullptr) return {Verdict::Holds::cannot_say, "the case was not run"};
    wire::Text text(because_buffer);
    text << "min " << irq->min << ", max " << irq->max << " " << irq->unit << " over " << irq->count
         << " samples (" << irq->evidence << ")";
    if (std::string_view(irq->evidence) != "exact") {
        text << "; only a clock that counts instructions shows path lengths";
        return {Verdict::Holds::cannot_say, text.view()};
    }
    return {irq->min == irq->max ? Verdict::Holds::yes : Verdict::Holds::no, text.view()};
}

constexpr Claim claims[] = {
    {"spinning on the TSC knows sooner than a busy interrupt", in_image(polling_is_sooner)},
    {"an interrupt reaches a busy processor sooner than a halted one", in_image(busy_is_sooner)},
    {"the path from deadline to handler has the same length every time",
     in_image(interrupt_is_steady)},
};

constexpr const char* shown[] = {"instructions", "iretq",      "mmio_writes",
                                 "l1i_misses",   "l1d_misses", "branch_misses"};

}  // namespace

extern const Lab timer_lab{
    .name = "timer",
    .question =
        "When a timer's deadline passes, how soon does the program know, by asking or by being "
        "told?",
    .needs =
        "a local APIC; HPET, PIT, MONITOR/MWAIT and the TSC-deadline timer where there are any",
    .cases = cases,
    .settings = settings,
    .claims = claims,
    .body = in_image(body),
    .counters = for_the_table(shown),
};

}  // namespace doorbell::labs
