// How many packets should be queued for one ring of the doorbell? `cost` is what one packet costs
// the processor, the doorbell's store included; `first` is how long the first packet of the burst
// is held back by the others: from its being ready to the store that sends it.
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
    "model=e1000e burst=1",        "model=e1000e burst=2",       "model=e1000e burst=4",
    "model=e1000e burst=8",        "model=e1000e burst=16",      "model=e1000e burst=32",
    "model=e1000e burst=64",       "model=e1000e burst=128",     "model=e1000e burst=256",
    "model=e1000e burst=512",      "model=e1000e burst=1024",    "model=virtio-net burst=1",
    "model=virtio-net burst=2",    "model=virtio-net burst=4",   "model=virtio-net burst=8",
    "model=virtio-net burst=16",   "model=virtio-net burst=32",  "model=virtio-net burst=64",
    "model=virtio-net burst=128",  "model=virtio-net burst=256", "model=virtio-net burst=512",
    "model=virtio-net burst=1024",
};
static_assert(keys_are(cases, {"model burst"}) && numbers_are(cases, {"burst"}));

constexpr Setting settings[] = {
    {"length", 60, 60, 1514, "byte", "length of the frames, without the frame check sequence"},
};

/// Takes what has arrived at the far end; how many frames of ours.
uint64_t drain(nic::Nic& nic, nic::FrameTally& tally) {
    constexpr uint32_t at_once = 32;
    nic::Received frames[at_once];
    uint64_t before = tally[nic::FrameKind::ours];
    uint32_t rounds = 0, n;
    while (rounds++ < most_rounds && (n = nic.receive(frames, at_once)) != 0) {
        for (uint32_t i = 0; i < n; ++i) tally.add(frames[i]);
        nic.recycle(n);
    }
    return tally[nic::FrameKind::ours] - before;
}

Result<void> body(Bench& bench, const Case& test_case) {
    auto burst = static_cast<uint32_t>(test_case.number("burst"));
    // Room for two bursts at the receiver, at the cable's other end or in loopback: a cable's
    // sender may wait until all of a burst has found a buffer there.
    auto pair = open_pair(bench, test_case["model"], {burst > 128 ? 2 * burst : 256, 2048});
    if (!pair) return pair.error();
    nic::Nic& nic = *pair->under_test;
    if (nic.transmit_room() < burst)
        return Lacking{"the card's transmit ring has less room than the burst",
                       nic.transmit_room()};
    nic::MacAddress to = pair->far_end ? pair->far_end->mac() : nic.mac();
    auto frames =
        make_frames(bench, burst, static_cast<uint32_t>(bench.setting("length")), to, nic.mac());
    if (frames.empty()) return Lacking{"no memory for the frames"};
    measure::Series& cost = bench.series("cost", {.derived = "first / burst"});
    measure::Series& first = bench.series("first", {.counted = true});
    nic::BoundedWait bounded_wait(cpu::Tsc{}, bench.machine.tsc.hz);
    uint64_t overhead = bench.instrument.overhead;
    nic::FrameTally tally;
    Result<void> outcome;
    bench.repeat([&](uint64_t count) {
        // A burst is many packets, and waits for the cable: fewer samples say as much.
        uint64_t samples = burst > 16 ? (count * 4 + burst - 1) / burst : (count + 3) / 4;
        for (uint64_t i = 0; i < samples && outcome; ++i) {
            uint64_t start = measure::begin();
            uint32_t sent = nic.transmit(frames.data(), burst);
            uint64_t took = measure::end() - start - overhead;
            if (sent != burst) {
                outcome = Error{"the card took fewer frames than its ring has room for", sent};
                return;
            }
            cost.record((took + burst - 1) / burst);
            first.record(took);
            if (!bounded_wait.until(100, [&] { return nic.all_sent(); })) {
                outcome =
                    why_missing(nic, nic, Error{"the card did not send a burst within 100 ms"});
                return;
            }
            // What was sent must arrive, all of it.
            uint64_t arrived = 0;
            if (pair->far_end && !bounded_wait.until(100, [&] {
                    return (arrived += drain(*pair->far_end, tally)) >= burst;
                }))
                outcome = why_missing(*pair->far_end, nic,
                                      Error{"frames that were sent did not arrive at the cable's "
                                            "other end within 100 ms",
                                            burst - arrived});
            if (!pair->far_end) drain(nic, tally);
        }
    });
    flag_strangers(bench, {&cost, &first}, tally, {});
    return outcome;
}

ClaimVerdict most_is_won_early(const Results& results) {
    return judge_series(
        results, "burst", {{"model=e1000e burst=32", "cost"}, {"model=e1000e burst=1024", "cost"}},
        [](const Summary& some, const Summary& many) {
            wire::Text text = because();
            text << "in bursts of 32 " << some.p50 << " " << some.unit << " a packet, of 1024 "
                 << many.p50 << " (" << some.evidence << ")";
            uint64_t five = many.p50 * 5, four = some.p50 * 4;
            return decide(five > four, difference(five, four), uncertainty({&some, &many}, 5),
                          text);
        });
}

constexpr Claim claims[] = {
    {"burst-halves-cost", "a packet in a burst of 32 costs less than half of a packet alone",
     below({"model=e1000e burst=32", "cost"}, {"model=e1000e burst=1", "cost"}, 2)},
    {"most-won-by-32", "beyond 32 packets a doorbell, longer bursts save less than a fifth",
     most_is_won_early},
};

}  // namespace

extern const Lab burst_lab = define_lab(
    {.name = "burst",
     .question =
         "What does a packet cost to send, and how long is the first held back, when one doorbell "
         "serves a burst?",
     .needs = "a network card (e1000e, virtio-net)",
     .wants_card = true,
     .counters = "instructions stores mmio_writes l1d_misses l2_misses llc_misses"},
    cases, settings, claims, body);

}  // namespace doorbell::labs
