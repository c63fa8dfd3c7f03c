#include "labs/cards.h"

#include "firmware/cpu/descriptors.h"
#include "firmware/cpu/registers.h"
#include "firmware/measure/timestamp.h"
#include "firmware/nic/drivers.h"
#include "firmware/wire/cable.h"

[[gnu::used]] NicEvent nic_event;

// The first timestamp stands as early as it can: two registers must be saved for RDTSC.
asm(R"(
        .pushsection .text.nic, "ax"
        .macro  NIC_STAMP offset
        lfence
        rdtsc
        movl    %eax, nic_event + \offset(%rip)
        movl    %edx, 4 + nic_event + \offset(%rip)
        .endm
        .balign 64
        .global nic_interrupt_xapic
nic_interrupt_xapic:
        pushq   %rax
        pushq   %rdx
        NIC_STAMP 0
        movq    nic_event + 24(%rip), %rax
        movl    (%rax), %eax
        movq    nic_event + 16(%rip), %rax
        movl    $0, (%rax)
        NIC_STAMP 8
        incl    nic_event + 32(%rip)
        popq    %rdx
        popq    %rax
        iretq
        .balign 64
        .global nic_interrupt_x2apic
nic_interrupt_x2apic:
        pushq   %rax
        pushq   %rdx
        NIC_STAMP 0
        movq    nic_event + 24(%rip), %rax
        movl    (%rax), %eax
        pushq   %rcx
        movl    $0x80B, %ecx
        xorl    %eax, %eax
        xorl    %edx, %edx
        wrmsr
        popq    %rcx
        NIC_STAMP 8
        incl    nic_event + 32(%rip)
        popq    %rdx
        popq    %rax
        iretq
        .popsection
)");

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

Result<Card> bring_up(Bench& bench, const nic::Driver& driver, const platform::PciFunction& function, const RingSizes& rings) {
    nic::Resources resources{bench.machine.arena, cpu::Tsc{}, bench.machine.tsc.hz, rings.receive, rings.transmit};
    auto up = driver.bring_up(function, resources);
    if (!up) return up.error();
    return Card(*up);
}

/// The first card that `wanted` wants, by model and place. Cards that it does not want are stopped again.
template <class Wanted>
Result<Card> find(Bench& bench, std::string_view model, const RingSizes& rings, Error otherwise, Wanted&& wanted) {
    for (const platform::PciFunction& f : bench.machine.network) {
        const nic::Driver* driver = nic::driver_of(f);
        if (driver == nullptr || (!model.empty() && driver->model != model)) continue;
        uint64_t mark = bench.machine.arena.mark();
        auto card = bring_up(bench, *driver, f, rings);
        if (!card) {
            otherwise = card.error();
        } else if (wanted(place_of((*card)->mac()))) {
            return card;
        } else {
            Card stopped = std::move(*card);
        }
        bench.machine.arena.back_to(mark);
    }
    return otherwise;
}

constexpr Error no_such_card{"there is no card of this model in the machine (or no PCI)"};

}  // namespace

Result<Card> open_card(Bench& bench, std::string_view model, const RingSizes& rings) {
    return find(bench, model, rings, no_such_card, [](Place p) { return p.cable < 0 || p.end == wire::end_under_test; });
}

Result<Pair> open_pair(Bench& bench, std::string_view model, const RingSizes& rings) {
    Pair pair;
    auto card = find(bench, model, rings, no_such_card, [](Place p) { return p.cable >= 0 && p.end == wire::end_under_test; });
    if (card) {
        Place place = place_of((*card)->mac());
        auto far = find(bench, {}, rings, Error{"the cable has no sender at its other end"},
                        [&](Place p) { return p.cable == place.cable && p.end == wire::end_sender; });
        if (!far) return far.error();
        pair.under_test = std::move(*card);
        pair.far_end = std::move(*far);
        pair.delay = static_cast<uint64_t>(static_cast<unsigned __int128>(wire::cable_delay_ns) * bench.machine.tsc.hz / 1000000000);
        if (!bench.exact()) pair.flag = "unstable: the wire is a timer of the emulator, which the host makes late";
        return pair;
    }
    card = find(bench, model, rings, no_such_card, [](Place p) { return p.cable < 0; });
    if (!card) return card.error();
    auto looped = (*card)->loop_back(true);
    if (!looped) return looped.error();
    pair.under_test = std::move(*card);
    pair.flag = "arrival is the doorbell's store: the card's loopback is in the figure";
    return pair;
}

Result<DirectPair> open_loopback(Bench& bench, std::string_view model, const RingSizes& rings) {
    auto card = open_card(bench, model, rings);
    if (!card) return card.error();
    auto looped = (*card)->loop_back(true);
    if (!looped) return looped.error();
    DirectPair pair;
    pair.sender = std::move(*card);
    return pair;
}

Result<DirectPair> open_direct(Bench& bench, const RingSizes& rings) {
    constexpr std::string_view sender = "e1000e";
    auto card = find(bench, sender, rings, no_such_card, [](Place p) { return p.cable >= 0 && p.end == wire::end_under_test; });
    if (!card) return open_loopback(bench, sender, rings);
    Place place = place_of((*card)->mac());
    auto far = find(bench, {}, rings, Error{"the cable has nobody at its other end"},
                    [&](Place p) { return p.cable == place.cable && p.end == wire::end_sender; });
    if (!far) return far.error();
    DirectPair pair;
    pair.sender = std::move(*card);
    pair.far_end = std::move(*far);
    return pair;
}

namespace {

/// What the metronome's interrupt works on.
struct Beats {
    cpu::Mmio at;
    uint32_t value = 0, mask = 0;
    uint32_t step = 1;
    volatile uint32_t left = 0;
    uint64_t* arrival = nullptr;
    uint32_t arrival_step = 0;
    uint64_t nowhere = 0;  ///< takes arrivals that nobody wants, and doorbells that nobody hears
    const cpu::LocalApic* apic = nullptr;
} beats;

void beat(cpu::Frame&) {
    if (beats.left != 0) {
        *beats.arrival = measure::end();
        beats.at.write32(0, beats.value);
        beats.arrival += beats.arrival_step;
        beats.value = (beats.value + beats.step) & beats.mask;
        beats.left = beats.left - 1;
        if (beats.left == 0) beats.apic->set_initial_count(0);
    }
    beats.apic->eoi();
}

}  // namespace

Metronome::Metronome(platform::Machine& machine) : machine_(machine) {
    beats = {};
    beats.apic = &*machine.apic.device;
    machine.apic->set_divide_1();
    cpu::set_handler(vector, beat);
}

Metronome::~Metronome() { stop(); }

Result<void> Metronome::load(nic::Nic& sender, std::span<const nic::ToSend> frames, std::span<uint64_t> arrivals) {
    auto count = static_cast<uint32_t>(frames.size());
    if (sender.queue(frames.data(), count) != count) return Error{"the sender took fewer frames than its ring has room for"};
    auto rope = sender.bells(count);
    if (!rope) return rope.error();
    beats.at = rope->at;
    beats.value = rope->first;
    beats.mask = rope->mask;
    beats.arrival = arrivals.size() >= count ? arrivals.data() : &beats.nowhere;
    beats.arrival_step = arrivals.size() >= count;
    beats.left = count;
    return {};
}

void Metronome::load_nothing(uint32_t count) {
    static uint32_t unheard;
    beats.at = cpu::Mmio(reinterpret_cast<uint64_t>(&unheard));
    beats.value = 0;
    beats.mask = 0;
    beats.arrival = &beats.nowhere;
    beats.arrival_step = 0;
    beats.left = count;
}

uint64_t Metronome::start(uint64_t period) {
    uint64_t rate = machine_.apic_rate.tsc_per_count_32_32;
    uint64_t count = static_cast<uint64_t>((static_cast<unsigned __int128>(period) << 32) / rate);
    if (count == 0) count = 1;
    if (count > 0xFFFFFFFF) count = 0xFFFFFFFF;
    machine_.apic->set_timer_mode(cpu::TimerMode::periodic, vector, false);
    machine_.apic->set_initial_count(static_cast<uint32_t>(count));
    return static_cast<uint64_t>(static_cast<unsigned __int128>(count) * rate >> 32);
}

void Metronome::stop() {
    machine_.apic->set_timer_mode(cpu::TimerMode::one_shot, vector, true);
    if (beats.left != 0) beats.at.write32(0, (beats.value + (beats.left - 1) * beats.step) & beats.mask);
    beats.left = 0;
}

uint32_t Metronome::left() const { return beats.left; }

std::span<nic::ToSend> make_frames(Bench& bench, uint32_t count, uint32_t length, const nic::MacAddress& to, const nic::MacAddress& from) {
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

Result<void> open_interrupt(Bench& bench, nic::Nic& nic, nic::InterruptKind kind) {
    bool x2 = bench.machine.apic->x2();
    nic_event.end_of_interrupt =
        x2 ? 0 : bench.machine.apic->xapic().base() + static_cast<uint64_t>(cpu::ApicRegister::end_of_interrupt);
    auto routed = nic.route(kind, nic_vector, bench.machine.apic->id());
    nic_event.acknowledge = nic.acknowledge_register();
    nic_event.fired = 0;
    cpu::set_gate(nic_vector, x2 ? nic_interrupt_x2apic : nic_interrupt_xapic);
    return routed;
}

void close_interrupt(nic::Nic& nic) {
    nic.disarm();
    // What is on its way already is taken by the handler, not by the panic that a stray interrupt is.
    cpu::enable_interrupts();
    for (unsigned i = 0; i < 100; ++i) asm volatile("pause");
    cpu::disable_interrupts();
    cpu::reset_gate(nic_vector);
}

bool someone_within(const nic::Nic& nic, uint64_t ticks) {
    for (uint64_t start = measure::end(); !nic.doorstep().someone();)
        if (measure::end() - start > ticks) return false;
    return true;
}

bool fires_within(uint64_t ticks) {
    cpu::enable_interrupts();
    bool fired = true;
    for (uint64_t start = measure::end(); fired && nic_event.fired == 0;) fired = measure::end() - start <= ticks;
    cpu::disable_interrupts();
    return fired;
}

}  // namespace doorbell::labs
