// Polling against interrupts with other work to do. (A pizza was ordered: go to the door every now
// and then, or wait for the bell?) A job computes digits of pi while packets come. `work` is the
// share of the job's speed that is left to it, `latency` is how long a packet stood at the door.
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
#include "labs/kit/pi.h"

namespace doorbell::labs {
namespace {

// `rate` in packets a second, `every` in steps of the job.
constexpr Case cases[] = {
    "wait=irq rate=10",
    "wait=irq rate=100",
    "wait=irq rate=1000",
    "wait=irq rate=10000",
    "wait=irq rate=100000",
    "wait=irq rate=1000000",
    "wait=poll every=16 rate=10",
    "wait=poll every=16 rate=100",
    "wait=poll every=16 rate=1000",
    "wait=poll every=16 rate=10000",
    "wait=poll every=16 rate=100000",
    "wait=poll every=16 rate=1000000",
    "wait=poll every=256 rate=10",
    "wait=poll every=256 rate=100",
    "wait=poll every=256 rate=1000",
    "wait=poll every=256 rate=10000",
    "wait=poll every=256 rate=100000",
    "wait=poll every=256 rate=1000000",
    "wait=poll every=4096 rate=10",
    "wait=poll every=4096 rate=100",
    "wait=poll every=4096 rate=1000",
    "wait=poll every=4096 rate=10000",
    "wait=poll every=4096 rate=100000",
    "wait=poll every=4096 rate=1000000",
};
static_assert(keys_are(cases, {"wait rate", "wait every rate"}) &&
              words_are(cases, "wait", {"irq", "poll"}) && numbers_are(cases, {"rate"}));

/// The job looks at the clock after this many steps.
constexpr uint64_t steps_a_look = 4096;
constexpr uint32_t most_packets = 1000;
/// How long a sample lasts, in ticks: this long, or as long as one packet takes to come.
constexpr uint64_t short_window = 1000000;

/// What the model counts apart: what a packet costs by interrupt or by polling, and what looking in
/// vain costs, follow from these on any machine whose prices are known. `alone` is `steps_a_look`
/// steps of the job that nobody looks between.
enum class Region : unsigned { handler, packet, job_steps, look, alone };
constexpr const char* regions[] = {"interrupt", "packet", "job", "look", "alone"};

struct Door {
    nic::Nic* nic = nullptr;
    const cpu::LocalApic* apic = nullptr;
    const uint64_t* arrivals = nullptr;
    const nic::ToSend* sent = nullptr;
    measure::Series* latency = nullptr;
    uint64_t taken = 0, most = 0;
    nic::FrameTally tally;

    void answer() {
        MODEL_REGION_BEGINS(Region::packet);
        nic::Received frames[32];
        uint32_t n, rounds = 0;
        do {
            n = nic->receive(frames, 32);
            // Behind receive(): a packet may come while the others are taken.
            uint64_t now = measure::end();
            for (uint32_t i = 0; i < n; ++i) {
                // Packets come in the order in which they were sent, so this tells a stranger in a
                // few instructions.
                if (taken >= most || !nic::begins_as(frames[i], sent[taken].data)) {
                    tally.add(frames[i]);
                    continue;
                }
                latency->record(now - arrivals[taken++]);
            }
            nic->recycle(n);
        } while (n == 32 && ++rounds < most_rounds);
        MODEL_REGION_ENDS(Region::packet);
    }
} door;

void packet_interrupt(cpu::Frame&) {
    uint32_t rounds = 0;
    do {
        door.answer();
    } while (!door.nic->arm() && ++rounds < most_rounds);
    door.apic->eoi();
}

/// The job until `deadline`; polls the door every `every` steps, or never (0).
template <uint64_t every>
uint64_t run_job(PiJob& job, uint64_t deadline) {
    uint64_t before = job.steps();
    do {
        if constexpr (every == 0) {
            MODEL_REGION_BEGINS(Region::alone);
            job.run(steps_a_look);
            MODEL_REGION_ENDS(Region::alone);
        } else {
            for (uint64_t round = steps_a_look / every; round != 0; --round) {
                MODEL_REGION_ENDS(Region::look);  // the turn's before
                MODEL_REGION_BEGINS(Region::job_steps);
                job.run(every);
                MODEL_REGION_ENDS(Region::job_steps);
                MODEL_REGION_BEGINS(Region::look);
                if (door.nic->receive_status().arrived()) door.answer();
            }
            MODEL_REGION_ENDS(Region::look);
        }
    } while (static_cast<int64_t>(measure::end() - deadline) < 0);
    return job.steps() - before;
}

using Run = uint64_t (*)(PiJob& job, uint64_t deadline);
constexpr Choice<Run> polls[] = {
    {"", run_job<0>}, {"16", run_job<16>}, {"256", run_job<256>}, {"4096", run_job<4096>}};
static_assert(all_chosen(cases, "every", polls));

/// A case, ready to run.
struct Order {
    DirectPair pair;
    std::span<const nic::ToSend> frames;  ///< of one sample
    std::span<uint64_t> arrivals;
    PiJob* job = nullptr;
    Run run = nullptr;
    bool by_interrupt = false;
    uint64_t beat = 0;  ///< ticks between two packets
};

/// Error: no such card, or no memory.
Result<Order> take_order(Bench& bench, const Case& test_case) {
    auto* run = chosen(polls, test_case["every"]);
    if (run == nullptr) return no_such_choice;
    auto pair = open_direct(bench, {256, 1024});
    if (!pair) return pair.error();
    uint64_t beat = bench.machine.tsc.hz / test_case.number("rate");
    uint64_t in_window = short_window / beat;
    auto packets = static_cast<uint32_t>(in_window == 0             ? 1
                                         : in_window > most_packets ? most_packets
                                                                    : in_window);
    auto frames = make_frames(bench, most_packets, nic::shortest_frame, pair->receiver().mac(),
                              pair->sender->mac());
    Order order;
    order.pair = std::move(*pair);
    order.arrivals = bench.machine.arena.array<uint64_t>(most_packets);
    order.job = bench.machine.arena.make<PiJob>();
    if (frames.empty() || order.arrivals.empty() || order.job == nullptr)
        return Lacking{"no memory for the frames"};
    order.frames = frames.first(packets);
    order.run = *run;
    order.by_interrupt = test_case["wait"] == "irq";
    order.beat = beat;
    return order;
}

/// How long the pacer beats apart in a lot of `count` samples, and how many of them are taken: a
/// sample is a whole stretch of the job, so that few of them say as much. A single packet is waited
/// for once only; warming up does not need the whole time until a rare packet.
struct Lot {
    uint64_t samples, beat;
    Lot(const Bench& bench, const Order& order, uint64_t count) {
        bool warm_up = count < bench.samples();
        samples = warm_up || order.frames.size() == 1 ? 1 : (count + 399) / 400;
        beat = warm_up && order.beat > short_window ? short_window : order.beat;
    }
};

Result<void> deliver(Bench& bench, const Order& order, measure::Series& work) {
    nic::Nic &nic = order.pair.receiver(), &sender = *order.pair.sender;
    PiJob* job = order.job;
    auto run = order.run;
    bool by_interrupt = order.by_interrupt;
    auto packets = static_cast<uint32_t>(order.frames.size());
    nic::BoundedWait bounded_wait(cpu::Tsc{}, bench.machine.tsc.hz);
    PacketPacer pacer(bench.machine);
    Result<void> outcome;
    bench.repeat([&](uint64_t count) {
        Lot lot(bench, order, count);
        for (uint64_t i = 0; i < lot.samples; ++i) {
            if (!bounded_wait.until(100, [&] { return sender.all_sent(); })) {
                outcome = why_missing(sender, nic, Error{"the sender did not send within 100 ms"});
                return;
            }
            // What the job does alone, with the same timer beating: the beats stand for the world
            // outside.
            pacer.load_nothing(~0u);
            cpu::enable_interrupts();
            uint64_t period = pacer.start(lot.beat), start = measure::end();
            uint64_t alone = run_job<0>(*job, start + short_window);
            uint64_t alone_took = measure::end() - start;
            cpu::disable_interrupts();
            pacer.stop();

            door.taken = 0;
            outcome = pacer.load(sender, order.frames, order.arrivals);
            if (!outcome) return;
            // A stranger that came before may have had its interrupt already.
            for (uint32_t rounds = 0; by_interrupt && !nic.arm() && rounds < most_rounds; ++rounds)
                door.answer();
            cpu::enable_interrupts();
            pacer.start(lot.beat);
            start = measure::end();
            uint64_t steps = run(*job, start + period * packets + period / 2);
            uint64_t took = measure::end() - start;
            // The last ones, where the job was not to look again.
            uint64_t rest = measure::end() + bench.machine.tsc.hz / 100;
            while (door.taken < packets && static_cast<int64_t>(measure::end() - rest) < 0)
                if (!by_interrupt && nic.receive_status().arrived()) door.answer();
            cpu::disable_interrupts();
            pacer.stop();
            if (door.taken < packets) {
                outcome = why_missing(
                    nic, sender,
                    Error{"packets that were sent did not arrive", packets - door.taken});
                return;
            }
            work.record(cpu::mul_div(steps * alone_took, 1000000, alone * took));
        }
    });
    return outcome;
}

Result<void> body(Bench& bench, const Case& test_case) {
    auto order = take_order(bench, test_case);
    if (!order) return order.error();
    nic::Nic& nic = order->pair.receiver();
    measure::Series& work = bench.series(
        "work",
        {.unit = "ppm", .regions = regions, .interrupt = nic_vector, .better = Better::more});
    // One for each packet of each stretch.
    measure::Series& latency =
        bench.series("latency", {}, (bench.samples() / 400 + 1) * most_packets);
    Result<void> outcome;
    if (order->by_interrupt)
        outcome = open_interrupt(bench, nic, nic::InterruptKind::msix, packet_interrupt);
    door = {&nic,
            &*bench.machine.apic.device,
            order->arrivals.data(),
            order->frames.data(),
            &latency,
            0,
            order->frames.size(),
            {}};
    if (outcome) outcome = deliver(bench, *order, work);
    if (order->by_interrupt) close_interrupt(nic);
    flag_strangers(bench, {&work, &latency}, door.tally, nic.counts());
    return outcome;
}

/// What polling every 256th step and what interrupts leave the job at one rate.
struct Left {
    uint64_t rate, poll, irq;
    bool more_by_polling() const { return poll > irq; }
};

/// The rate from which polling every 256th step leaves the job more than interrupts do. What either
/// takes away grows by the packet, so between two rates that were tried the difference is a
/// straight line. Cases are in the order of their rates.
ClaimVerdict polling_wins_at_high_rate(const Results& results) {
    wire::Text text = because();
    bool exact = false;
    Left last{0, 0, 0}, before{0, 0, 0};  // the highest rate so far; the highest where polling lost
    Left won{0, 0, 0};                    // the lowest rate above `before`
    for (const Case& c : cases) {
        if (c["every"] != "256") continue;
        for (const Case& other : cases) {
            if (other["wait"] != "irq" || other["rate"] != c["rate"]) continue;
            const Summary* poll = results.find("pizza", c.text(), "work");
            const Summary* irq = results.find("pizza", other.text(), "work");
            if (poll == nullptr || irq == nullptr)
                return cannot_say("one of the rates was not run");
            exact = std::string_view(irq->evidence) == "exact";
            last = {c.number("rate"), poll->p50, irq->p50};
            if (!last.more_by_polling()) before = last, won = {0, 0, 0};
            if (last.more_by_polling() && won.rate == 0) won = last;
        }
    }
    const char* of_exact =
        exact ? "; this clock counts an interrupt as one instruction, so hardware's crossover is "
                "lower"
              : "";
    if (won.rate == 0) {
        text << "at the highest rate, " << last.rate << " packets a second, polling every 256th "
             << "step leaves " << last.poll << " ppm, interrupts " << last.irq << of_exact;
        return yes_or_no(false, text);
    }
    uint64_t lost_by = before.irq - before.poll, won_by = won.poll - won.irq;
    uint64_t crossover = before.rate + (won.rate - before.rate) * lost_by / (lost_by + won_by);
    text << "from about " << crossover << " packets a second on (at " << won.rate
         << " polling every 256th step leaves " << won.poll << " ppm, interrupts " << won.irq << ")"
         << of_exact;
    return yes_or_no(true, text);
}

constexpr Claim claims[] = {
    {"polling-wins-at-high-rate",
     "there is a rate of packets from which polling leaves the job more than interrupts do",
     polling_wins_at_high_rate},
};

}  // namespace

extern const Lab pizza_lab = define_lab(
    {.name = "pizza",
     .question =
         "With other work to do: what do polling for packets every k-th step and interrupts leave "
         "of it, and how long does a packet wait?",
     .needs = "an e1000e and the other end of its cable, or its loopback; MSI-X",
     .wants_card = true},
    cases, {}, claims, body);

}  // namespace doorbell::labs
