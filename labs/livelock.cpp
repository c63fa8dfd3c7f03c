// What is delivered when more packets come than can be processed? After Mogul and Ramakrishnan,
// "Eliminating receive livelock in an interrupt-driven kernel" (ACM TOCS 15(3), 1997). A packet
// costs two pieces of work: input, when it is taken from the card, and delivery, later; between the
// two lies a queue. `delivered` is the share of what the processor could deliver if it did nothing
// else; `wasted` is how many packets were worked on and then dropped.
#include "firmware/cpu/descriptors.h"
#include "firmware/cpu/mul_div.h"
#include "firmware/cpu/registers.h"
#include "firmware/measure/model_region.h"
#include "firmware/measure/timestamp.h"
#include "firmware/wire/text.h"
#include "labs/kit/bench.h"
#include "labs/kit/cards.h"
#include "labs/kit/choice.h"
#include "labs/kit/compare.h"
#include "labs/kit/lab.h"

namespace doorbell::labs {
namespace {

constexpr Case cases[] = {
    "policy=irq load=0.1",    "policy=irq load=0.5",    "policy=irq load=0.9",
    "policy=irq load=1",      "policy=irq load=1.5",    "policy=irq load=2",
    "policy=irq load=3",      "policy=irq load=5",      "policy=irq load=10",
    "policy=poll load=0.1",   "policy=poll load=0.5",   "policy=poll load=0.9",
    "policy=poll load=1",     "policy=poll load=1.5",   "policy=poll load=2",
    "policy=poll load=3",     "policy=poll load=5",     "policy=poll load=10",
    "policy=quota load=0.1",  "policy=quota load=0.5",  "policy=quota load=0.9",
    "policy=quota load=1",    "policy=quota load=1.5",  "policy=quota load=2",
    "policy=quota load=3",    "policy=quota load=5",    "policy=quota load=10",
    "policy=hybrid load=0.1", "policy=hybrid load=0.5", "policy=hybrid load=0.9",
    "policy=hybrid load=1",   "policy=hybrid load=1.5", "policy=hybrid load=2",
    "policy=hybrid load=3",   "policy=hybrid load=5",   "policy=hybrid load=10",
};
static_assert(keys_are(cases, {"policy load"}));

constexpr Setting settings[] = {
    {"input-work", 8000, 100, 1000000, "step",
     "work on a packet when it is taken from the card, in steps of a loop"},
    {"delivery-work", 12000, 100, 1000000, "step", "work on a packet when it is delivered"},
    {"queue", 32, 1, 1024, "packet", "how many packets the queue between the two holds"},
    {"quota", 4, 1, 32, "packet", "how many packets are taken at once where there is a quota"},
};

/// A sample lasts as long as the delivery of this many packets; where fewer come, until
/// `fewest_packets` have come.
constexpr uint32_t window_packets = 40, fewest_packets = 10;
/// Where there is nothing to do, this many steps pass before the next look.
constexpr uint64_t idle_steps = 64;

/// Tenths, from "0.1" or "10".
constexpr uint32_t tenths(std::string_view number) {
    uint32_t n = 0, scale = 10;
    for (char c : number) {
        if (c == '.')
            scale = 1;
        else if (c >= '0' && c <= '9')
            n = n * 10 + static_cast<uint32_t>(c - '0');
    }
    return n * scale;
}
static_assert(tenths("0.1") == 1 && tenths("1.5") == 15 && tenths("10") == 100);
static_assert([] {
    for (const Case& c : cases)
        if (tenths(c["load"]) == 0) return false;
    return true;
}());

/// Two instructions a step, at least one step.
[[gnu::noinline]] void work(uint64_t steps) {
    steps += steps == 0;
    asm volatile("1:\tdecq %0\n\tjnz 1b" : "+r"(steps) : : "cc");
}

/// What the model counts apart: what a packet costs under each policy follows from these on any
/// machine whose prices are known.
enum class Region : unsigned { handler, receive, input, delivery };
constexpr const char* regions[] = {"interrupt", "receive", "input", "delivery"};

/// The receiver at work, shared with its interrupt handler.
struct Receiver {
    nic::Nic *nic = nullptr, *sender = nullptr;
    const cpu::LocalApic* apic = nullptr;
    uint64_t input_work = 0, delivery_work = 0;
    uint32_t queue_limit = 0, quota = 0;
    volatile uint32_t queued = 0;
    volatile bool called = false;  ///< hybrid: the interrupt has come
    uint64_t deadline = 0;         ///< the sample's end, in ticks
    uint64_t arrived = 0, wasted = 0;
    nic::FrameTally tally;

    /// Takes up to `most` packets: the work on input, then into the queue or away. A stranger is
    /// counted, no more.
    uint32_t input(uint32_t most) {
        MODEL_REGION_BEGINS(Region::receive);
        nic::Received frames[32];
        uint32_t n = nic->receive(frames, most < 32 ? most : 32);
        uint32_t strangers = 0;
        for (uint32_t i = 0; i < n; ++i) {
            if (tally.add(frames[i]) != nic::FrameKind::ours) {
                ++strangers;
                continue;
            }
            MODEL_REGION_BEGINS(Region::input);
            work(input_work);
            if (queued < queue_limit)
                queued = queued + 1;
            else
                ++wasted;
            MODEL_REGION_ENDS(Region::input);
        }
        nic->recycle(n);
        arrived += n - strangers;
        MODEL_REGION_ENDS(Region::receive);
        return n;
    }
    /// Takes what there is and throws it away, with no work for it.
    void drain() {
        nic::Received frames[32];
        uint32_t n = nic->receive(frames, 32);
        for (uint32_t i = 0; i < n; ++i) arrived += tally.add(frames[i]) == nic::FrameKind::ours;
        nic->recycle(n);
    }
    bool deliver_one() {
        cpu::disable_interrupts();
        bool any = queued != 0;
        if (any) queued = queued - 1;
        cpu::enable_interrupts();
        if (any) {
            MODEL_REGION_BEGINS(Region::delivery);
            work(delivery_work);
            MODEL_REGION_ENDS(Region::delivery);
        }
        return any;
    }
} receiver;

bool over(uint64_t deadline) { return static_cast<int64_t>(measure::end() - deadline) >= 0; }

/// Interrupt per packet: input is done here, above everything but the clock of the outside world.
/// It ends with the sample, even where packets keep coming.
void interrupt_per_packet(cpu::Frame&) {
    cpu::enable_interrupts();
    do {
        receiver.input(1);
    } while (!receiver.nic->arm() && !over(receiver.deadline));
    cpu::disable_interrupts();
    receiver.apic->eoi();
}

/// Hybrid: only notes that there is work to do.
void interrupt_calls(cpu::Frame&) {
    receiver.called = true;
    receiver.apic->eoi();
}

/// One round of a policy's main loop, which ends at `deadline` at the latest; how many packets it
/// delivered.
using Round = uint32_t (*)(uint64_t deadline);

uint32_t round_irq(uint64_t) { return receiver.deliver_one(); }

/// Without a quota, input goes on for as long as packets come.
uint32_t round_poll(uint64_t deadline) {
    while (receiver.input(1) != 0 && !over(deadline)) {
    }
    uint32_t delivered = 0;
    while (!over(deadline) && receiver.deliver_one()) delivered += !over(deadline);
    return delivered;
}

uint32_t round_quota(uint64_t deadline) {
    (void)receiver.input(receiver.quota);
    uint32_t delivered = 0;
    while (!over(deadline) && receiver.deliver_one()) delivered += !over(deadline);
    return delivered;
}

uint32_t round_hybrid(uint64_t deadline) {
    if (!receiver.called) return 0;
    uint32_t delivered = round_quota(deadline);
    if (!receiver.nic->receive_status().arrived()) {
        receiver.called = false;
        // What came before the interrupt was armed may have none: it is called for here.
        if (!receiver.nic->arm()) receiver.called = true;
    }
    return delivered;
}

/// Takes everything that is still under way and throws it away.
Result<void> settle(const nic::BoundedWait& bounded_wait, uint64_t expected) {
    receiver.nic->disarm();
    bool all = bounded_wait.until(100, [&] {
        receiver.drain();
        return receiver.arrived >= expected && !receiver.nic->receive_status().arrived();
    });
    receiver.queued = 0;
    // Under overload a card drops what its ring has no room for: that is not a failure.
    if (!all && receiver.arrived == 0)
        return why_missing(*receiver.nic, *receiver.sender,
                           Error{"no packet arrived within 100 ms"});
    return {};
}

struct Policy {
    Round round;
    cpu::Handler interrupt;  ///< null: the card is polled
};
constexpr Choice<Policy> policies[] = {{"irq", {round_irq, interrupt_per_packet}},
                                       {"poll", {round_poll, nullptr}},
                                       {"quota", {round_quota, nullptr}},
                                       {"hybrid", {round_hybrid, interrupt_calls}}};
static_assert(all_chosen(cases, "policy", policies));

void begin_afresh(const Bench& bench) {
    receiver.input_work = bench.setting("input-work");
    receiver.queued = 0;
    receiver.called = false;
    receiver.arrived = receiver.wasted = 0;
}

/// What all samples of a case have in common.
struct Overload {
    Bench& bench;
    const Policy& policy;
    uint64_t packet_cost, load;  ///< in ticks; in tenths of what the processor can deliver
    std::span<const nic::ToSend> packets;  ///< of one sample
    measure::Series &delivered, &wasted, &capacity;
    nic::BoundedWait bounded_wait{cpu::Tsc{}, bench.machine.tsc.hz};

    /// The packets loaded, the card armed, nothing there that came unasked.
    Result<void> prepare(PacketPacer& pacer) {
        nic::Nic &nic = *receiver.nic, &sender = *receiver.sender;
        begin_afresh(bench);
        if (!bounded_wait.until(100, [&] { return sender.all_sent(); }))
            return why_missing(sender, nic, Error{"the sender did not send within 100 ms"});
        DOORBELL_TRY(pacer.load(sender, packets));
        // A stranger that came before may have had its interrupt already.
        while (policy.interrupt != nullptr && !nic.arm() &&
               receiver.tally.strangers() < most_rounds)
            (void)receiver.input(32);
        receiver.deadline = ~0ull >> 1;
        return {};
    }

    Result<void> sample(PacketPacer& pacer) {
        DOORBELL_TRY(prepare(pacer));
        const Round round = policy.round;
        cpu::enable_interrupts();
        uint64_t period = pacer.start(packet_cost * 10 / load);
        // From the first arrival, one period from here, to one period after the last.
        uint64_t window = period * packets.size(), deadline = measure::end() + period + window,
                 done = 0;
        receiver.deadline = deadline;
        while (!over(deadline)) {
            uint32_t n = round(deadline);
            // What was finished too late was not delivered in time.
            if (n == 0)
                work(idle_steps);
            else if (round != round_irq || !over(deadline))
                done += n;
        }
        cpu::disable_interrupts();
        pacer.stop();
        delivered.record(cpu::mul_div(done * packet_cost, 1000000, window));
        wasted.record(receiver.wasted);
        capacity.record(packet_cost);
        cpu::enable_interrupts();
        auto settled = settle(bounded_wait, packets.size());
        cpu::disable_interrupts();
        return settled;
    }
};

Result<void> flood(Overload& overload) {
    const Policy& policy = overload.policy;
    Result<void> outcome;
    if (policy.interrupt != nullptr)
        outcome = open_interrupt(overload.bench, *receiver.nic, nic::InterruptKind::msix,
                                 policy.interrupt);
    {
        PacketPacer pacer(overload.bench.machine);
        overload.bench.repeat([&](uint64_t count) {
            // A sample is many packets: few of them say as much.
            uint64_t samples = (count + 499) / 500;
            for (uint64_t i = 0; i < samples && outcome; ++i) outcome = overload.sample(pacer);
        });
    }
    if (policy.interrupt != nullptr) close_interrupt(*receiver.nic);
    return outcome;
}

/// The packets of one sample at that load, in tenths.
uint32_t packets_at(uint64_t load) {
    uint64_t in_window = window_packets * load / 10;
    return static_cast<uint32_t>(in_window < fewest_packets ? fewest_packets : in_window);
}

Result<void> body(Bench& bench, const Case& test_case) {
    constexpr uint32_t most_packets = window_packets * 10;
    auto pair = open_direct(bench, {256, 1024});
    if (!pair) return pair.error();
    nic::Nic& nic = pair->receiver();
    nic::Nic& sender = *pair->sender;
    auto frames = make_frames(bench, most_packets, nic::shortest_frame, nic.mac(), sender.mac());
    if (frames.empty()) return Lacking{"no memory for the frames"};
    uint64_t load = tenths(test_case["load"]);

    receiver.nic = &nic;
    receiver.sender = &sender;
    receiver.tally = {};
    receiver.apic = &*bench.machine.apic.device;
    receiver.delivery_work = bench.setting("delivery-work");
    receiver.queue_limit = static_cast<uint32_t>(bench.setting("queue"));
    receiver.quota = static_cast<uint32_t>(bench.setting("quota"));
    measure::Series& delivered = bench.series(
        "delivered",
        {.unit = "ppm", .regions = regions, .interrupt = nic_vector, .better = Better::more});
    measure::Series& wasted = bench.series("wasted", {.unit = "packet", .shape = Shape::total});
    measure::Series& capacity = bench.series("cost");

    // What a packet costs when nothing disturbs: the measure of load and of what was delivered.
    constexpr uint32_t probe = 8;
    begin_afresh(bench);
    if (sender.transmit(frames.data(), probe) != probe ||
        !someone_within(nic, bench.machine.tsc.hz / 10))
        return why_missing(nic, sender,
                           Error{"a packet that was sent did not arrive within 100 ms"});
    work(100000);  // the rest of them is right behind
    uint64_t start = measure::begin();
    uint32_t probed = 0;
    while (receiver.queued < probe && probed++ < 1000) (void)receiver.input(1);
    while (receiver.deliver_one()) {
    }
    uint64_t packet_cost = (measure::end() - start) / probe;
    cpu::disable_interrupts();
    if (receiver.arrived != probe)
        return why_missing(nic, sender,
                           Error{"not every packet that was sent arrived", receiver.arrived});

    auto* policy = chosen(policies, test_case["policy"]);
    if (policy == nullptr) return no_such_choice;
    Overload overload{bench,     *policy, packet_cost, load, frames.first(packets_at(load)),
                      delivered, wasted,  capacity};
    auto outcome = flood(overload);
    nic::CardCounts dropped = nic.counts();
    dropped.missed = 0;  // under overload the card's dropping is what is measured
    flag_strangers(bench, {&delivered, &wasted}, receiver.tally, dropped);
    return outcome;
}

/// The best of a policy over all loads, and what is left of it at ten times the load. False: one of
/// its loads was not run, and the peak may have been there.
bool peak_and_ten(const Results& results, std::string_view policy, uint64_t& peak, uint64_t& ten) {
    peak = ten = 0;
    for (const Case& c : cases) {
        if (c["policy"] != policy) continue;
        const Summary* s = results.find("livelock", c.text(), "delivered");
        if (s == nullptr) return false;
        if (s->p50 > peak) peak = s->p50;
        if (c["load"] == "10") ten = s->p50;
    }
    return peak != 0;
}

ClaimVerdict irq_collapses(const Results& results) {
    uint64_t peak, ten;
    if (!peak_and_ten(results, "irq", peak, ten))
        return cannot_say("one of the loads was not run, or nothing was delivered");
    wire::Text text = because();
    text << "peak " << peak << " ppm of capacity, at ten times the load " << ten;
    return yes_or_no(ten * 2 < peak, text);
}

/// A sample counts packets, `window_packets` at full capacity: the claim is about packets.
ClaimVerdict hybrid_holds(const Results& results) {
    uint64_t peak, ten;
    if (!peak_and_ten(results, "hybrid", peak, ten))
        return cannot_say("one of the loads was not run, or nothing was delivered");
    auto packets = [](uint64_t ppm) { return (ppm * window_packets + 500000) / 1000000; };
    wire::Text text = because();
    text << "peak " << packets(peak) << " of " << window_packets << " packets (" << peak
         << " ppm of capacity), at ten times the load " << packets(ten) << " (" << ten << " ppm)";
    return yes_or_no(packets(ten) + 2 >= packets(peak), text);
}

constexpr Claim claims[] = {
    {"irq-collapses",
     "an interrupt for every packet delivers less than half of its peak at ten times the load",
     irq_collapses},
    {"hybrid-keeps-peak",
     "interrupt, then poll with a quota delivers at ten times the load at most 2 packets of 40 "
     "fewer than at its peak",
     hybrid_holds},
};

}  // namespace

extern const Lab livelock_lab = define_lab(
    {.name = "livelock",
     .question = "When more packets come than can be processed, how many are still delivered?",
     .needs = "an e1000e and the other end of its cable, or its loopback; MSI-X",
     .wants_card = true},
    cases, settings, claims, body);

}  // namespace doorbell::labs
