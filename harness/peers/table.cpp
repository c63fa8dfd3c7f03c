#include "harness/peers/table.h"

#include <fmt/format.h>

#include "harness/results/table/table.h"
#include "harness/text/number.h"

namespace doorbell::harness {
namespace {

using Figure = std::optional<uint64_t>;

/// The median of the first series of `lab` and `metric` whose case has each key of `keys`; a case
/// with fewer other keys comes first.
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

/// Medians of the runs, and the names of those that a complete run lacks.
class Medians {
  public:
    Medians(const PeerRuns& runs, std::vector<std::string>* missing)
        : runs_(runs), missing_(missing) {}
    Figure doorbell(const char* lab, const char* keys, const char* metric) {
        return of("Doorbell", runs_.doorbell, lab, keys, metric);
    }
    Figure linux_guest(const char* lab, const char* keys, const char* metric) {
        return of("Linux", runs_.guest, lab, keys, metric);
    }
    Figure dpdk(const char* lab, const char* keys, const char* metric) {
        return of("DPDK", runs_.dpdk, lab, keys, metric);
    }

  private:
    Figure of(const char* name, const Run* run, const char* lab, const char* keys,
              const char* metric) {
        Figure figure = median(run, lab, keys, metric);
        if (run != nullptr && run->complete && !figure && missing_ != nullptr)
            missing_->push_back(fmt::format("{}: {} {} {}", name, lab, keys, metric));
        return figure;
    }
    const PeerRuns& runs_;
    std::vector<std::string>* missing_;
};

void add_event_rows(Medians& of, std::vector<PeerRow>& rows) {
    Figure send_one = of.doorbell("burst", "model=virtio-net burst=1", "cost");
    Figure poll = of.doorbell("nic", "model=e1000e wait=poll", "payload"),
           irq = of.doorbell("nic", "model=e1000e wait=irq", "payload");
    rows.insert(
        rows.end(),
        {{.name = "deadline",
          .polled = of.doorbell("timer", "source=lapic wait=poll-tsc", "latency"),
          .interrupt = of.doorbell("timer", "source=lapic wait=irq", "latency"),
          .blocking = of.linux_guest("timer", "source=nanosleep policy=fifo", "latency"),
          .busy_poll = of.linux_guest("timer", "source=rdtsc policy=other", "latency")},
         {.name = "packet, sent to read",
          .polled = sum(send_one, poll),
          .interrupt = sum(send_one, irq),
          .blocking = of.linux_guest("nic", "model=e1000e wait=block", "payload"),
          .busy_poll = of.linux_guest("nic", "model=e1000e wait=busy-poll", "payload"),
          .dpdk = of.dpdk("nic", "model=e1000e wait=poll", "payload")},
         {.name = "packet, arrived to read",
          .polled = poll,
          .interrupt = irq,
          .blocking = of.linux_guest("nic", "model=e1000e wait=block", "payload-after-send"),
          .busy_poll = of.linux_guest("nic", "model=e1000e wait=busy-poll", "payload-after-send"),
          .dpdk = of.dpdk("nic", "model=e1000e wait=poll", "payload-after-send")},
         {.name = "empty look",
          .polled = of.doorbell("nic", "model=e1000e op=empty-poll", "cost"),
          .busy_poll = of.linux_guest("nic", "model=e1000e op=empty-poll", "cost"),
          .dpdk = of.dpdk("nic", "model=e1000e op=empty-poll", "cost")},
         {.name = "received, of a burst of 32",
          .polled = of.doorbell("nic", "model=e1000e op=receive burst=32", "cost"),
          .dpdk = of.dpdk("nic", "model=e1000e op=receive burst=32", "cost")},
         {.name = "sent, of a burst of 32",
          .polled = of.doorbell("burst", "model=e1000e burst=32", "cost"),
          .dpdk = of.dpdk("nic", "model=e1000e op=transmit burst=32", "cost")}});
}

void add_crossing_rows(Medians& of, std::vector<PeerRow>& rows) {
    Figure system_call = of.doorbell("syscall", "gate=syscall space=same", "cost"),
           same_space = of.doorbell("switch", "state=registers space=same", "cost"),
           other_space = of.doorbell("switch", "state=registers space=other", "cost");
    rows.insert(
        rows.end(),
        {{.name = "system call, nothing done",
          .interrupt = system_call,
          .blocking = of.linux_guest("syscall", "call=unknown", "cost")},
         {.name = "system call, getppid",
          .interrupt = system_call,
          .blocking = of.linux_guest("syscall", "call=getppid", "cost")},
         {.name = "switch, yield, same space",
          .interrupt = same_space,
          .blocking = of.linux_guest("switch", "by=sched_yield who=thread", "cost")},
         {.name = "switch, yield, other space",
          .interrupt = other_space,
          .blocking = of.linux_guest("switch", "by=sched_yield who=process", "cost")},
         {.name = "same, other space, FIFO",
          .interrupt = other_space,
          .blocking = of.linux_guest("switch", "by=sched_yield who=process policy=fifo", "cost")},
         {.name = "switch, pipe, other space",
          .interrupt = other_space,
          .blocking = of.linux_guest("switch", "by=pipe who=process", "cost")},
         {.name = "signal to handler",
          .interrupt = of.doorbell("signals", "signal=SIGTERM target=running", "latency"),
          .blocking = of.linux_guest("signals", "by=kill to=handler target=running", "latency")}});
}

}  // namespace

std::vector<PeerRow> peer_rows(const PeerRuns& runs, std::vector<std::string>* missing) {
    Medians medians(runs, missing);
    std::vector<PeerRow> rows;
    add_event_rows(medians, rows);
    add_crossing_rows(medians, rows);
    return rows;
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
