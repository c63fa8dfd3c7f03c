// A packet arrives: how long until the program knows, by asking or by being told? The arrival is
// the tick of the sender's doorbell plus the cable's delay; `latency` runs from there to the first
// timestamp of the code that knows, `payload` to the last byte of the payload read, `path` to the
// buffer given back, in stages. Where the delay is not known (a real cable, the card's loopback) it
// is inside all three, and `wire` says apart how much that is at most: the same doorbell to the
// first look that sees the packet, by the tightest of polling. `cost` is what one look costs when
// nothing is there, and what a packet costs when many are.
#include "firmware/cpu/descriptors.h"
#include "firmware/cpu/registers.h"
#include "firmware/measure/hold.h"
#include "firmware/measure/timestamp.h"
#include "labs/kit/bench.h"
#include "labs/kit/choice.h"
#include "labs/kit/compare.h"
#include "labs/kit/lab.h"
#include "labs/kit/traffic.h"
#include "labs/kit/until_fired.h"

namespace doorbell::labs {
namespace {

constexpr const char* poll_stages[] = {"notice", "descriptor", "payload", "recycle"};
constexpr const char* interrupt_stages[] = {"entry",      "end-of-interrupt", "resume",
                                            "descriptor", "payload",          "recycle"};
constexpr const char* hybrid_stages[] = {"entry",   "end-of-interrupt", "resume", "descriptor",
                                         "payload", "recycle",          "re-arm"};

constexpr Case cases[] = {
    "model=e1000e wait=poll",
    "model=e1000e wait=irq",
    "model=e1000e wait=irq kind=msi",
    "model=e1000e wait=irq kind=intx",
    "model=e1000e wait=irq-halt",
    "model=e1000e wait=mwait",
    "model=e1000e wait=hybrid",
    "model=virtio-net wait=poll",
    "model=virtio-net wait=irq",
    "model=virtio-net wait=irq kind=intx",
    "model=virtio-net wait=irq-halt",
    "model=virtio-net wait=mwait",
    "model=virtio-net wait=hybrid",
    "model=e1000e op=empty-poll",
    "model=virtio-net op=empty-poll",
    "model=e1000e op=receive burst=1",
    "model=e1000e op=receive burst=8",
    "model=e1000e op=receive burst=32",
    "model=e1000e op=receive burst=128",
    "model=virtio-net op=receive burst=1",
    "model=virtio-net op=receive burst=8",
    "model=virtio-net op=receive burst=32",
    "model=virtio-net op=receive burst=128",
};
static_assert(keys_are(cases, {"model wait", "model wait kind", "model op", "model op burst"}) &&
              numbers_are(cases, {"burst"}));

constexpr Setting settings[] = {
    {"length", 60, 60, 1514, "byte", "length of the frames, without the frame check sequence"},
    {"budget", 16, 1, 128, "packet", "how many packets the hybrid takes before it looks up"},
};

enum class Wait { poll, irq, halt, mwait, hybrid };

/// Sleeps on the descriptor's line until a packet is there. The NOP lets an interrupt in (the
/// wait timeout's) where MWAIT returns at once: STI holds it back for one instruction.
[[gnu::always_inline]] inline uint64_t mwait_receive_status(const nic::ReceiveStatus& step) {
    for (;;) {
        cpu::disable_interrupts();
        asm volatile("monitor" : : "a"(step.word), "c"(0), "d"(0) : "memory");
        if (step.arrived()) break;
        asm volatile("sti\n\tmwait\n\tnop" : : "a"(0), "c"(0) : "memory");
    }
    uint64_t known = measure::end();
    cpu::enable_interrupts();
    return known;
}

template <bool halt>
[[gnu::always_inline]] inline uint64_t await_handler(uint64_t begin) {
    if constexpr (halt) return halt_until_fired(nic_event, begin);
    return spin_until_fired(nic_event, begin);
}

/// Reads every byte, word by word: the least that a program does with a packet. The timestamps
/// before and after it go to marks[0] and marks[1].
[[gnu::always_inline]] inline void read_payload(const nic::Received& frame, uint64_t* marks) {
    const void* at = frame.data;
    uint64_t words = frame.length / 8, bytes = frame.length % 8, sum = 0;
    asm volatile(
        "lfence\n\t"
        "rdtsc\n\t"
        "shlq $32, %%rdx\n\t"
        "orq %%rdx, %%rax\n\t"
        "movq %%rax, (%[marks])\n\t"
        "testq %[words], %[words]\n\t"
        "jz 2f\n"
        "1:\taddq (%[at]), %[sum]\n\t"
        "addq $8, %[at]\n\t"
        "decq %[words]\n\t"
        "jnz 1b\n"
        "2:\ttestq %[bytes], %[bytes]\n\t"
        "jz 4f\n"
        "3:\tmovzbl (%[at]), %%eax\n\t"
        "addq %%rax, %[sum]\n\t"
        "incq %[at]\n\t"
        "decq %[bytes]\n\t"
        "jnz 3b\n"
        "4:\tlfence\n\t"
        "rdtsc\n\t"
        "shlq $32, %%rdx\n\t"
        "orq %%rdx, %%rax\n\t"
        "movq %%rax, 8(%[marks])"
        : [at] "+r"(at), [words] "+r"(words), [bytes] "+r"(bytes), [sum] "+r"(sum)
        : [marks] "r"(marks)
        : "rax", "rdx", "memory", "cc");
}

/// One packet by MWAIT, in a bounded wait.
Result<void> prove_mwait(Bench& bench, Traffic& s) {
    DOORBELL_TRY(s.load(1));
    WaitTimeout timeout(bench.machine, s.card());
    s.pair.sender().tail_write().write();
    timeout.wait_from_now();
    cpu::enable_interrupts();
    (void)mwait_receive_status(s.card().receive_status());
    cpu::disable_interrupts();
    if (timeout.expired()) {
        Error deaf{
            "the card's write to the monitored line does not end MWAIT here (an emulator's MWAIT "
            "is HLT)"};
        // Below a hypervisor MWAIT is whatever it makes of it; a processor's own must wake.
        if (bench.machine.features.hypervisor_present) deaf.kind = ErrorKind::lacking;
        return deaf;
    }
    return s.catch_up();
}

/// What is unknown of the way from the doorbell to memory, seen by a poll that does nothing else.
/// Interrupts are enabled.
[[gnu::noinline]] Result<void> measure_wire(Traffic& s, const WaitTimeout& timeout,
                                            measure::Series& wire, uint64_t count) {
    for (uint64_t i = 0; i < count;) {
        DOORBELL_TRY(s.load(1));
        (void)s.take_all();
        timeout.wait_from_now();
        nic::TailWrite tail_write = s.pair.sender().tail_write();
        uint64_t start = write_tail_now(tail_write);
        uint64_t seen = poll_receive_status(s.card().receive_status(), 0);
        if (timeout.expired()) return s.missing(lost_in_the_middle);
        nic::Received frame;
        bool good = s.card().receive(&frame, 1) != 0 && s.expected(frame);
        s.card().recycle(1);
        if (!good) {
            DOORBELL_TRY(s.catch_up());
            continue;
        }
        ++s.sequence;
        wire.record(seen - start);
        ++i;
    }
    return {};
}

/// What all waits have in common around the measured stretch.
struct Sampling {
    Bench& bench;
    Traffic& s;
    bool by_interrupt;
    measure::Series &latency, &payload, &path;
    measure::Series* wire;  ///< null where the way's part is known
    /// The bits of the tick at which a wait begins: none where the doorbell's store is the arrival,
    /// since nothing may stand between it and the wait.
    uint64_t beginning;
    std::span<nic::Received> batch;  ///< as large as the hybrid's budget
    WaitTimeout timeout;
    bool spurious = false;
    Result<void> outcome;

    [[gnu::noinline]] Sampling(Bench& b, Traffic& traffic, std::span<const char* const> stages,
                               bool interrupts)
        : bench(b),
          s(traffic),
          by_interrupt(interrupts),
          latency(b.series("latency", {.derived = interrupts ? "path:entry" : "path:notice"})),
          payload(b.series("payload")),
          path(b.series("path", {.stages = stages, .since_event = true})),
          wire(traffic.pair.delay == 0 ? &b.series("wire") : nullptr),
          beginning(wire != nullptr ? 0 : ~0ull),
          batch(b.machine.arena.array<nic::Received>(b.setting("budget"))),
          timeout(b.machine, traffic.card()) {
        if (batch.empty()) outcome = Lacking{"no memory for the frames"};
    }

    /// Before each lot of samples; false where the case cannot go on.
    [[gnu::noinline]] bool start(uint64_t count) {
        cpu::enable_interrupts();
        if (wire == nullptr || !outcome) return static_cast<bool>(outcome);
        s.card().disarm();
        outcome = measure_wire(s, timeout, *wire, count);
        return static_cast<bool>(outcome);
    }

    /// A frame queued, the card armed, nothing there that came unasked.
    [[gnu::noinline]] bool prepare() {
        if (!outcome) return false;
        outcome = s.load(1);
        if (by_interrupt) wait_out_throttle(bench, s.card());
        (void)(by_interrupt ? s.arm() : s.take_all());
        s.card().expected_writes(1, static_cast<uint32_t>(s.frames[0].length),
                                 measure::Counters::device_wrote);
        timeout.wait_from_now();
        return static_cast<bool>(outcome);
    }

    /// After an interrupt without a packet, which is still to come: whether to wait on.
    [[gnu::noinline]] bool again() {
        spurious = true;
        nic_event.fired = 0;
        return by_interrupt && !timeout.expired() && s.card().arm();
    }

    /// Whether the sample is one; in either case the next one begins from the same state.
    [[gnu::noinline]] bool conclude(bool ours, bool alone) {
        if (timeout.expired())
            outcome = s.missing(lost_in_the_middle);
        else if (!ours)
            outcome = s.catch_up();
        else
            ++s.sequence;
        return ours && alone && outcome;
    }

    /// `halts`: the waits were in HLT or MWAIT.
    [[gnu::noinline]] Result<void> finish(bool halts) {
        cpu::disable_interrupts();
        flag_strangers(bench, {&latency, &payload, &path}, s.tally, s.card().counts());
        for (measure::Series* series : {&latency, &payload, &path}) {
            if (s.pair.flag != nullptr) series->flag(s.pair.flag);
            if (spurious)
                series->flag("interrupts without a packet came as well, and were waited through");
            if (halts && bench.exact())
                series->flag(
                    woken_by_throttle()
                        ? "unstable: the emulator wakes a halted processor by the card's throttle "
                          "timer, 128000 ns late"
                        : halted_flag);
        }
        return outcome;
    }

    /// QEMU 7.2 warps a halted machine's clock to the throttle timer, which its e1000e starts
    /// before it interrupts. No path is as long as that.
    bool woken_by_throttle() const {
        const measure::Histogram& seen = *latency.parts().warm;
        return seen.count() != 0 && seen.percentile(50000) >= bench.machine.tsc.hz / 1000000 * 128;
    }
};

template <Wait wait>
[[gnu::noinline]] Result<void> measure_wait(Bench& bench, Traffic& s) {
    constexpr bool by_interrupt = wait == Wait::irq || wait == Wait::halt || wait == Wait::hybrid;
    std::span<const char* const> stages = poll_stages;
    if (by_interrupt) stages = interrupt_stages;
    if (wait == Wait::hybrid) stages = hybrid_stages;
    Sampling sampling(bench, s, stages, by_interrupt);
    nic::Nic& card = s.card();
    nic::Nic& sender = s.pair.sender();
    auto* const batch = sampling.batch.data();
    const auto budget = static_cast<uint32_t>(sampling.batch.size());
    bench.repeat([&](uint64_t count) {
        if (!sampling.start(count)) return;
        for (uint64_t i = 0; i < count;) {
            if (!sampling.prepare()) return;
            nic::TailWrite tail_write = sender.tail_write();
            // The wait begins at a tick that the seed chooses, so that no phase of a look is
            // favoured, and none is a compiler's.
            uint64_t begin = 1002 + bench.random.below(64);
            uint64_t marks[8];
            marks[0] = write_tail_now(tail_write);
            begin = (begin + marks[0]) & sampling.beginning;
            marks[0] += s.pair.delay;
            unsigned m;
            uint32_t taken;
            nic::Received frame;
            do {
                m = 1;
                if constexpr (by_interrupt) {
                    marks[3] = await_handler < wait == Wait::halt > (begin);
                    marks[1] = nic_event.known;
                    marks[2] = nic_event.handled;
                    m = 4;
                } else if constexpr (wait == Wait::mwait) {
                    marks[m++] = mwait_receive_status(card.receive_status());
                } else {
                    marks[m++] = poll_receive_status(card.receive_status(), begin);
                }
                if constexpr (wait == Wait::hybrid)
                    taken = card.receive(batch, budget), frame = batch[0];
                else
                    taken = card.receive(&frame, 1);
            } while (taken == 0 && sampling.again());
            if (taken == 0) {
                (void)sampling.conclude(false, false);
                continue;
            }
            read_payload(frame, marks + m);
            m += 2;
            card.recycle(taken);
            marks[m++] = measure::end();
            bool ours = false, alone = taken == 1;
            if constexpr (wait == Wait::hybrid) {
                // Until empty, then armed again: arm() tells of what came in between, so that no
                // wake-up is lost.
                while (!card.arm() && !sampling.timeout.expired())
                    ours |= s.take_all(), alone = false;
                marks[m++] = measure::end();
                card.disarm();
            }
            // One frame, the right one, by one interrupt: else something got into the sample. The
            // buffer is the card's again, but last in its row; if it were overwritten already, this
            // would not be a sample either.
            for (uint32_t f = 0; f < taken; ++f)
                ours |= s.expected(wait == Wait::hybrid ? batch[f] : frame);
            alone &= !by_interrupt || nic_event.fired == 1;
            if (!sampling.conclude(ours, alone)) continue;
            sampling.latency.record(marks[1] - marks[0]);
            sampling.payload.record(marks[m - (wait == Wait::hybrid ? 3 : 2)] - marks[0]);
            sampling.path.record_path(marks);
            ++i;
        }
    });
    return sampling.finish(wait == Wait::halt || wait == Wait::mwait);
}

Result<void> wait_by_mwait(Bench& bench, Traffic& s) {
    if (!bench.machine.features.monitor)
        return Lacking{"this processor has no MONITOR/MWAIT (CPUID.01H:ECX[3])"};
    auto wakes = prove_mwait(bench, s);
    return wakes ? measure_wait<Wait::mwait>(bench, s) : wakes;
}

/// One way to wait.
struct Waiting {
    Result<void> (*measure)(Bench&, Traffic&);
    bool by_interrupt;
};
constexpr Choice<Waiting> waits[] = {
    {"poll", {measure_wait<Wait::poll>, false}},    {"irq", {measure_wait<Wait::irq>, true}},
    {"irq-halt", {measure_wait<Wait::halt>, true}}, {"mwait", {wait_by_mwait, false}},
    {"hybrid", {measure_wait<Wait::hybrid>, true}}, {"", {nullptr, false}}};  // op=...
static_assert(all_chosen(cases, "wait", waits));
constexpr Choice<nic::InterruptKind> kinds[] = {{"", nic::InterruptKind::msix},
                                                {"msi", nic::InterruptKind::msi},
                                                {"intx", nic::InterruptKind::intx}};
static_assert(all_chosen(cases, "kind", kinds));

Result<void> wait_case(Bench& bench, const Case& test_case) {
    auto* waiting = chosen(waits, test_case["wait"]);
    auto* kind = chosen(kinds, test_case["kind"]);
    if (waiting == nullptr || waiting->measure == nullptr || kind == nullptr) return no_such_choice;
    auto s = DOORBELL_TRY(Traffic::open(bench, test_case["model"], 1,
                                        static_cast<uint32_t>(bench.setting("length"))));
    if (!waiting->by_interrupt) return waiting->measure(bench, s);
    auto ready = *kind == nic::InterruptKind::intx
                     ? open_intx(bench, s.card(), s.pair.sender(), s.frames[0])
                     : open_interrupt(bench, s.card(), *kind);
    if (ready) ready = s.prove_interrupt(bench);
    if (ready) ready = waiting->measure(bench, s);
    close_interrupt(s.card());
    return ready;
}

/// Up to `looks` looks at the receive status word, as receive() takes them, and the ticks from
/// before the first to after the last, with a begin()/end() pair's cost. Ends early where a packet
/// is there.
struct Looks {
    bool arrived;
    uint64_t took;
};
[[gnu::always_inline]] inline Looks look_often(const nic::ReceiveStatus& step, uint32_t looks) {
    uint64_t start, ended;
    asm volatile(
        "lfence\n\t"
        "rdtsc\n\t"
        "shlq $32, %%rdx\n\t"
        "orq %%rdx, %%rax\n\t"
        "movq %%rax, %[start]\n\t"
        "lfence\n"
        "1:\tmovq %c[word](%[step]), %%rax\n\t"
        "movl (%%rax), %%eax\n\t"
        "xorl %c[quiet](%[step]), %%eax\n\t"
        "testl %%eax, %c[mask](%[step])\n\t"
        "jnz 2f\n\t"
        "decl %[looks]\n\t"
        "jnz 1b\n"
        "2:\tlfence\n\t"
        "rdtsc\n\t"
        "shlq $32, %%rdx\n\t"
        "orq %%rdx, %%rax"
        : "=&a"(ended), [start] "=&r"(start), [looks] "+r"(looks)
        : [step] "r"(&step), [word] "i"(offsetof(nic::ReceiveStatus, word)),
          [quiet] "i"(offsetof(nic::ReceiveStatus, quiet)),
          [mask] "i"(offsetof(nic::ReceiveStatus, mask))
        : "rdx", "memory", "cc");
    return {looks != 0, ended - start};
}

Result<void> empty_poll_case(Bench& bench, const Case& test_case) {
    auto card = open_card(bench, test_case["model"]);
    if (!card) return card.error();
    nic::Nic& nic = **card;
    measure::Series& cost = bench.series("cost", {.counted = true, .derived = "cost / 100"});
    constexpr uint32_t looks = 100, at_once = 32;
    nic::Received frames[at_once];
    uint64_t overhead = bench.instrument.overhead;
    nic::FrameTally tally;
    Result<void> outcome;
    bench.repeat([&](uint64_t count) {
        uint32_t disturbed = 0;
        for (uint64_t i = 0; i < count && outcome;) {
            Looks looked = look_often(nic.receive_status(), looks);
            uint64_t took = looked.took - overhead;
            if (looked.arrived) {
                uint32_t found = nic.receive(frames, at_once);
                for (uint32_t f = 0; f < found; ++f) tally.add(frames[f]);
                nic.recycle(found);
                if (++disturbed == most_rounds)
                    outcome = Lacking{"packets keep coming: no poll was empty", tally.strangers()};
                continue;
            }
            cost.record((took + looks - 1) / looks);
            ++i;
        }
    });
    flag_strangers(bench, {&cost}, tally, nic.counts());
    return outcome;
}

Result<void> receive_case(Bench& bench, const Case& test_case) {
    auto burst = static_cast<uint32_t>(test_case.number("burst"));
    auto s = DOORBELL_TRY(Traffic::open(bench, test_case["model"], burst,
                                        static_cast<uint32_t>(bench.setting("length"))));
    measure::Series& cost = bench.series("cost", {.counted = true, .derived = "cost / burst"});
    auto* frames = bench.machine.arena.array<nic::Received>(burst).data();
    if (frames == nullptr) return Lacking{"no memory for the frames"};
    uint64_t overhead = bench.instrument.overhead, settle = bench.machine.tsc.hz / 100000;
    Result<void> outcome;
    bench.repeat([&](uint64_t count) {
        uint64_t samples = (count + 3) / 4;
        for (uint64_t i = 0, tries = 0; i < samples; ++tries) {
            outcome = s.load(burst);
            if (!outcome) return;
            s.pair.sender().tail_write().write();
            if (!someone_within(s.card(), bench.machine.tsc.hz / 10) || tries > 2 * samples + 100) {
                outcome = s.missing("a burst that was sent did not arrive whole within 100 ms");
                return;
            }
            // The rest of the burst is right behind the first.
            for (uint64_t start = measure::end(); measure::end() - start < settle;) {
            }
            s.card().expected_writes(burst, static_cast<uint32_t>(s.frames[0].length),
                                     measure::Counters::device_wrote);
            uint64_t start = measure::begin();
            uint32_t n = s.card().receive(frames, burst);
            s.card().recycle(n);
            uint64_t took = measure::end() - start - overhead;
            bool whole = n == burst;
            for (uint32_t f = 0; f < n; ++f)
                whole &= s.tally.add(frames[f]) == nic::FrameKind::ours;
            s.sequence += burst;
            if (!whole) {
                (void)s.take_all();
                continue;
            }
            cost.record((took + burst - 1) / burst);
            ++i;
        }
    });
    flag_strangers(bench, {&cost}, s.tally, s.card().counts());
    return outcome;
}

constexpr Choice<Result<void> (*)(Bench&, const Case&)> bodies[] = {
    {"", wait_case}, {"empty-poll", empty_poll_case}, {"receive", receive_case}};
static_assert(all_chosen(cases, "op", bodies));

Result<void> body(Bench& bench, const Case& test_case) {
    auto* measure = chosen(bodies, test_case["op"]);
    return measure == nullptr ? no_such_choice : (*measure)(bench, test_case);
}

ClaimVerdict polling_is_sooner(const Results& results) {
    constexpr Which poll{"model=e1000e wait=poll", "latency"},
        irq{"model=e1000e wait=irq", "latency"};
    for (const Which& w : {poll, irq})
        if (const Summary* s = results.find("nic", w.test_case, w.metric);
            s != nullptr && s->unstable)
            return cannot_say("the instant of arrival is not exact here");
    return compare(results, "nic",
                   below(poll, irq, 1, "this clock counts an interrupt as one instruction"));
}

constexpr Claim claims[] = {
    {"poll-sooner-than-irq", "polling knows of a packet sooner than an interrupt does",
     polling_is_sooner},
    {"empty-poll-is-cheap", "an empty poll costs less than a fifth of taking a packet",
     below({"model=e1000e op=empty-poll", "cost"}, {"model=e1000e op=receive burst=1", "cost"}, 5)},
    {"burst-halves-cost",
     "a packet taken in a burst of 32 costs less than half of a packet taken alone",
     below({"model=e1000e op=receive burst=32", "cost"},
           {"model=e1000e op=receive burst=1", "cost"}, 2)},
};

}  // namespace

extern const Lab nic_lab = define_lab(
    {.name = "nic",
     .question =
         "When a packet arrives, how soon does the program know, by asking or by being told, and "
         "what does looking cost?",
     .needs =
         "a network card (e1000e, virtio-net); a cable with a known delay, or the card's loopback",
     .wants_card = true,
     .counters = "instructions mmio_reads mmio_writes iretq l1d_misses llc_misses"},
    cases, settings, claims, body);

}  // namespace doorbell::labs
