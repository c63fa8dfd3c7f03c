// A packet arrives: how long until the program knows, by asking or by being told? The arrival is the tick of the
// sender's doorbell plus the cable's delay; `latency` runs from there to the first timestamp of the code that knows,
// `payload` to the last byte of the payload read, `path` to the buffer given back, in stages. `cost` is what one
// look costs when nothing is there, and what a packet costs when many are.
#include "firmware/cpu/descriptors.h"
#include "firmware/cpu/registers.h"
#include "firmware/measure/timestamp.h"
#include "firmware/wire/text.h"
#include "labs/bench.h"
#include "labs/cards.h"
#include "labs/lab.h"

namespace doorbell::labs {
namespace {

constexpr const char* poll_stages[] = {"notice", "descriptor", "payload", "recycle"};
constexpr const char* interrupt_stages[] = {"entry", "end-of-interrupt", "resume", "descriptor", "payload", "recycle"};
constexpr const char* hybrid_stages[] = {"entry", "end-of-interrupt", "resume", "descriptor", "payload", "recycle", "re-arm"};

constexpr Case cases[] = {
    "model=e1000e wait=poll",
    "model=e1000e wait=irq",
    "model=e1000e wait=irq kind=msi",
    "model=e1000e wait=irq-halt",
    "model=e1000e wait=mwait",
    "model=e1000e wait=hybrid",
    "model=virtio-net wait=poll",
    "model=virtio-net wait=irq",
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

constexpr Setting settings[] = {
    {"length", 60, 60, 1514, "byte", "length of the frames, without the frame check sequence"},
    {"budget", 16, 1, 128, "packet", "how many packets the hybrid takes before it looks up"},
};

/// A wait longer than this is none that a measured loop may be trusted with.
constexpr uint64_t patience_ms = 100;

enum class Wait { poll, irq, halt, mwait, hybrid };

/// The rescue of MWAIT: if the card's write does not wake the processor, this timer does.
constexpr uint8_t rescue_vector = 0x62;
volatile bool rescued;
platform::Machine* rescue_machine;
void rescue(cpu::Frame&) {
    rescued = true;
    rescue_machine->apic->eoi();
}

/// Sleeps on the descriptor's line until someone is there or the rescue has come.
[[gnu::always_inline]] inline uint64_t mwait_doorstep(const nic::Doorstep& step) {
    for (;;) {
        cpu::disable_interrupts();
        asm volatile("monitor" : : "a"(step.word), "c"(0), "d"(0) : "memory");
        if (step.someone() || rescued) break;
        asm volatile("sti\n\tmwait" : : "a"(0), "c"(0) : "memory");
    }
    uint64_t known = measure::end();
    cpu::enable_interrupts();
    return known;
}

/// Until the handler has run; see the timer lab for the order of STI, HLT and the timestamp in front of them.
template <bool halt>
[[gnu::always_inline]] inline void await_handler() {
    if constexpr (!halt) {
        while (nic_event.fired == 0) {}
    } else {
        for (;;) {
            cpu::disable_interrupts();
            if (nic_event.fired != 0) break;
            asm volatile("rdtsc\n\tsti\n\thlt" : : : "rax", "rdx", "memory");
        }
        cpu::enable_interrupts();
    }
}

/// Reads every byte: what a program does with a packet at the least.
[[gnu::always_inline]] inline uint64_t read_payload(const nic::Received& frame) {
    uint64_t sum = 0;
    auto* words = reinterpret_cast<const volatile uint64_t*>(frame.data);
    for (uint32_t i = 0; i < frame.length / 8; ++i) sum += words[i];
    for (uint32_t i = frame.length & ~7u; i < frame.length; ++i) sum += static_cast<const volatile uint8_t*>(frame.data)[i];
    return sum;
}

/// Everything a case needs to have packets come.
struct Setup {
    Pair pair;
    std::span<nic::ToSend> frames;
    nic::Patience patience{cpu::Tsc{}, 1};
    nic::FrameTally tally;
    uint64_t sequence = 0;
    nic::Nic& card() const { return *pair.under_test; }

    /// `n` frames queued at the sender, not rung for.
    Result<void> load(uint32_t n) {
        for (uint32_t i = 0; i < n; ++i) nic::set_sequence(frames[i].data, sequence + i);
        // The sender's own receiver may have heard strangers; they are of no interest.
        if (!patience.until(patience_ms, [&] { return pair.sender().all_sent(); }))
            return Error{"the sender did not send within 100 ms"};
        if (pair.sender().queue(frames.data(), n) != n) return Error{"the sender took fewer frames than its ring has room for"};
        return {};
    }
    /// Whether it is the frame that is waited for. Anything else is counted and is no sample.
    bool expected(const nic::Received& r) { return tally.add(r) == nic::FrameKind::ours && nic::sequence_of(r.data) == sequence; }
    void flag(measure::Series& s, bool from_arrival = true) const {
        if (from_arrival && pair.flag != nullptr) s.flag(pair.flag);
        if (tally.strangers() != 0) s.flag("frames that are not the lab's own came in between; their samples were taken again");
    }
};

Result<Setup> set_up(Bench& bench, std::string_view model, uint32_t frames) {
    auto pair = open_pair(bench, model);
    if (!pair) return pair.error();
    Setup s;
    s.pair = std::move(*pair);
    s.patience = nic::Patience(cpu::Tsc{}, bench.machine.tsc.hz);
    s.frames = make_frames(bench, frames, static_cast<uint32_t>(bench.setting("length")), s.card().mac(), s.pair.sender().mac());
    if (s.frames.empty()) return Error{"no memory for the frames"};
    return s;
}

uint64_t ticks_of_ms(Bench& bench, uint64_t ms) { return bench.machine.tsc.hz / 1000 * ms; }

/// One packet there and taken, with an end in sight: the measured loops have none.
Result<void> prove_arrival(Bench& bench, Setup& s) {
    auto loaded = s.load(1);
    if (!loaded) return loaded;
    s.pair.sender().bell().ring();
    if (!someone_within(s.card(), ticks_of_ms(bench, patience_ms))) {
        auto checked = s.card().check();
        return checked ? Error{"a packet that was sent did not arrive within 100 ms"} : checked.error();
    }
    nic::Received r;
    s.card().recycle(s.card().receive(&r, 1));
    ++s.sequence;
    return {};
}

/// The same by interrupt.
Result<void> prove_interrupt(Bench& bench, Setup& s) {
    nic_event.fired = 0;
    auto loaded = s.load(1);
    if (!loaded) return loaded;
    s.card().arm();
    s.pair.sender().bell().ring();
    if (!fires_within(ticks_of_ms(bench, patience_ms)))
        return Error{"the packet's interrupt did not arrive: tried once, waited 100 ms"};
    nic::Received r;
    s.card().recycle(s.card().receive(&r, 1));
    ++s.sequence;
    return {};
}

/// The same by MWAIT, with a timer as the rescue.
Result<void> prove_mwait(Bench& bench, Setup& s) {
    auto loaded = s.load(1);
    if (!loaded) return loaded;
    rescue_machine = &bench.machine;
    rescued = false;
    cpu::set_handler(rescue_vector, rescue);
    bench.machine.apic->set_divide_1();
    s.pair.sender().bell().ring();
    // Half the counter's range or 100 ms, whichever comes first.
    uint64_t counts = (static_cast<unsigned __int128>(ticks_of_ms(bench, patience_ms)) << 32) / bench.machine.apic_rate.tsc_per_count_32_32;
    bench.machine.apic->arm_one_shot(rescue_vector, static_cast<uint32_t>(counts < 1u << 31 ? counts : 1u << 31));
    cpu::enable_interrupts();
    (void)mwait_doorstep(s.card().doorstep());
    cpu::disable_interrupts();
    bench.machine.apic->set_timer_mode(cpu::TimerMode::one_shot, rescue_vector, true);
    bool was_rescued = rescued;
    rescued = false;
    nic::Received r;
    s.card().recycle(s.card().receive(&r, 1));
    ++s.sequence;
    if (was_rescued) return Error{"the card's write to the monitored line does not end MWAIT here (an emulator's MWAIT is HLT)"};
    return {};
}

template <Wait wait>
Result<void> measure_wait(Bench& bench, Setup& s, bool half_truth) {
    constexpr bool by_interrupt = wait == Wait::irq || wait == Wait::halt || wait == Wait::hybrid;
    std::span<const char* const> stages = poll_stages;
    if (by_interrupt) stages = interrupt_stages;
    if (wait == Wait::hybrid) stages = hybrid_stages;
    measure::Series& latency = bench.series("latency");
    measure::Series& payload = bench.series("payload");
    measure::Series& path = bench.series("path", {.stages = stages});
    nic::Nic& card = s.card();
    nic::Nic& sender = s.pair.sender();
    auto budget = static_cast<uint32_t>(bench.setting("budget"));
    auto* batch = bench.machine.arena.array<nic::Received>(budget).data();
    if (batch == nullptr) return Error{"no memory for the frames"};
    Result<void> outcome;
    if (by_interrupt) cpu::enable_interrupts();
    bench.repeat([&](uint64_t count) {
        uint64_t strangers = 0;
        for (uint64_t i = 0; i < count;) {
            outcome = s.load(1);
            if (!outcome) return;
            nic_event.fired = 0;
            if (by_interrupt && !card.arm()) {
                // Something came unasked; it is taken, counted, and the sample begins again.
                nic::Received stranger;
                while (card.receive(&stranger, 1) != 0) s.tally.add(stranger), card.recycle(1);
            }
            nic::Bell bell = sender.bell();
            uint64_t marks[8];
            marks[0] = ring_now(bell) + s.pair.delay;
            // The wait begins at a phase that the seed chooses, so that none is favoured.
            for (uint64_t n = bench.random.below(64); n != 0; --n) asm volatile("");
            uint64_t sum;
            unsigned m = 1;
            nic::Received frame;
            if constexpr (by_interrupt) {
                await_handler<wait == Wait::halt>();
                marks[3] = measure::end();
                marks[1] = nic_event.known;
                marks[2] = nic_event.handled;
                m = 4;
            } else if constexpr (wait == Wait::mwait) {
                marks[m++] = mwait_doorstep(card.doorstep());
            } else {
                marks[m++] = poll_doorstep(card.doorstep());
            }
            uint32_t taken = 1;
            if constexpr (wait == Wait::hybrid)
                taken = card.receive(batch, budget), frame = batch[0];
            else
                taken = card.receive(&frame, 1);
            if (taken == 0) continue;
            marks[m++] = measure::end();
            sum = read_payload(frame);
            asm volatile("" : : "r"(sum));
            marks[m++] = measure::end();
            bool good = s.expected(frame);
            // Looking at the frame is the lab's own affair, and not part of the path.
            uint64_t back = measure::end() - marks[m - 1];
            card.recycle(taken);
            marks[m] = measure::end() - back;
            ++m;
            if constexpr (wait == Wait::hybrid) {
                // Until empty, then armed again: arm() tells of what came in between, so that no wake-up is lost.
                while (!card.arm())
                    while (uint32_t more = card.receive(batch, budget)) card.recycle(more);
                marks[m] = measure::end() - back;
                ++m;
                card.disarm();
            }
            ++s.sequence;
            if (!good && ++strangers < 1000) continue;
            latency.record(marks[1] - marks[0]);
            payload.record(marks[m - (wait == Wait::hybrid ? 3 : 2)] - marks[0]);
            path.record_path(marks);
            ++i;
        }
        if (strangers >= 1000) outcome = Error{"too many frames that are not the lab's own", strangers};
    });
    cpu::disable_interrupts();
    for (measure::Series* series : {&latency, &payload, &path}) {
        s.flag(*series);
        if (half_truth) series->flag("unstable: the emulator wakes a halted processor by the card's throttle timer, 128000 ns late");
    }
    return outcome;
}

Result<void> wait_case(Bench& bench, const Case& which) {
    auto made = set_up(bench, which["model"], 1);
    if (!made) return made.error();
    Setup& s = *made;
    std::string_view wait = which["wait"];
    auto ready = prove_arrival(bench, s);
    if (!ready) return ready;
    if (wait == "poll") return measure_wait<Wait::poll>(bench, s, false);
    if (wait == "mwait") {
        if (!bench.machine.features.monitor) return Error{"this processor has no MONITOR/MWAIT (CPUID.01H:ECX[3])"};
        ready = prove_mwait(bench, s);
        return ready ? measure_wait<Wait::mwait>(bench, s, false) : ready;
    }
    ready = open_interrupt(bench, s.card(), which["kind"] == "msi" ? nic::InterruptKind::msi : nic::InterruptKind::msix);
    if (ready) ready = prove_interrupt(bench, s);
    if (ready) {
        // QEMU warps a halted machine's clock to the throttle timer, which its e1000e starts before it interrupts.
        bool half_truth = bench.exact() && which["model"] == "e1000e";
        if (wait == "irq") ready = measure_wait<Wait::irq>(bench, s, false);
        if (wait == "irq-halt") ready = measure_wait<Wait::halt>(bench, s, half_truth);
        if (wait == "hybrid") ready = measure_wait<Wait::hybrid>(bench, s, false);
    }
    close_interrupt(s.card());
    return ready;
}

Result<void> empty_poll_case(Bench& bench, const Case& which) {
    auto card = open_card(bench, which["model"]);
    if (!card) return card.error();
    nic::Nic& nic = **card;
    measure::Series& cost = bench.series("cost");
    constexpr uint32_t looks = 100, at_once = 32;
    nic::Received frames[at_once];
    uint64_t overhead = bench.instrument.overhead;
    nic::FrameTally tally;
    bench.repeat([&](uint64_t count) {
        for (uint64_t i = 0; i < count;) {
            uint32_t found, look = looks;
            uint64_t start = measure::begin();
            do {
                // The memory may have changed: each look is a whole one, as in a program that does something between.
                asm volatile("" : : : "memory");
                found = nic.receive(frames, at_once);
            } while (found == 0 && --look != 0);
            uint64_t took = measure::end() - start - overhead;
            for (uint32_t f = 0; f < found; ++f) tally.add(frames[f]);
            nic.recycle(found);
            if (found != 0) continue;
            cost.record((took + looks - 1) / looks);
            ++i;
        }
    });
    return {};
}

Result<void> receive_case(Bench& bench, const Case& which) {
    auto burst = static_cast<uint32_t>(which.number("burst"));
    auto made = set_up(bench, which["model"], burst);
    if (!made) return made.error();
    Setup& s = *made;
    auto ready = prove_arrival(bench, s);
    if (!ready) return ready;
    measure::Series& cost = bench.series("cost");
    auto* frames = bench.machine.arena.array<nic::Received>(burst).data();
    if (frames == nullptr) return Error{"no memory for the frames"};
    uint64_t overhead = bench.instrument.overhead, settle = bench.machine.tsc.hz / 100000;
    Result<void> outcome;
    bench.repeat([&](uint64_t count) {
        uint64_t samples = (count + 3) / 4;
        for (uint64_t i = 0, tries = 0; i < samples; ++tries) {
            outcome = s.load(burst);
            if (!outcome) return;
            s.pair.sender().bell().ring();
            if (!someone_within(s.card(), ticks_of_ms(bench, patience_ms)) || tries > 2 * samples + 100) {
                outcome = Error{"a burst that was sent did not arrive whole within 100 ms"};
                return;
            }
            // The rest of the burst is right behind the first.
            for (uint64_t start = measure::end(); measure::end() - start < settle;) {}
            uint64_t start = measure::begin();
            uint32_t n = s.card().receive(frames, burst);
            s.card().recycle(n);
            uint64_t took = measure::end() - start - overhead;
            bool whole = n == burst;
            for (uint32_t f = 0; f < n; ++f) whole &= s.tally.add(frames[f]) == nic::FrameKind::ours;
            s.sequence += burst;
            if (!whole) {
                while (uint32_t more = s.card().receive(frames, burst)) s.card().recycle(more);
                continue;
            }
            cost.record((took + burst - 1) / burst);
            ++i;
        }
    });
    s.flag(cost, false);
    return outcome;
}

Result<void> body(Bench& bench, const Case& which) {
    std::string_view op = which["op"];
    if (op == "empty-poll") return empty_poll_case(bench, which);
    if (op == "receive") return receive_case(bench, which);
    return wait_case(bench, which);
}

char because_buffer[200];

Verdict polling_is_sooner(const Results& results) {
    const Summary* poll = results.find("nic", "model=e1000e wait=poll", "latency");
    const Summary* irq = results.find("nic", "model=e1000e wait=irq", "latency");
    if (poll == nullptr || irq == nullptr) return {Verdict::Holds::cannot_say, "one of the two cases was not run"};
    wire::Text text(because_buffer);
    text << "poll p50 " << poll->p50 << " " << poll->unit << ", irq p50 " << irq->p50 << " (" << poll->evidence << ")";
    if (std::string_view(poll->evidence) == "exact") {
        text << "; this clock counts an interrupt as one instruction";
        return {Verdict::Holds::cannot_say, text.view()};
    }
    if (poll->unstable || irq->unstable) {
        text << "; the instant of arrival is not exact here";
        return {Verdict::Holds::cannot_say, text.view()};
    }
    return {poll->p50 < irq->p50 ? Verdict::Holds::yes : Verdict::Holds::no, text.view()};
}

Verdict looking_is_cheap(const Results& results) {
    const Summary* look = results.find("nic", "model=e1000e op=empty-poll", "cost");
    const Summary* take = results.find("nic", "model=e1000e op=receive burst=1", "cost");
    if (look == nullptr || take == nullptr) return {Verdict::Holds::cannot_say, "one of the two cases was not run"};
    wire::Text text(because_buffer);
    text << "an empty look " << look->p50 << " " << look->unit << ", a packet taken alone " << take->p50 << " (" << look->evidence << ")";
    return {look->p50 * 5 < take->p50 ? Verdict::Holds::yes : Verdict::Holds::no, text.view()};
}

Verdict bursts_pay(const Results& results) {
    const Summary* one = results.find("nic", "model=e1000e op=receive burst=1", "cost");
    const Summary* many = results.find("nic", "model=e1000e op=receive burst=32", "cost");
    if (one == nullptr || many == nullptr) return {Verdict::Holds::cannot_say, "one of the two cases was not run"};
    wire::Text text(because_buffer);
    text << "a packet alone " << one->p50 << " " << one->unit << ", in a burst of 32 " << many->p50 << " (" << one->evidence << ")";
    return {many->p50 * 2 < one->p50 ? Verdict::Holds::yes : Verdict::Holds::no, text.view()};
}

constexpr Claim claims[] = {
    {"polling knows of a packet sooner than an interrupt does", in_image(polling_is_sooner)},
    {"looking in vain costs less than a fifth of taking a packet", in_image(looking_is_cheap)},
    {"a packet taken in a burst of 32 costs less than half of a packet taken alone", in_image(bursts_pay)},
};

constexpr const char* shown[] = {"instructions", "mmio_reads", "mmio_writes", "iretq", "l1d_misses", "llc_misses"};

}  // namespace

extern const Lab nic_lab{
    .name = "nic",
    .question = "When a packet arrives, how soon does the program know, by asking or by being told, and what does looking cost?",
    .needs = "a network card (e1000e, virtio-net); a cable with a known delay, or the card's loopback",
    .cases = cases,
    .settings = settings,
    .claims = claims,
    .body = in_image(body),
    .wants_card = true,
    .counters = for_the_table(shown),
};

}  // namespace doorbell::labs
