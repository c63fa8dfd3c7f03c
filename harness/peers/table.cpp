#include "harness/peers/table.h"

#include <fmt/format.h>

#include "harness/results/table/table.h"
#include "harness/system/number.h"

namespace doorbell::harness {
namespace {

using Figure = std::optional<uint64_t>;

/// The median of the first series of `lab` and `metric` whose case has each key of `keys`; one with
/// fewer keys beside them comes first.
Figure median(const Run* run, const char* lab, const char* keys, const char* metric) {
    if (run == nullptr) return {};
    const Series* best = nullptr;
    for (const Series& series : run->series) {
        if (series.lab != lab || series.metric != metric) continue;
        CaseKeys wanted = CaseKeys::from_text(keys);
        bool all = true;
        for (const auto& [key, value] : wanted.pairs()) all &= series.test_case[key] == value;
        if (all &&
            (best == nullptr || series.test_case.pairs().size() < best->test_case.pairs().size()))
            best = &series;
    }
    return best == nullptr ? Figure{} : best->percentile(50000);
}

Figure sum(Figure a, Figure b) { return a && b ? Figure(*a + *b) : Figure{}; }

std::string cell(const Figure& figure) { return figure ? grouped(*figure) : "-"; }

/// How many times `theirs` is `ours`.
std::string ratio(const Figure& theirs, const Figure& ours) {
    if (!theirs || !ours || *ours == 0) return "-";
    double times = static_cast<double>(*theirs) / static_cast<double>(*ours);
    return times < 10 ? fmt::format("{:.1f}", times) : fmt::format("{:.0f}", times);
}

constexpr const char* definitions[] = {
    "All figures are medians in instructions (insn) of the same QEMU, machine type, card and "
    "cable, in the exact clock. An interrupt, a system call's "
    "crossing or an MMIO access is one instruction there, a string instruction one for each byte "
    "or word it moves: the table compares lengths of paths, "
    "not cycles.",
    "deadline: from the deadline to the first timestamp of the program that knows. Doorbell: LAPIC "
    "timer, polled by the TSC or by interrupt of a busy "
    "processor; Linux: clock_nanosleep under SCHED_FIFO on an idle processor, and a spin on RDTSC.",
    "packet: 60 bytes without the check sequence, from a virtio card over the cable to an e1000e "
    "card, 150 us apart (Doorbell) or 650 us (the others), so that the "
    "card's throttle of 128 us never delays one. It ends at the timestamp after its last byte was "
    "read: all 60 by Doorbell and DPDK, UDP's 18 by Linux's program, whose kernel "
    "has read the rest. Linux: send(2), recv(2); busy poll: SO_BUSY_POLL. While recv(2) sleeps the "
    "processor is kept busy below it (SCHED_IDLE), as in "
    "Doorbell's wait=irq. The sender's card does not interrupt (virtio_net's napi_tx=0): a sender "
    "is another machine's affair.",
    "packet, sent to read: from the timestamp before the call that sends, less the cable's 150,000 "
    "insn. Doorbell: its cost of sending one packet (lab burst, "
    "virtio-net) and its payload (lab nic), added.",
    "packet, arrived to read: Doorbell: from the sender's doorbell plus the cable's delay. Linux "
    "and DPDK cannot see the doorbell's store: from the timestamp "
    "after the sending call, which is later, so their figures are too small rather than too large.",
    "empty look: DPDK: rx_burst() that finds nothing; Linux: recv(2) with MSG_DONTWAIT on an empty "
    "socket.",
    "a packet of a burst of 32: received and its buffer given back; handed to the card (DPDK's "
    "includes giving back buffers that were sent before). DPDK: "
    "Debian's build (no link-time optimisation), net_e1000_em and net_virtio with their default "
    "thresholds, rings of 256, no offloads.",
    "system call: Doorbell: SYSCALL and back, nothing done; Linux: an unknown number (first) and "
    "getppid.",
    "switch: half a round trip between two tasks; yield (Linux: sched_yield, SCHED_OTHER and "
    "SCHED_FIFO), and for Linux also a byte through a pipe.",
    "signal: from before kill(2) to itself to the first timestamp of the handler; Doorbell: raise "
    "to handler, running task.",
};

}  // namespace

std::vector<PeerRow> peer_rows(const PeerRuns& runs, std::vector<std::string>* missing) {
    const Run *db = runs.doorbell, *lx = runs.guest, *dp = runs.dpdk;
    auto median = [&](const Run* run, const char* lab, const char* keys, const char* metric) {
        Figure figure = harness::median(run, lab, keys, metric);
        if (run != nullptr && run->complete && !figure && missing != nullptr)
            missing->push_back(fmt::format("{}: {} {} {}",
                                           run == db   ? "Doorbell"
                                           : run == lx ? "Linux"
                                                       : "DPDK",
                                           lab, keys, metric));
        return figure;
    };
    Figure send_one = median(db, "burst", "model=virtio-net burst=1", "cost");
    Figure poll = median(db, "nic", "model=e1000e wait=poll", "payload"),
           irq = median(db, "nic", "model=e1000e wait=irq", "payload");
    Figure same_space = median(db, "switch", "state=registers space=same", "cost"),
           other_space = median(db, "switch", "state=registers space=other", "cost");
    return {
        {"deadline",
         median(db, "timer", "source=lapic wait=poll-tsc", "latency"),
         median(db, "timer", "source=lapic wait=irq", "latency"),
         median(lx, "timer", "source=nanosleep policy=fifo", "latency"),
         median(lx, "timer", "source=rdtsc policy=other", "latency"),
         {}},
        {"packet, sent to read", sum(send_one, poll), sum(send_one, irq),
         median(lx, "nic", "model=e1000e wait=block", "payload"),
         median(lx, "nic", "model=e1000e wait=busy-poll", "payload"),
         median(dp, "nic", "model=e1000e wait=poll", "payload")},
        {"packet, arrived to read", poll, irq,
         median(lx, "nic", "model=e1000e wait=block", "payload-after-send"),
         median(lx, "nic", "model=e1000e wait=busy-poll", "payload-after-send"),
         median(dp, "nic", "model=e1000e wait=poll", "payload-after-send")},
        {"empty look",
         median(db, "nic", "model=e1000e op=empty-poll", "cost"),
         {},
         {},
         median(lx, "nic", "model=e1000e op=empty-poll", "cost"),
         median(dp, "nic", "model=e1000e op=empty-poll", "cost")},
        {"received, of a burst of 32",
         median(db, "nic", "model=e1000e op=receive burst=32", "cost"),
         {},
         {},
         {},
         median(dp, "nic", "model=e1000e op=receive burst=32", "cost")},
        {"sent, of a burst of 32",
         median(db, "burst", "model=e1000e burst=32", "cost"),
         {},
         {},
         {},
         median(dp, "nic", "model=e1000e op=transmit burst=32", "cost")},
        {"system call, nothing done",
         {},
         median(db, "syscall", "gate=syscall space=same", "cost"),
         median(lx, "syscall", "call=unknown", "cost"),
         {},
         {}},
        {"system call, getppid",
         {},
         median(db, "syscall", "gate=syscall space=same", "cost"),
         median(lx, "syscall", "call=getppid", "cost"),
         {},
         {}},
        {"switch, yield, same space",
         {},
         same_space,
         median(lx, "switch", "by=sched_yield who=thread", "cost"),
         {},
         {}},
        {"switch, yield, other space",
         {},
         other_space,
         median(lx, "switch", "by=sched_yield who=process", "cost"),
         {},
         {}},
        {"same, other space, FIFO",
         {},
         other_space,
         median(lx, "switch", "by=sched_yield who=process policy=fifo", "cost"),
         {},
         {}},
        {"switch, pipe, other space",
         {},
         other_space,
         median(lx, "switch", "by=pipe who=process", "cost"),
         {},
         {}},
        {"signal to handler",
         {},
         median(db, "signals", "signal=SIGTERM target=running", "latency"),
         median(lx, "signals", "by=kill to=handler target=running", "latency"),
         {},
         {}},
    };
}

std::string peer_table(const std::vector<PeerRow>& rows) {
    std::string text;
    for (const char* definition : definitions) text += wrapped("  ", definition);
    constexpr const char* line = "{:<27}{:>9}{:>10}{:>9}{:>10}{:>7}{:>11}{:>9}{:>8}\n";
    auto add = [&](const auto&... cells) { text += fmt::format(fmt::runtime(line), cells...); };
    text += "\n";
    add("", "Doorbell", "Doorbell", "Linux", "Linux", "DPDK", "told:", "asked:", "DPDK:");
    add("insn, median", "polled", "interrupt", "blocking", "busy poll", "polled", "Linux to",
        "Linux to", "to");
    for (const PeerRow& row : rows)
        add(row.name, cell(row.polled), cell(row.interrupt), cell(row.blocking),
            cell(row.busy_poll), cell(row.dpdk), ratio(row.blocking, row.interrupt),
            ratio(row.busy_poll, row.polled), ratio(row.dpdk, row.polled));
    text += wrapped("  ",
                    "The last three columns say how many times Doorbell's figure the other one is: "
                    "Linux blocking to Doorbell's interrupt, Linux busy poll and "
                    "DPDK to Doorbell polled. System calls, switches and signals wait for nothing; "
                    "they stand in the columns of those who are told.");
    return text;
}

Json peer_json(const std::vector<PeerRow>& rows) {
    Json all = Json::array();
    auto value = [](const Figure& figure) { return figure ? Json(*figure) : Json(); };
    for (const PeerRow& row : rows)
        all.push_back({{"case", row.name},
                       {"unit", "insn"},
                       {"evidence", "exact"},
                       {"doorbell_polled", value(row.polled)},
                       {"doorbell_interrupt", value(row.interrupt)},
                       {"linux_blocking", value(row.blocking)},
                       {"linux_busy_poll", value(row.busy_poll)},
                       {"dpdk", value(row.dpdk)}});
    return all;
}

}  // namespace doorbell::harness
