// Packets from outside: the image answers ARP, ICMP echo and UDP echo, so that ping and the
// harness's own sender can measure it. What the image knows itself: `service` runs from knowing
// that frames are there to the store of the doorbell that sends their answers, in stages, one
// sample a burst; `cost` is a frame's share of it; `burst` says how many frames there were at once.
// Every frame is counted by what became of it (firmware/nic/answer.h).
#include "firmware/cpu/descriptors.h"
#include "firmware/cpu/registers.h"
#include "firmware/measure/timestamp.h"
#include "firmware/nic/answer.h"
#include "firmware/wire/cable.h"
#include "firmware/wire/outside.h"
#include "labs/kit/bench.h"
#include "labs/kit/cards.h"
#include "labs/kit/choice.h"
#include "labs/kit/lab.h"

namespace doorbell::labs {
namespace {

constexpr const char* stages[] = {"take", "answer", "ring"};

constexpr Case cases[] = {
    "model=virtio-net wait=poll",   "model=virtio-net wait=irq", "model=virtio-net wait=irq-halt",
    "model=virtio-net wait=hybrid", "model=e1000e wait=poll",    "model=e1000e wait=irq",
    "model=e1000e wait=irq-halt",   "model=e1000e wait=hybrid",
};
static_assert(keys_are(cases, {"model wait"}));

// What the image needs, then what the harness's sender does.
constexpr Setting settings[] = {
    {"address", wire::outside_address, 0x01000000, 0xDFFFFFFF, "IPv4", "the image's address"},
    {"prefix", wire::outside_prefix, 8, 30, "bit", "how much of the address is the network's"},
    {"idle", 10, 1, 3600, "second", "a case ends when nothing has come for so long"},
    {"limit", 3600, 1, 86400, "second", "a case ends after so long, whatever comes"},
    {"echoes", 0, 0, ~0ull, "packet",
     "a case ends after so many UDP echoes (0: only by the above, or a datagram \"stop\" to port "
     "17474)"},
    {"requests", 10000, 0, 10000000, "packet",
     "how many UDP echoes doorbell asks for in each case (0: none, others will send)"},
    {"rate", 1000, 1, 1000000, "packet/s",
     "how many it sends a second, whether answers come or not"},
    {"window", 0, 0, 1024, "packet",
     "instead of a rate: how many may be unanswered at once (0: the rate counts)"},
    {"payload", 18, 16, 1472, "byte", "what a request carries"},
};

enum class Wait { poll, irq, halt, hybrid };

constexpr Choice<Wait> waits[] = {
    {"poll", Wait::poll}, {"irq", Wait::irq}, {"irq-halt", Wait::halt}, {"hybrid", Wait::hybrid}};
static_assert(all_chosen(cases, "wait", waits));

constexpr uint32_t most_at_once = 64, ring = 256;
/// Frames whose buffers may be out at once: the rest of the ring takes what comes meanwhile.
constexpr uint32_t most_held = ring / 2;
/// Between two looks at the clock.
constexpr unsigned looks = 1024;
/// Between two signs of life.
constexpr uint64_t alive_s = 10;
/// What ends a sleep in which no packet comes.
constexpr uint8_t tick_vector = 0x63;
constexpr uint64_t ticks_a_second = 20;

const platform::Machine* tick_machine;
void tick(cpu::Frame&) { tick_machine->apic->eoi(); }

// What the tally holds behind the responder's own kinds, where the card tells.
constexpr const char* card_names[] = {"card-missed", "card-runt", "card-over-long",
                                      "card-bad-check"};
constexpr unsigned tally_names = nic::fates + 4;

/// Everything that answers in one case.
struct Server {
    Bench& bench;
    const Case& test_case;
    nic::Nic& card;
    nic::Responder responder;
    Wait wait;
    measure::Series &service, &cost, &bursts;
    std::span<uint64_t> counts;  ///< of each Fate
    nic::BoundedWait bounded_wait;
    uint64_t second, idle, limit, echoes;
    uint64_t started, heard, told;  ///< ticks
    uint32_t held = 0;              ///< buffers that are not given back yet
    uint64_t frames = 0;
    uint64_t early_stops = 0;  ///< came before the first echo: meant for the case before
    bool echoed = false, over = false;
    bool recording = true;
    Result<void> outcome = {};
    nic::Received taken[most_at_once] = {};
    nic::ToSend answers[most_at_once] = {};

    uint64_t count(nic::Fate fate) const { return counts[static_cast<unsigned>(fate)]; }
    bool goes_on();
    uint64_t await();
    uint64_t await_interrupt();
    void give_back();
    [[gnu::noinline]] void serve(uint64_t most);
};

/// Whether to go on waiting. Between two looks at this, nothing that takes long happens in a wait.
bool Server::goes_on() {
    give_back();
    uint64_t now = measure::end();
    if (now - told >= alive_s * second) {
        bench.alive(test_case, frames);
        told = now;
    }
    over = over || now - heard >= idle || now - started >= limit;
    return !over && outcome;
}

/// Buffers go back when everything that is sent out of them has left.
void Server::give_back() {
    if (held == 0) return;
    if (held >= most_held && !bounded_wait.until(1000, [&] { return card.all_sent(); })) {
        auto checked = card.check();
        outcome = checked ? Error{"answers did not leave the card within 1 s"} : checked;
        return;
    }
    if (!card.all_sent()) return;
    card.recycle(held);
    held = 0;
}

/// Until frames are there: the tick of the first instruction that knows, or 0 when the case is
/// over.
uint64_t Server::await() {
    // The hybrid is told only of what comes after it found nothing.
    if (wait == Wait::hybrid && card.receive_status().arrived()) return measure::end();
    if (wait != Wait::poll) return await_interrupt();
    do
        for (unsigned look = 0; look < looks; ++look)
            if (card.receive_status().arrived()) return measure::end();
    while (goes_on());
    return 0;
}

uint64_t Server::await_interrupt() {
    nic_event.fired = 0;
    if (!card.arm()) return measure::end();
    do {
        if (wait != Wait::halt) {
            for (unsigned look = 0; look < looks; ++look)
                if (nic_event.fired != 0) return nic_event.known;
        } else {
            // Between STI and HLT no interrupt comes in, so none is slept through.
            cpu::disable_interrupts();
            if (nic_event.fired == 0) asm volatile("sti\n\thlt" : : : "memory");
            cpu::enable_interrupts();
            if (nic_event.fired != 0) return nic_event.known;
        }
    } while (goes_on());
    return 0;
}

/// Answers bursts until `most` of them are recorded, or the case is over.
void Server::serve(uint64_t most) {
    for (uint64_t recorded = 0; recorded < most && goes_on();) {
        uint64_t marks[4];
        marks[0] = await();
        if (marks[0] == 0) return;
        uint32_t there = card.receive(taken, most_at_once);
        marks[1] = measure::end();
        uint32_t send = 0;
        for (uint32_t i = 0; i < there; ++i) {
            nic::Answer answer = responder.answer(taken[i]);
            ++counts[static_cast<unsigned>(answer.fate)];
            answers[send] = {taken[i].data, answer.length};
            send += answer.length != 0;
        }
        marks[2] = measure::end();
        uint32_t sent = card.transmit(answers, send);
        marks[3] = measure::end();
        if (sent != send) outcome = Error{"the card took fewer answers than its ring has room for"};
        if (there != 0) heard = marks[3];
        held += there;
        frames += there;
        uint64_t stops = count(nic::Fate::stop), udp_echoes = count(nic::Fate::udp_echo);
        if (!echoed) early_stops = stops;
        echoed = udp_echoes + count(nic::Fate::icmp_echo) != 0;
        over = over || stops != early_stops || (echoes != 0 && udp_echoes >= echoes);
        // What is not answered rings no doorbell.
        if (send == 0 || !recording) continue;
        service.record_path(marks);
        cost.record((marks[3] - marks[0] + there - 1) / there);
        bursts.record(there);
        ++recorded;
    }
}

[[gnu::cold]] Result<void> serve_case(Bench& bench, const Case& test_case, nic::Nic& card,
                                      Wait wait) {
    auto counts = bench.machine.arena.array<uint64_t>(tally_names);
    auto names = bench.machine.arena.array<const char*>(tally_names);
    if (names.empty()) return Lacking{"no memory for the tally"};
    for (unsigned i = 0; i < tally_names; ++i)
        names[i] = i < nic::fates ? nic::fate_names[i] : card_names[i - nic::fates];
    uint64_t now = measure::end(), second = bench.machine.tsc.hz;
    auto* server = bench.machine.arena.make<Server>(
        bench, test_case, card,
        nic::Responder(card.mac(), static_cast<uint32_t>(bench.setting("address")),
                       static_cast<uint32_t>(bench.setting("prefix"))),
        wait, bench.series("service", {.stages = stages}), bench.series("cost"),
        bench.series("burst", {.unit = "frame", .better = Better::neither}), counts,
        nic::BoundedWait(cpu::Tsc{}, second), second, bench.setting("idle") * second,
        bench.setting("limit") * second, bench.setting("echoes"), now, now, now);
    if (server == nullptr) return Lacking{"no memory for the answers"};
    bool sleeps = server->wait == Wait::halt;
    if (server->wait != Wait::poll) cpu::enable_interrupts();
    if (sleeps) {
        tick_machine = &bench.machine;
        cpu::set_handler(tick_vector, tick);
        bench.machine.apic->set_divide_1();
        bench.machine.apic->set_timer_mode(cpu::TimerMode::periodic, tick_vector, false);
        bench.machine.apic->set_initial_count(
            static_cast<uint32_t>(bench.machine.apic_rate.hz(second) / ticks_a_second));
    }
    bench.alive(test_case, 0);
    // Without raw samples, every burst there is is recorded; of these there are as many as were
    // asked for.
    bench.repeat([&](uint64_t count) {
        bool all = server->service.parts().raw.empty() && count == bench.samples();
        server->serve(all ? ~0ull : count);
    });
    server->recording = false;
    server->serve(~0ull);
    // A stop's own answer has to leave before the card is stopped.
    (void)server->bounded_wait.until(100, [&] { return card.all_sent(); });
    if (sleeps) bench.machine.apic->set_timer_mode(cpu::TimerMode::one_shot, tick_vector, true);
    cpu::disable_interrupts();
    nic::CardCounts card_counts = card.counts();
    counts[nic::fates] = card_counts.missed;
    counts[nic::fates + 1] = card_counts.runts;
    counts[nic::fates + 2] = card_counts.over_long;
    counts[nic::fates + 3] = card_counts.bad_check;
    bench.tally = {"frames", names, counts};
    if (card_counts.missed != 0)
        server->service.flag("the card dropped frames: its ring was full (card-missed)");
    if (!server->outcome) return server->outcome;
    if (server->frames == 0)
        return Lacking{"nothing came from outside until the case's time was over (idle)"};
    return {};
}

[[gnu::cold]] Result<void> body(Bench& bench, const Case& test_case) {
    constexpr Lacking no_outside{
        "no packets come from outside here: doorbell run echo --net udp:PORT, or tap:INTERFACE "
        "(live clock)"};
    if (bench.exact()) return no_outside;
    auto* wait = chosen(waits, test_case["wait"]);
    if (wait == nullptr) return no_such_choice;
    if (bench.counters.in_pmu_pass()) return Lacking{"what comes from outside does not come again"};
    auto card = open_card(bench, test_case["model"], {ring, ring});
    if (!card) return card.error();
    nic::Nic& nic = **card;
    // On the exact clock's cable there is only a sender of the machine's own.
    if (__builtin_memcmp(nic.mac().data(), wire::cable_prefix, sizeof wire::cable_prefix) == 0)
        return no_outside;
    if (*wait == Wait::poll) return serve_case(bench, test_case, nic, *wait);
    auto ready = open_interrupt(bench, nic, nic::InterruptKind::msix);
    if (ready) ready = serve_case(bench, test_case, nic, *wait);
    close_interrupt(nic);
    return ready;
}

}  // namespace

extern const Lab echo_lab = define_lab(
    {.name = "echo",
     .question =
         "When a packet comes from outside, how long until the answer is on its way, and what does "
         "the sender see of it?",
     .needs = "the live clock; a network card (virtio-net, e1000e) joined to the outside: --net "
              "udp:PORT "
              "or tap:INTERFACE",
     .by_default = false,
     .wants_card = true},
    cases, settings, {}, body);

}  // namespace doorbell::labs
