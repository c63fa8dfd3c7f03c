// What happens between the doorbell and the resumed instruction? One interrupt, cut into stages by
// timestamps in its handler, out of ring 0 and out of ring 3:
//
//     jolt              from the raise to the processor's answer: what the way of the event adds
//                       to INT n
//     lookup            gate, stack, the first two pushes: the share that INT n pays too, measured
//                       beforehand
//     save              the other registers that a C++ handler may use
//     action            the handler's work: a count and a flag
//     end-of-interrupt  the local APIC is told (for INT n there is nobody to tell)
//     restore           the registers again
//     resume            two pops, IRETQ and the interrupted code's next timestamp
//
// Each stage holds the timestamp that ends it (four instructions: LFENCE, RDTSC, two stores).
#include <cstddef>

#include "firmware/cpu/descriptors.h"
#include "firmware/cpu/registers.h"
#include "firmware/kernel/kernel.h"
#include "firmware/measure/hold.h"
#include "firmware/measure/pmu_pass.h"
#include "firmware/measure/timestamp.h"
#include "firmware/wire/text.h"
#include "labs/kit/bench.h"
#include "labs/kit/case_timeout.h"
#include "labs/kit/choice.h"
#include "labs/kit/compare.h"
#include "labs/kit/handler.h"
#include "labs/kit/lab.h"
#include "labs/kit/saved_registers.h"
#include "labs/kit/timers.h"
#include "labs/kit/traffic.h"

extern "C" {
// What a handler leaves behind, and what it needs. `fired` points to a word that ring 3 can read as
// well.
struct alignas(64) AnatomyEvent {
    uint64_t marks[5];  ///< known, saved, acted, end of interrupt, restored
    uint64_t end_of_interrupt;
    volatile uint32_t* fired;
    uint64_t events;
};
[[gnu::used]] AnatomyEvent anatomy_event;
void anatomy_handler_int();
void anatomy_handler_xapic();
void anatomy_handler_x2apic();
}
// What the handler below takes for granted. Out of ring 3 it runs in the task's frame, pushes nine
// words, and each of its timestamps may be a call of a counting pass.
static_assert(offsetof(AnatomyEvent, marks) == 0 &&
              offsetof(AnatomyEvent, end_of_interrupt) == 40 &&
              offsetof(AnatomyEvent, fired) == 48 && offsetof(AnatomyEvent, events) == 56);
static_assert(9 + doorbell::measure::pmu_edge_words <= INTERRUPT_STACK_WORDS);
asm(R"(
        .pushsection .text.anatomy, "ax"
        .macro  ANATOMY_HANDLER name, kind
        HANDLER_BEGIN \name, anatomy_event
        PUSH_CALLER_SAVED
        HANDLER_STAMP anatomy_event + 8
        incq    anatomy_event + 56(%rip)
        movq    anatomy_event + 48(%rip), %rdi
        movl    $1, (%rdi)
        HANDLER_STAMP anatomy_event + 16
        .if     \kind
        HANDLER_END_OF_INTERRUPT (\kind - 1), anatomy_event + 40
        .endif
        HANDLER_STAMP anatomy_event + 24
        POP_CALLER_SAVED
        HANDLER_STAMP anatomy_event + 32
        HANDLER_RETURN
        .endm
        ANATOMY_HANDLER anatomy_handler_int, 0
        ANATOMY_HANDLER anatomy_handler_xapic, 1
        ANATOMY_HANDLER anatomy_handler_x2apic, 2
        .popsection
)");

namespace doorbell::labs {
namespace {

constexpr Case cases[] = {
    "source=int ring=0", "source=int ring=3", "source=lapic ring=0", "source=lapic ring=3",
    "source=ipi ring=0", "source=ipi ring=3", "source=nic ring=0",   "source=nic ring=3",
    "source=msi ring=0", "source=msi ring=3", "source=hpet ring=0",  "source=hpet ring=3",
};
static_assert(keys_are(cases, {"source ring"}));

constexpr const char* stages[] = {"jolt",    "lookup", "save", "action", "end-of-interrupt",
                                  "restore", "resume"};

constexpr uint8_t event_vector = cpu::vector::first_free + 8;
constexpr uint64_t spacing = 5000;  ///< TSC ticks from arming a timer to its deadline, at least
constexpr uint64_t timer_is_late = 10 * spacing;
constexpr uint64_t trials = 32;  ///< of INT n, for the lookup
/// Shorthand "self", level "assert", fixed delivery (SDM vol. 3A, "Interrupt Command Register").
constexpr uint32_t self_command = 1 << 18 | 1 << 14 | event_vector;

enum class Source : uint32_t { interrupt_instruction, armed, self_ipi, self_ipi_by_kernel };

/// The case that runs: what the calls below work on.
struct Trial {
    Source source = Source::armed;
    uint64_t (*arm)(uint64_t delay) = nullptr;  ///< starts the timer; the deadline
    bool (*valid)() = nullptr;  ///< whether the event was the one that was armed; null: always
    const cpu::LocalApic* apic = nullptr;
    Bench* bench = nullptr;
    measure::Series* latency = nullptr;
    measure::Series* entry = nullptr;
    CaseTimeout* timeout = nullptr;  ///< null: nothing is waited for, or the source has its own
    uint64_t raised = 0;
    uint64_t lookup = ~0ull;
    uint64_t missing = 0;  ///< samples that are still to be recorded
    bool trying = false;
};
Trial trial;

// Ring 0, called directly or as fast calls out of ring 3.

/// Starts what will interrupt; for an armed timer, notes its deadline. When the interrupted code is
/// to begin its wait: at a tick before the deadline that the seed chooses; 0 for at once.
[[maybe_unused, gnu::noinline]] uint64_t prepare() {
    constexpr uint64_t margin = 1000, phases = 64;
    if (trial.timeout != nullptr) trial.timeout->wait_from_now();
    *anatomy_event.fired = 0;
    if (trial.source != Source::armed) return 0;
    uint64_t early = margin + trial.bench->random.below(phases);
    trial.raised = trial.arm(spacing + trial.bench->random.below(spacing / 4));
    return trial.bench->exact() ? trial.raised - early : 0;
}

/// The x2APIC is ring 0's alone: the interrupt is pending on the way back to ring 3, and taken
/// there.
[[maybe_unused, gnu::noinline]] uint64_t send_to_self() {
    trial.raised = measure::end() + to_the_store;
    (void)trial.apic->send_self(event_vector);
    return 0;
}

/// The event is over: `raised` as the raiser knows it (0: prepare() knows it), `resumed` the next
/// timestamp.
[[maybe_unused, gnu::noinline]] uint64_t collect(uint64_t raised, uint64_t resumed) {
    if (raised == 0) raised = trial.raised;
    if (trial.valid != nullptr && !trial.valid()) return 0;
    const uint64_t* m = anatomy_event.marks;
    uint64_t entry = m[0] - raised;
    if (trial.trying) {
        if (entry < trial.lookup) trial.lookup = entry;
        return 0;
    }
    // A path that was quicker than INT n's had no jolt.
    uint64_t looked_up = entry < trial.lookup ? entry : trial.lookup;
    uint64_t path[] = {raised, m[0] - looked_up, m[0], m[1], m[2], m[3], m[4], resumed};
    trial.latency->record_path(path);
    trial.entry->record(entry);
    --trial.missing;
    return 0;
}

constexpr uint32_t prepare_call = kernel::call::fast_lab, send_call = prepare_call + 1,
                   collect_call = prepare_call + 2;

// The interrupted code, the same in ring 0 and ring 3.

struct Times {
    uint64_t raised, resumed;
};

[[gnu::always_inline]] inline Times by_instruction() {
    uint32_t low, high, low_after, high_after;
    asm volatile(
        "lfence\n\t"
        "rdtsc\n\t"
        "int %4\n\t"
        "movl %%eax, %2\n\t"
        "movl %%edx, %3\n\t"
        "lfence\n\t"
        "rdtsc"
        : "=&a"(low_after), "=&d"(high_after), "=&r"(low), "=&r"(high)
        : "i"(event_vector)
        : "memory");
    return {(uint64_t{high} << 32 | low) + to_the_store, uint64_t{high_after} << 32 | low_after};
}

// Busy until the handler has run, and the next timestamp.
#define ANATOMY_UNTIL_FIRED "1:\n\tcmpl $0, (%[fired])\n\tje 1b\n\tlfence\n\trdtsc"

/// From the tick `begin` on.
[[gnu::always_inline]] inline uint64_t until_fired(const volatile uint32_t* fired, uint64_t begin) {
    uint32_t low, high;
    asm volatile(DOORBELL_HOLD ANATOMY_UNTIL_FIRED
                 : "=&a"(low), "=&d"(high), "+c"(begin)
                 : [fired] "r"(fired)
                 : "memory", "cc");
    return uint64_t{high} << 32 | low;
}

/// The interrupt may come right behind the store, so nothing stands between it and the timestamp,
/// nor between it and the wait.
[[gnu::always_inline]] inline Times by_command(uint64_t command_register,
                                               const volatile uint32_t* fired) {
    uint32_t low, high, low_after, high_after;
    asm volatile(
        "lfence\n\t"
        "rdtsc\n\t"
        "movl %[command], (%[at])\n\t"
        "movl %%eax, %[low]\n\t"
        "movl %%edx, %[high]\n" ANATOMY_UNTIL_FIRED
        : "=&a"(low_after), "=&d"(high_after), [low] "=&r"(low), [high] "=&r"(high)
        : [command] "r"(self_command), [at] "r"(command_register), [fired] "r"(fired)
        : "memory", "cc");
    return {(uint64_t{high} << 32 | low) + to_the_store, uint64_t{high_after} << 32 | low_after};
}

template <bool user>
[[gnu::always_inline]] inline void events(const volatile uint32_t* fired, uint64_t count,
                                          Source source, uint64_t command_register) {
    for (uint64_t i = 0; i < count; ++i) {
        uint64_t begin;
        if constexpr (user)
            begin = kernel::user::call(prepare_call);
        else
            begin = prepare();
        Times times{0, 0};
        if (source == Source::interrupt_instruction) {
            times = by_instruction();
        } else if (source == Source::self_ipi) {
            times = by_command(command_register, fired);
        } else {
            if (source == Source::self_ipi_by_kernel) {
                if constexpr (user)
                    kernel::user::call(send_call);
                else
                    send_to_self();
            }
            times.resumed = until_fired(fired, begin);
        }
        if constexpr (user)
            kernel::user::call(collect_call, times.raised, times.resumed);
        else
            collect(times.raised, times.resumed);
    }
}

[[gnu::noinline]] void in_ring0(const volatile uint32_t* fired, uint64_t count, Source source,
                                uint64_t command_register) {
    events<false>(fired, count, source, command_register);
}
DOORBELL_USER void in_ring3(const volatile uint32_t* fired, uint64_t count, Source source,
                            uint64_t command_register) {
    events<true>(fired, count, source, command_register);
}

/// Which ring the interrupted code runs in.
class Ring {
  public:
    Ring(Bench& bench, bool user) : bench_(bench), user_(user), kernel_(bench.machine) {}

    Result<void> start() {
        uint64_t page = bench_.machine.arena.take(cpu::PageTables::page, cpu::PageTables::page);
        if (page == 0) return Lacking{"not enough memory for a page"};
        anatomy_event.fired = reinterpret_cast<volatile uint32_t*>(page);
        fired_ = page;
        const cpu::LocalApic& apic = *bench_.machine.apic.device;
        if (!apic.x2())
            command_register_ =
                apic.xapic().base() + static_cast<uint64_t>(cpu::ApicRegister::interrupt_command);
        if (!user_) return {};
        auto up = kernel_.start({});
        if (!up) return up;
        auto space = kernel_.make_space(65536);
        if (!space) return space.error();
        fired_ = DOORBELL_TRY((*space)->share(page, cpu::PageTables::page, false));
        if (!apic.x2()) {
            // Ring 3 sends the interrupt itself: the APIC's page, behind the shared one, for this
            // task alone.
            constexpr uint64_t at = kernel::shared_start + (1 << 20);
            constexpr uint64_t flags = cpu::PageFlags::writable | cpu::PageFlags::user |
                                       cpu::PageFlags::no_execute | cpu::PageFlags::uncached;
            DOORBELL_TRY(
                (*space)->tables.map(at, apic.xapic().base(), cpu::PageTables::page, flags));
            command_register_ = at + static_cast<uint64_t>(cpu::ApicRegister::interrupt_command);
        }
        kernel_.set_fast_call(prepare_call, prepare);
        kernel_.set_fast_call(send_call, send_to_self);
        kernel_.set_fast_call(collect_call, collect);
        auto task = kernel_.make_task(**space, in_ring3, {});
        if (!task) return task.error();
        task_ = *task;
        return {};
    }

    Result<void> run(uint64_t count, Source source) {
        if (!user_) {
            cpu::enable_interrupts();
            in_ring0(reinterpret_cast<const volatile uint32_t*>(fired_), count, source,
                     command_register_);
            cpu::disable_interrupts();
            return {};
        }
        kernel_.restart(*task_, reinterpret_cast<const void*>(in_ring3),
                        {fired_, count, static_cast<uint64_t>(source), command_register_});
        kernel_.run();
        if (!task_->ended() || task_->ended_by != 0)
            return Error{"the task did not end by itself: signal", task_->ended_by};
        return {};
    }

  private:
    Bench& bench_;
    bool user_;
    kernel::Kernel kernel_;
    kernel::Task* task_ = nullptr;
    uint64_t fired_ = 0, command_register_ = 0;
};

/// One event, waited for until `late` ticks after its deadline, which `raise` gives: the measured
/// loops have no end.
[[gnu::noinline]] Result<void> try_once(uint64_t (*raise)(uint64_t), uint64_t late) {
    *anatomy_event.fired = 0;
    cpu::enable_interrupts();
    uint64_t deadline = raise(spacing);
    while (*anatomy_event.fired == 0) {
        if (static_cast<int64_t>(measure::end() - deadline) > static_cast<int64_t>(late)) {
            cpu::disable_interrupts();
            return Error{"the interrupt did not arrive: tried once, waited this many ticks", late};
        }
    }
    cpu::disable_interrupts();
    return {};
}

[[gnu::noinline]] Result<void> record(Bench& bench, Ring& ring) {
    Result<void> done;
    trial.latency = &bench.series("latency", {.stages = stages, .since_event = true});
    trial.entry = &bench.series("entry");
    bench.repeat([&](uint64_t count) {
        trial.missing = count;
        // An event that was not the one that was armed is not a sample. It is tried again, a
        // bounded number of times.
        for (unsigned fruitless = 0; done && trial.missing != 0;) {
            uint64_t before = trial.missing;
            done = ring.run(trial.missing, trial.source);
            fruitless = trial.missing == before ? fruitless + 1 : 0;
            if (done && fruitless == 8)
                done =
                    Error{"the events that came were not the ones that were armed: samples missing",
                          before};
        }
    });
    return done;
}

/// With an end to the waits by another timer than the one that is measured.
Result<void> record_in_time(Bench& bench, Ring& ring, CaseTimeout::Lapic lapic) {
    CaseTimeout timeout(bench, lapic, [](cpu::Frame&) { *anatomy_event.fired = 1; });
    trial.timeout = &timeout;
    auto done = record(bench, ring);
    trial.timeout = nullptr;
    return timeout.outcome(done, DOORBELL_DID_NOT_COME("the interrupt"));
}

/// `trial.arm` starts `armed`.
template <class Timer>
void arm_by(Timer& timer) {
    static Timer* armed;
    armed = &timer;
    trial.arm = [](uint64_t delay) { return armed->arm(delay); };
}

template <class Timer>
Result<void> record_timer(Bench& bench, Ring& ring, Timer& timer, CaseTimeout::Lapic lapic) {
    arm_by(timer);
    auto done = try_once(trial.arm, timer_is_late);
    if (done) done = record_in_time(bench, ring, lapic);
    timer.close();
    return done;
}

/// INT n raises the interrupt at once, so this source needs no wait.
Result<void> measure_instruction(Bench& bench, Ring& ring) {
    trial.source = Source::interrupt_instruction;
    return record(bench, ring);
}

Result<void> measure_self_ipi(Bench& bench, Ring& ring) {
    trial.source = trial.apic->x2() ? Source::self_ipi_by_kernel : Source::self_ipi;
    auto arrives = try_once(
        [](uint64_t) {
            (void)trial.apic->send_self(event_vector);
            return measure::end();
        },
        timer_is_late);
    return arrives ? record_in_time(bench, ring, CaseTimeout::Lapic::free) : arrives;
}

Result<void> measure_lapic(Bench& bench, Ring& ring) {
    LapicTimer timer(bench, event_vector);
    auto opened = timer.open(true);
    return opened ? record_timer(bench, ring, timer, CaseTimeout::Lapic::measured) : opened;
}

/// A card's packets as if they were a timer's deadlines; by MSI-X, straight to the lab's handler.
Result<void> measure_packets(Bench& bench, Ring& ring) {
    static PacketSource* packets;
    PacketSource source(bench, event_vector, anatomy_event.fired);
    packets = &source;
    auto done = source.open({});
    trial.valid = [] { return packets->came(); };
    if (done) {
        arm_by(source);
        done = try_once(trial.arm, bench.machine.tsc.hz / 10);
        if (done) done = record(bench, ring);  // a packet's wait has a timeout of its own
        source.close();
    }
    if (auto lost = source.lost(); !lost) done = lost;
    if (done) source.flag({trial.latency, trial.entry});
    return done;
}

Result<void> measure_message(Bench& bench, Ring& ring) {
    HpetTimer timer(bench, event_vector);
    auto opened = timer.open_by_message();
    return opened ? record_timer(bench, ring, timer, CaseTimeout::Lapic::free) : opened;
}

Result<void> measure_hpet(Bench& bench, Ring& ring) {
    HpetTimer timer(bench, event_vector);
    auto opened = timer.open(true);
    return opened ? record_timer(bench, ring, timer, CaseTimeout::Lapic::free) : opened;
}

constexpr Choice<Result<void> (*)(Bench&, Ring&)> sources[] = {
    {"int", measure_instruction}, {"lapic", measure_lapic}, {"ipi", measure_self_ipi},
    {"nic", measure_packets},     {"msi", measure_message}, {"hpet", measure_hpet}};
static_assert(all_chosen(cases, "source", sources));
constexpr Choice<bool> rings[] = {{"0", false}, {"3", true}};
static_assert(all_chosen(cases, "ring", rings));

Result<void> body(Bench& bench, const Case& test_case) {
    const cpu::LocalApic& apic = *bench.machine.apic.device;
    trial = {.source = Source::interrupt_instruction, .apic = &apic, .bench = &bench};
    anatomy_event = {};
    if (!apic.x2())
        anatomy_event.end_of_interrupt =
            apic.xapic().base() + static_cast<uint64_t>(cpu::ApicRegister::end_of_interrupt);
    auto* user = chosen(rings, test_case["ring"]);
    auto* measure = chosen(sources, test_case["source"]);
    if (user == nullptr || measure == nullptr) return no_such_choice;
    Ring ring(bench, *user);
    auto done = ring.start();
    if (!done) return done;
    cpu::set_gate(event_vector, anatomy_handler_int, 3);
    trial.trying = true;
    done = ring.run(trials, trial.source);
    trial.trying = false;
    if (done) {
        trial.source = Source::armed;
        if (test_case["source"] != "int")
            cpu::set_gate(event_vector, apic.x2() ? anatomy_handler_x2apic : anatomy_handler_xapic);
        done = (*measure)(bench, ring);
    }
    cpu::reset_gate(event_vector);
    return done;
}

ClaimVerdict short_entry(const Results& results) {
    return judge_path_length(results, "anatomy", {"source=int ring=3", "entry"},
                             [](const Summary& s) { return s.max <= 12; });
}

constexpr Claim claims[] = {
    {"ring3-costs-more", "an interrupt out of ring 3 costs more than one out of ring 0",
     below({"source=lapic ring=0", "latency"}, {"source=lapic ring=3", "latency"}, 1,
           "this clock counts an interrupt as one instruction, whatever ring it comes out of")},
    {"short-entry", "out of ring 3 it is at most 12 instructions to the handler's first timestamp",
     short_entry},
};

}  // namespace

extern const Lab anatomy_lab =
    define_lab({.name = "anatomy",
                .question = "What happens between the doorbell and the resumed instruction?",
                .needs = "a local APIC; a network card with MSI-X for source=nic; an HPET for "
                         "source=hpet, one that "
                         "can send messages for source=msi",
                .wants_card = true,
                .counters = "instructions loads stores mmio_writes iretq branch_misses"},
               cases, {}, claims, body);

}  // namespace doorbell::labs
