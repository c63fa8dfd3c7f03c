#include "labs/kit/cards.h"

#include <algorithm>

#include "firmware/cpu/descriptors.h"
#include "firmware/cpu/mul_div.h"
#include "firmware/cpu/registers.h"
#include "firmware/measure/timestamp.h"
#include "firmware/nic/drivers.h"
#include "firmware/wire/cable.h"

namespace doorbell::labs {
namespace {

/// The cable that a card hangs on and its end there, by its address; cable -1: none.
struct Place {
    int cable = -1;
    uint8_t end = 0;
};

Place place_of(const nic::MacAddress& mac) {
    for (unsigned i = 0; i < 4; ++i)
        if (mac[i] != wire::cable_prefix[i]) return {};
    return {mac[4], mac[5]};
}

Result<Card> bring_up(Bench& bench, const nic::Driver& driver,
                      const platform::PciFunction& function, const RingSizes& rings,
                      bool loopback = false) {
    nic::Resources resources{bench.machine.arena, cpu::Tsc{}, bench.machine.tsc.hz, rings.receive,
                             rings.transmit};
    resources.loopback = loopback;
    return Card(DOORBELL_TRY(driver.bring_up(function, resources)));
}

/// Which cards are suitable: those without a cable of Doorbell's, those under test at one, or the
/// sender at the other end.
enum class Wanted { uncabled, under_test, uncabled_or_under_test, sender };

bool will_do(Place p, Wanted wanted, int cable) {
    switch (wanted) {
        case Wanted::uncabled:
            return p.cable < 0;
        case Wanted::under_test:
            return p.cable >= 0 && p.end == wire::end_under_test;
        case Wanted::uncabled_or_under_test:
            return p.cable < 0 || p.end == wire::end_under_test;
        case Wanted::sender:
            return p.cable == cable && p.end == wire::end_sender;
    }
    return false;
}

/// The first card of the model (any where it is empty) that is suitable. Cards that are not are
/// stopped again. Without one: what is wrong with a card that was tried; else what the last one
/// lacks; else `otherwise`.
Result<Card> find(Bench& bench, std::string_view model, const RingSizes& rings, Error otherwise,
                  bool loopback, Wanted wanted, int cable = -1) {
    for (const platform::PciFunction& f : bench.machine.network) {
        const nic::Driver* driver = nic::driver_of(f);
        if (driver == nullptr || (!model.empty() && driver->model != model)) continue;
        uint64_t mark = bench.machine.arena.mark();
        auto card = bring_up(bench, *driver, f, rings, loopback);
        if (!card) {
            // What a later card lacks must not hide that this one is broken.
            if (otherwise.lacking()) otherwise = card.error();
        } else if (will_do(place_of((*card)->mac()), wanted, cable)) {
            return card;
        } else {
            Card stopped = std::move(*card);
        }
        bench.machine.arena.back_to(mark);
    }
    return otherwise;
}

constexpr Absent no_such_card{"this machine has no card of this model (or no PCI)"};

/// Two ends of a cable.
struct Ends {
    Card near, far;
    bool timed = false;  ///< the cable is Doorbell's own, with a known delay
};

bool arrives(Bench& bench, nic::Nic& from, nic::Nic& to) {
    auto frames = make_frames(bench, 1, nic::shortest_frame, to.mac(), from.mac());
    if (frames.empty() || from.transmit(frames.data(), 1) != 1) return false;
    bool came = false;
    nic::Received r;
    return nic::BoundedWait(cpu::Tsc{}, bench.machine.tsc.hz).until(100, [&] {
        if (to.receive(&r, 1) == 0) return came;
        // Others may be on the cable, too: only its own frame shows where it leads.
        came = came || (nic::classify(r) == nic::FrameKind::ours &&
                        std::equal(from.mac().begin(), from.mac().end(), r.data + 6));
        to.recycle(1);
        return came;
    });
}

/// For each card, by its place in Machine::network: not looked for, none, or the other end's place
/// + 1. Found out once a run, since a card takes seconds to find its link. Cards beyond the end are
/// looked at in every case.
constexpr int16_t nothing_there = -1;
constexpr size_t remembered = 64;
int16_t other_end[remembered];

/// The card of that model and another one, of any model, that it is heard by. Error: `otherwise`
/// where fewer than two such cards are there; or the other end of one that was found before no
/// longer comes up.
Result<Ends> find_joined(Bench& bench, std::string_view model, const RingSizes& rings,
                         Error otherwise) {
    auto& cards = bench.machine.network;
    for (size_t near = 0; near < cards.size(); ++near) {
        const nic::Driver* driver = nic::driver_of(cards[near]);
        int16_t found_each_time = 0,
                &far_end = near < remembered ? other_end[near] : found_each_time;
        if (driver == nullptr || (!model.empty() && driver->model != model) ||
            far_end == nothing_there)
            continue;
        const bool known = far_end != 0;
        uint64_t mark = bench.machine.arena.mark();
        Ends ends;
        if (auto here = bring_up(bench, *driver, cards[near], rings))
            ends.near = std::move(*here);
        else if (known)
            return here.error();
        for (size_t far = 0;
             far < cards.size() && ends.near && place_of(ends.near->mac()).cable < 0; ++far) {
            const nic::Driver* other = nic::driver_of(cards[far]);
            if (far == near || other == nullptr ||
                (known && far_end != static_cast<int16_t>(far + 1)))
                continue;
            auto there = bring_up(bench, *other, cards[far], rings);
            if (!there && known) return there.error();
            if (!there || place_of((*there)->mac()).cable >= 0 ||
                !(known || arrives(bench, *ends.near, **there)))
                continue;
            far_end = static_cast<int16_t>(far + 1);
            ends.far = std::move(*there);
            return ends;
        }
        far_end = nothing_there;
        ends = {};
        bench.machine.arena.back_to(mark);
    }
    return otherwise;
}

/// Doorbell's own cable, which only an emulator has, or a real one. Error: what the machine lacks
/// where there is neither; or what is wrong with a card on a cable.
Result<Ends> find_cable(Bench& bench, std::string_view model, const RingSizes& rings) {
    if (!bench.machine.features.hypervisor_present)
        return find_joined(bench, model, rings, no_such_card);
    auto near = find(bench, model, rings, no_such_card, false, Wanted::under_test);
    if (!near)
        return near.error().lacking() ? find_joined(bench, model, rings, near.error())
                                      : near.error();
    auto far = find(bench, {}, rings, Lacking{"the cable has nobody at its other end"}, false,
                    Wanted::sender, place_of((*near)->mac()).cable);
    if (!far) return far.error();
    Ends ends;
    ends.near = std::move(*near);
    ends.far = std::move(*far);
    ends.timed = true;
    return ends;
}

Result<Card> find_looped(Bench& bench, std::string_view model, const RingSizes& rings,
                         Error otherwise) {
    auto card = find(bench, model, rings, otherwise, true, Wanted::uncabled);
    // Why the card does not come up at all says more than why it does not loop back; that it is
    // broken says most.
    if (!card && card.error().lacking() && !otherwise.absent()) return otherwise;
    return card;
}

}  // namespace

Result<Card> open_card(Bench& bench, std::string_view model, const RingSizes& rings) {
    return find(bench, model, rings, no_such_card, false, Wanted::uncabled_or_under_test);
}

Result<Pair> open_pair(Bench& bench, std::string_view model, const RingSizes& rings) {
    Pair pair;
    auto ends = find_cable(bench, model, rings);
    if (ends) {
        pair.under_test = std::move(ends->near);
        pair.far_end = std::move(ends->far);
        if (!ends->timed) {
            pair.flag =
                "arrival is the doorbell's store: the way through the cards and the cable (`wire`) "
                "is in the figure";
            return pair;
        }
        pair.delay = cpu::mul_div(wire::cable_delay_ns, bench.machine.tsc.hz, 1000000000);
        if (!bench.exact())
            pair.flag = "unstable: the wire is a timer of the emulator, which the host makes late";
        return pair;
    }
    auto card = find_looped(bench, model, rings, ends.error());
    if (!card) return card.error();
    pair.under_test = std::move(*card);
    pair.flag =
        "arrival is the doorbell's store: the way through the card's loopback (`wire`) is in the "
        "figure";
    return pair;
}

Result<DirectPair> open_loopback(Bench& bench, std::string_view model, const RingSizes& rings) {
    // A cable does not matter here: what is sent turns back before it.
    DirectPair pair;
    pair.sender =
        DOORBELL_TRY(find(bench, model, rings, no_such_card, true, Wanted::uncabled_or_under_test));
    return pair;
}

Result<DirectPair> open_direct(Bench& bench, const RingSizes& rings) {
    constexpr std::string_view sender = "e1000e";
    DirectPair pair;
    auto ends = find_cable(bench, sender, rings);
    if (ends) {
        pair.sender = std::move(ends->near);
        pair.far_end = std::move(ends->far);
        return pair;
    }
    pair.sender = DOORBELL_TRY(find_looped(bench, sender, rings, ends.error()));
    return pair;
}

namespace {

/// What the pacer's interrupt works on.
struct Pacing {
    cpu::Mmio at;
    uint32_t value = 0, mask = 0;
    volatile uint32_t left = 0;
    uint64_t* arrival = nullptr;
    uint32_t arrival_step = 0;
    uint64_t nowhere = 0;  ///< discards arrivals and doorbells
    const cpu::LocalApic* apic = nullptr;
} pacing;

void send_next(cpu::Frame&) {
    if (pacing.left != 0) {
        *pacing.arrival = measure::end();
        pacing.at.write32(0, pacing.value);
        pacing.arrival += pacing.arrival_step;
        pacing.value = (pacing.value + 1) & pacing.mask;
        pacing.left = pacing.left - 1;
        if (pacing.left == 0) pacing.apic->set_initial_count(0);
    }
    pacing.apic->eoi();
}

}  // namespace

PacketPacer::PacketPacer(platform::Machine& machine) : machine_(machine) {
    pacing = {};
    pacing.apic = &*machine.apic.device;
    machine.apic->set_divide_1();
    cpu::set_handler(vector, send_next);
}

PacketPacer::~PacketPacer() { stop(); }

Result<void> PacketPacer::load(nic::Nic& sender, std::span<const nic::ToSend> frames,
                               std::span<uint64_t> arrivals) {
    auto count = static_cast<uint32_t>(frames.size());
    if (sender.queue(frames.data(), count) != count)
        return Error{"the sender took fewer frames than its ring has room for"};
    auto writes = DOORBELL_TRY(sender.tail_writes(count));
    pacing.at = writes.at;
    pacing.value = writes.first;
    pacing.mask = writes.mask;
    pacing.arrival = arrivals.size() >= count ? arrivals.data() : &pacing.nowhere;
    pacing.arrival_step = arrivals.size() >= count;
    pacing.left = count;
    return {};
}

void PacketPacer::load_nothing(uint32_t count) {
    static uint32_t unheard;
    pacing.at = cpu::Mmio(reinterpret_cast<uint64_t>(&unheard));
    pacing.value = 0;
    pacing.mask = 0;
    pacing.arrival = &pacing.nowhere;
    pacing.arrival_step = 0;
    pacing.left = count;
}

uint64_t PacketPacer::start(uint64_t period) {
    // Nothing is left to work out once the timer runs.
    const uint32_t count = machine_.apic_rate.counts_to_load(period);
    const uint64_t real = machine_.apic_rate.ticks(count);
    machine_.apic->set_timer_mode(cpu::TimerMode::periodic, vector, false);
    machine_.apic->set_initial_count(count);
    return real;
}

void PacketPacer::stop() {
    machine_.apic->set_timer_mode(cpu::TimerMode::one_shot, vector, true);
    if (pacing.left != 0) pacing.at.write32(0, (pacing.value + pacing.left - 1) & pacing.mask);
    pacing.left = 0;
}

uint32_t PacketPacer::left() const { return pacing.left; }

std::span<nic::ToSend> make_frames(Bench& bench, uint32_t count, uint32_t length,
                                   const nic::MacAddress& to, const nic::MacAddress& from) {
    auto frames = bench.machine.arena.array<nic::ToSend>(count);
    uint64_t stride = (length + nic::headroom + 63) & ~63ull;
    uint64_t memory = bench.machine.arena.take(count * stride, 64);
    if (frames.empty() || memory == 0) return {};
    for (uint32_t i = 0; i < count; ++i) {
        auto* at = reinterpret_cast<uint8_t*>(memory + i * stride + nic::headroom);
        nic::write_lab_frame(at, length, to, from, i);
        frames[i] = {at, length};
    }
    return frames;
}

}  // namespace doorbell::labs
