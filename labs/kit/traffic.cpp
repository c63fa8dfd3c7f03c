// Packets that come when a lab asks for them, and an end to waiting for those that do not.
#include "labs/kit/traffic.h"

#include "firmware/cpu/descriptors.h"
#include "firmware/cpu/registers.h"
#include "firmware/measure/timestamp.h"
#include "firmware/wire/text.h"

namespace doorbell::labs {
namespace {

/// What the interrupt of a wait timeout works on.
struct TimedWait {
    const nic::ReceiveStatus* step;
    volatile uint32_t* fired;
    const cpu::LocalApic* apic;
    volatile bool came;
} timed_wait;

void timeout(cpu::Frame&) {
    timed_wait.came = true;
    *timed_wait.fired = *timed_wait.fired + 1;
    const nic::ReceiveStatus& step = *timed_wait.step;
    if (!step.arrived()) *const_cast<volatile uint32_t*>(step.word) = step.quiet ^ step.mask;
    timed_wait.apic->eoi();
}

}  // namespace

WaitTimeout::WaitTimeout(platform::Machine& machine, const nic::Nic& nic, volatile uint32_t* fired)
    : machine_(machine) {
    timed_wait = {&nic.receive_status(), fired, &*machine.apic.device, false};
    // A second, or half the counter's range, whichever is shorter.
    count_ = machine.apic_rate.counts_to_load(machine.tsc.hz, 1u << 31);
    cpu::set_handler(vector, timeout);
    machine.apic->set_divide_1();
    machine.apic->set_timer_mode(cpu::TimerMode::one_shot, vector, false);
}

WaitTimeout::~WaitTimeout() {
    machine_.apic->set_timer_mode(cpu::TimerMode::one_shot, vector, true);
}

bool WaitTimeout::expired() { return timed_wait.came; }

Error why_missing(nic::Nic& card, nic::Nic& sender, Error otherwise) {
    // What the sender's own receiver took in the meantime does not matter, however much it was.
    nic::Received r;
    for (unsigned i = 0; i < most_rounds && sender.receive(&r, 1) != 0; ++i) sender.recycle(1);
    for (nic::Nic* end : {&card, &sender}) DOORBELL_TRY(end->check());
    return otherwise;
}

void flag_strangers(Bench& bench, std::initializer_list<measure::Series*> all,
                    const nic::FrameTally& tally, const nic::CardCounts& dropped) {
    uint64_t lost = dropped.missed + dropped.runts + dropped.over_long + dropped.bad_check;
    constexpr size_t most = 240;
    auto buffer = bench.machine.arena.array<char>(most + 1);
    if ((tally.strangers() == 0 && lost == 0) || buffer.empty()) return;
    wire::Text text(buffer.first(most));
    // The case's memory lasts until its records are sent.
    text << tally.strangers()
         << " frames that are not the lab's own came in between and are not samples (";
    constexpr const char* names[] = {"",
                                     "broken ",
                                     ", runt ",
                                     ", over-long ",
                                     ", VLAN ",
                                     ", other EtherType ",
                                     ", wrong checksum "};
    for (unsigned kind = 1; kind < nic::frame_kinds; ++kind) text << names[kind] << tally.of[kind];
    text << ")";
    if (lost != 0)
        text << "; the card dropped runts " << dropped.runts << ", over-long " << dropped.over_long
             << ", wrong check " << dropped.bad_check << ", for want of room " << dropped.missed;
    for (measure::Series* s : all) s->flag(buffer.data());
}

bool someone_within(const nic::Nic& nic, uint64_t ticks) {
    for (uint64_t start = measure::end(); !nic.receive_status().arrived();)
        if (measure::end() - start > ticks) return false;
    return true;
}

namespace {
constexpr uint64_t patience_ms = 100;
}

Result<Traffic> Traffic::open(Bench& bench, std::string_view model, uint32_t frames,
                              uint32_t length) {
    Traffic t;
    t.pair = DOORBELL_TRY(open_pair(bench, model));
    t.bounded_wait = nic::BoundedWait(cpu::Tsc{}, bench.machine.tsc.hz);
    t.frames = make_frames(bench, frames, length, t.card().mac(), t.pair.sender().mac());
    if (t.frames.empty()) return Lacking{"no memory for the frames"};
    DOORBELL_TRY(t.prove());
    return t;
}

Result<void> Traffic::load(uint32_t n) {
    for (uint32_t i = 0; i < n; ++i) nic::set_sequence(frames[i].data, sequence + i);
    if (!bounded_wait.until(patience_ms, [&] { return pair.sender().all_sent(); }))
        return why_missing(pair.sender(), card(), Error{"the sender did not send within 100 ms"});
    if (pair.sender().queue(frames.data(), n) != n)
        return Error{"the sender took fewer frames than its ring has room for"};
    return {};
}

bool Traffic::expected(const nic::Received& r) {
    return tally.add(r) == nic::FrameKind::ours && nic::sequence_of(r.data) == sequence;
}

bool Traffic::take_all() {
    bool ours = false;
    nic::Received r;
    for (uint32_t i = 0; i < most_rounds && card().receive(&r, 1) != 0; ++i) {
        ours |= expected(r);
        card().recycle(1);
    }
    return ours;
}

Result<void> Traffic::catch_up() {
    bool came = bounded_wait.until(patience_ms, [&] { return take_all(); });
    ++sequence;
    // An interrupt that the card still holds back must not be the next sample's.
    card().disarm();
    (void)bounded_wait.until(1, [] { return false; });
    if (!came) return missing("a packet that was sent did not arrive within 100 ms");
    if (++disturbed > most_disturbed)
        return Lacking{"too many samples were disturbed by frames that are not the lab's own",
                       tally.strangers()};
    return {};
}

Error Traffic::missing(const char* what) { return why_missing(card(), pair.sender(), Error{what}); }

bool Traffic::arm() {
    (void)take_all();
    do {
        nic_event.fired = 0;
        if (card().arm()) return true;
        (void)take_all();
    } while (++disturbed < most_disturbed);
    return false;
}

Result<void> Traffic::prove() {
    DOORBELL_TRY(load(1));
    pair.sender().tail_write().write();
    return catch_up_undisturbed();
}

Result<void> Traffic::prove_interrupt(const Bench& bench) {
    DOORBELL_TRY(load(1));
    (void)arm();
    pair.sender().tail_write().write();
    if (!fires_within(bench.machine.tsc.hz / 1000 * patience_ms))
        return Error{"the packet's interrupt did not arrive: tried once, waited 100 ms"};
    return catch_up_undisturbed();
}

Result<void> Traffic::catch_up_undisturbed() {
    disturbed = 0;
    auto came = catch_up();
    disturbed = 0;
    return came;
}

void wait_out_throttle(const Bench& bench, const nic::Nic& card) {
    if (!bench.machine.features.tcg() || card.model() != "e1000e") return;
    uint64_t throttled = bench.machine.tsc.hz / 1000000 * 150;
    for (uint64_t start = measure::end(); measure::end() - start < throttled;) {
        // Each look at the clock takes the emulator as long as hundreds of these, and each turn of
        // a loop takes the cache model a while.
        asm volatile(".rept 500\n\tnop\n\t.endr");
    }
}

Result<void> PacketSource::open(std::string_view model) {
    traffic_ = DOORBELL_TRY(Traffic::open(bench_, model, 1, nic::shortest_frame));
    timeout_.emplace(bench_.machine, traffic_.card(), fired_);
    return traffic_.card().route(nic::InterruptKind::msix, vector_, bench_.machine.apic->id());
}

uint64_t PacketSource::arm(uint64_t) {
    if (lost_) lost_ = traffic_.load(1);
    if (!lost_) {
        *fired_ = *fired_ + 1;
        return measure::end();
    }
    wait_for_repeats();
    (void)traffic_.arm();
    timeout_->wait_from_now();
    return write_tail_now(traffic_.pair.sender().tail_write()) + traffic_.pair.delay;
}

/// The fast calls of a task in ring 3 come here with interrupts disabled, so that an interrupt
/// without a packet would be pending.
void PacketSource::wait_for_repeats() {
    bool disabled = (cpu::read_rflags() & cpu::rflags::interrupt) == 0;
    cpu::enable_interrupts();
    wait_out_throttle(bench_, traffic_.card());
    if (disabled) cpu::disable_interrupts();
    *fired_ = 0;
}

bool PacketSource::came() {
    if (!lost_) return false;
    uint64_t strangers = traffic_.tally.strangers();
    if (WaitTimeout::expired()) {
        lost_ = traffic_.missing(lost_in_the_middle);
    } else if (traffic_.take_all()) {
        ++traffic_.sequence;
        return true;
    } else {
        lost_ = traffic_.catch_up();
        if (traffic_.tally.strangers() == strangers) {
            without_packet_ = true;
            traffic_.disturbed = 0;
        }
    }
    return false;
}

void PacketSource::flag(std::initializer_list<measure::Series*> all) {
    flag_strangers(bench_, all, traffic_.tally, traffic_.card().counts());
    for (measure::Series* s : all)
        if (traffic_.pair.flag != nullptr) s->flag(traffic_.pair.flag);
    for (measure::Series* s : all)
        if (without_packet_)
            s->flag("interrupts without a packet came as well, and are not samples");
}

}  // namespace doorbell::labs
