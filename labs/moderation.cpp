// What does an interrupt that waits cost, and what does it save? A card may hold its interrupt
// back, so that one serves many packets. `latency` is each packet's way from its arrival to the
// handler that takes it; `interrupts` is how many interrupts came for a thousand packets.
#include "firmware/cpu/descriptors.h"
#include "firmware/cpu/registers.h"
#include "firmware/measure/model_region.h"
#include "firmware/measure/timestamp.h"
#include "labs/kit/bench.h"
#include "labs/kit/cards.h"
#include "labs/kit/choice.h"
#include "labs/kit/compare.h"
#include "labs/kit/lab.h"

namespace doorbell::labs {
namespace {

// The interval in microseconds.
constexpr Case cases[] = {
    "model=e1000e interval=0",       "model=e1000e interval=130",  "model=e1000e interval=250",
    "model=e1000e interval=500",     "model=e1000e interval=1000", "model=e1000e interval=2000",
    "model=virtio-net interval=130",
};
static_assert(keys_are(cases, {"model interval"}));

constexpr Setting settings[] = {
    {"period", 20, 5, 100000, "us", "time between two packets"},
};

/// QEMU's e1000e keeps this distance, in microseconds, whatever is asked for.
constexpr uint64_t emulators_floor_us = 128;

/// What the model counts apart: the interrupt, and the packets that it serves.
enum class Region : unsigned { handler, packets };
constexpr const char* regions[] = {"interrupt", "packets"};

struct Watcher {
    nic::Nic* nic = nullptr;
    const cpu::LocalApic* apic = nullptr;
    const uint64_t* arrivals = nullptr;
    measure::Series* latency = nullptr;
    volatile uint64_t taken = 0;
    uint64_t most = 0, interrupts = 0;
    nic::FrameTally tally;
} watcher;

void interrupt(cpu::Frame&) {
    ++watcher.interrupts;
    nic::Received frames[32];
    uint32_t rounds = 0;
    MODEL_REGION_BEGINS(Region::packets);
    do {
        while (uint32_t n = watcher.nic->receive(frames, 32)) {
            // Behind receive(): a packet may come while the others are taken.
            uint64_t now = measure::end();
            for (uint32_t i = 0; i < n; ++i) {
                if (watcher.tally.add(frames[i]) != nic::FrameKind::ours ||
                    watcher.taken >= watcher.most)
                    continue;
                watcher.latency->record(now - watcher.arrivals[watcher.taken]);
                watcher.taken = watcher.taken + 1;
            }
            watcher.nic->recycle(n);
            MODEL_REGION_ENDS(Region::packets);
            MODEL_REGION_BEGINS(Region::packets);  // of more packets, or the interrupt's own
            if (++rounds == most_rounds) break;
        }
    } while (!watcher.nic->arm() && rounds < most_rounds);
    watcher.apic->eoi();
}

/// What all samples of a case have in common.
struct Moderated {
    Bench& bench;
    nic::Nic& nic;
    uint64_t period, interval;  ///< in ticks; in microseconds
    std::span<const nic::ToSend> frames;
    std::span<uint64_t> arrivals;
    measure::Series& interrupts;
    nic::BoundedWait bounded_wait{cpu::Tsc{}, bench.machine.tsc.hz};

    /// `count` packets, each of which is a sample.
    Result<void> sample(PacketPacer& pacer, uint32_t count) {
        watcher.taken = watcher.interrupts = 0;
        watcher.most = count;
        auto outcome = pacer.load(nic, frames.first(count), arrivals);
        if (!outcome) return outcome;
        (void)nic.arm();
        cpu::enable_interrupts();
        pacer.start(period);
        // All of them, and ten intervals more.
        uint64_t start = measure::end(),
                 limit = period * (count + 10) + bench.machine.tsc.hz / 100000 * (interval + 1000);
        while (watcher.taken < count && measure::end() - start < limit)
            asm volatile(".rept 129\n\tnop\n\t.endr");  // as in wait_out_throttle()
        cpu::disable_interrupts();
        pacer.stop();
        if (watcher.taken < count)
            outcome = why_missing(
                nic, nic,
                Error{"packets did not arrive: their interrupt, or they themselves, got lost",
                      count - watcher.taken});
        if (!bounded_wait.until(100, [&] { return nic.all_sent(); }))
            outcome = why_missing(nic, nic, Error{"the card did not send within 100 ms"});
        interrupts.record(watcher.interrupts * 1000 / count);
        return outcome;
    }
};

Result<void> body(Bench& bench, const Case& test_case) {
    constexpr uint32_t at_once = 2000;
    auto pair = open_loopback(bench, test_case["model"], {256, 2048});
    if (!pair) return pair.error();
    nic::Nic& nic = pair->receiver();
    auto frames = make_frames(bench, at_once, nic::shortest_frame, nic.mac(), nic.mac());
    auto arrivals = bench.machine.arena.array<uint64_t>(at_once);
    if (frames.empty() || arrivals.empty()) return Lacking{"no memory for the frames"};
    auto opened = open_interrupt(bench, nic, nic::InterruptKind::msix, interrupt);
    uint64_t interval = test_case.number("interval");
    if (opened) opened = nic.moderate(interval * 1000);
    if (!opened) {
        close_interrupt(nic);
        return opened;
    }
    measure::Series& latency = bench.series("latency");
    measure::Series& interrupts = bench.series(
        "interrupts", {.unit = "per 1000 packets", .regions = regions, .interrupt = nic_vector});
    watcher = {&nic, &*bench.machine.apic.device, arrivals.data(), &latency, 0, 0, 0, {}};
    uint64_t period = bench.machine.tsc.hz / 1000000 * bench.setting("period");
    Moderated moderated{bench, nic, period, interval, frames, arrivals, interrupts};
    Result<void> outcome;
    {
        PacketPacer pacer(bench.machine);
        bench.repeat([&](uint64_t count) {
            for (uint64_t left = count; left != 0 && outcome;) {
                auto now = static_cast<uint32_t>(left < at_once ? left : at_once);
                outcome = moderated.sample(pacer, now);
                left -= now;
            }
        });
    }
    close_interrupt(nic);
    flag_strangers(bench, {&latency, &interrupts}, watcher.tally, nic.counts());
    if (bench.machine.features.tcg() && interval < emulators_floor_us)
        for (measure::Series* s : {&latency, &interrupts})
            s->flag(
                "unstable: the emulator's card keeps 128 us between two interrupts, whatever is "
                "asked for");
    return outcome;
}

constexpr Claim claims[] = {
    {"interval-saves-interrupts",
     "an interval of 1000 us saves more than three quarters of the interrupts that 130 us needs",
     below({"model=e1000e interval=1000", "interrupts"},
           {"model=e1000e interval=130", "interrupts"}, 4)},
    {"interval-costs-latency", "and makes the median packet wait more than four times as long",

     below({"model=e1000e interval=130", "latency"}, {"model=e1000e interval=1000", "latency"}, 4)},
};

}  // namespace

extern const Lab moderation_lab = define_lab(
    {.name = "moderation",
     .question = "What does holding an interrupt back save, and how long do packets wait for it?",
     .needs = "a card with interrupt throttling and loopback (e1000e); MSI-X",
     .wants_card = true},
    cases, settings, claims, body);

}  // namespace doorbell::labs
