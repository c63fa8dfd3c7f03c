// In the peers' guest only: a packet sent by the virtio card arrives at the e1000e card after the wire's fixed
// time; how soon does the program know? One task does both: it sends, then waits. `latency` runs from the
// timestamp before send(2) to the first timestamp of the program that has the payload, less the time on the
// wire. `known` runs from the arrival at the card, as far as it can be told: see the peers' definitions.
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>

#include "host/bench.h"
#include "host/clock.h"
#include "host/lab.h"
#include "host/network.h"
#include "host/udp.h"

namespace doorbell::host {
namespace {

constexpr Case cases[] = {
    "model=e1000e wait=block", "model=e1000e wait=epoll", "model=e1000e wait=busy-poll",
    "model=e1000e wait=spin",  "model=e1000e wait=packet-ring",
};

constexpr uint16_t port = 7979;
constexpr uint32_t left_address = 0x0A4E0001, right_address = 0x0A4E0002;
/// From the transmitter's doorbell to the arrival (QEMU's x-txtimer), in ns; `--set wire=N` says otherwise.
constexpr uint64_t wire_ns = 150'000;

void body(Bench& bench, const Case& which) {
    std::string from = link_of_driver("virtio_net"), to = link_of_driver("e1000e");
    if (from.empty() || to.empty()) throw Skip("this machine has not both a virtio_net and an e1000e card (the peers' guest has)");
    uint64_t wire = bench.setting("wire", wire_ns) * bench.instrument.tsc_hz / 1'000'000'000;

    NetworkNamespace right;
    right.leave();
    uint8_t from_mac[6], to_mac[6];
    mac_of(from, from_mac);
    mac_of(to, to_mac);
    move_link(to, right.fd());
    add_address(from, left_address, 24);
    set_up(from);
    add_neighbour(from, right_address, to_mac);
    File socket = sender_to(right_address, port);

    right.enter();
    add_address(to, right_address, 24);
    set_up(to);
    add_neighbour(to, left_address, from_mac);
    auto receiver = Receiver::make(which["wait"], right_address, port, to.c_str());
    // The e1000e driver's first link check, some seconds on.
    timespec settle{4, 0};
    clock_nanosleep(CLOCK_MONOTONIC, 0, &settle, nullptr);

    measure::Series& latency = bench.series("latency");
    uint64_t number = 0;
    bench.repeat([&] {
        // Further apart than the card's throttle of 128 us.
        spin_until(measure::end() + bench.instrument.tsc_hz / 2000 + bench.random.below(10'000));
        Payload payload{++number, 0};
        uint64_t t = measure::begin();
        if (::send(*socket, &payload, sizeof payload, 0) != sizeof payload) skip_errno("sending");
        if (!receiver->next(payload)) throw Skip("the packet did not arrive within 5 s");
        uint64_t known = measure::end();
        if (payload.number != number) throw Skip("another packet arrived than the one that was sent");
        uint64_t ticks = known - t > wire ? known - t - wire : 0;
        latency.record(ticks);
        return ticks;
    });
    if (*receiver->remark() != 0) bench.flag(receiver->remark());
    right.leave();
}

}  // namespace

extern const Lab wire_lab;
constinit const Lab wire_lab = {"nic", "A packet is sent; how soon does a Linux program know that it has come?",
                                "a virtio_net and an e1000e card on one wire, and CAP_NET_ADMIN", cases, body};

}  // namespace doorbell::host
