// A packet is sent; how soon does a Linux program know that it has arrived? UDP, 18 bytes of
// payload, from one CPU to another where there are two; `latency` runs from the timestamp before
// send(2) to the first timestamp of the program that has the payload.
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>

#include <atomic>
#include <exception>
#include <optional>

#include "host/bench.h"
#include "host/clock.h"
#include "host/lab.h"
#include "host/network.h"
#include "host/udp.h"

namespace doorbell::host {
namespace {

constexpr Case cases[] = {
    "path=loopback wait=block",   "path=loopback wait=epoll",       "path=loopback wait=busy-poll",
    "path=loopback wait=spin",    "path=loopback wait=packet-ring", "path=veth wait=block",
    "path=veth wait=epoll",       "path=veth wait=busy-poll",       "path=veth wait=spin",
    "path=veth wait=packet-ring",
};

constexpr uint32_t left_address = 0x0A4E0001,
                   right_address = 0x0A4E0002;  // 10.78.0.1 and .2, in namespaces of our own

/// The state that the receiver's thread publishes.
struct Desk {
    std::atomic<uint64_t> ready{0}, number{0}, known{0};
    std::atomic<bool> failed{false};
    std::exception_ptr trouble;  ///< where it failed
    std::string remark;
};

/// Where the receiver is.
struct Place {
    const NetworkNamespace* inside;  ///< null: the program's own namespace
    const char* link;
    uint32_t address;
    uint16_t port;
};

void receive(Desk& desk, const Place& place, std::string_view wait) {
    try {
        if (place.inside != nullptr) place.inside->enter();
        auto receiver = Receiver::make(wait, place.address, place.port, place.link);
        desk.ready = 1;
        Payload payload{};
        while (receiver->next(payload)) {
            uint64_t known = measure::end();
            desk.remark = receiver->remark();
            uint64_t number = payload.number();
            if (number == 0) return;
            desk.known.store(known, std::memory_order_relaxed);
            desk.number.store(number, std::memory_order_release);
        }
        throw Wrong("no packet came for " + std::to_string(timeout_s) + " s");
    } catch (...) {
        desk.trouble = std::current_exception();
    }
    desk.failed = true;
}

void measure(LinuxBench& bench, const File& socket, Desk& desk) {
    measure::Series& latency = bench.series("latency");
    uint64_t number = 0, hz = bench.instrument.tsc_hz;
    bench.repeat([&] {
        // Until the receiver waits again; a receiver on the same CPU needs it for that.
        if (bench.two_cpus()) {
            spin_until(measure::end() + hz / 20000);
        } else {
            timespec pause{0, 50'000};
            clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, nullptr);
        }
        ++number;
        uint64_t t = measure::begin();
        send_packet(socket, number);
        while (desk.number.load(std::memory_order_acquire) != number) {
            if (!bench.two_cpus()) sched_yield();
            if (desk.failed) std::rethrow_exception(desk.trouble);
            if (measure::end() - t > (timeout_s + 1) * hz)
                throw Wrong("a packet was lost on the way");
        }
        uint64_t ticks = desk.known - t;
        latency.record(ticks);
        return ticks;
    });
}

/// Joins `left`, in which this thread is, with `right` by a veth pair. The right end comes up
/// first: an end without its peer gets its queue some time after the peer is up, and silently drops
/// what is sent until then.
void join(const NetworkNamespace& left, const NetworkNamespace& right) {
    left.enter();
    add_veth("doorbell0", "doorbell1", right.fd());
    uint8_t left_mac[6], right_mac[6];
    mac_of("doorbell0", left_mac);
    right.enter();
    mac_of("doorbell1", right_mac);
    add_address("doorbell1", right_address, 24);
    set_up("doorbell1");
    add_neighbour("doorbell1", left_address, left_mac);
    left.enter();
    add_address("doorbell0", left_address, 24);
    set_up("doorbell0");
    add_neighbour("doorbell0", right_address, right_mac);
}

void body(LinuxBench& bench, const Case& test_case) {
    bool veth = test_case["path"] == "veth";
    std::optional<NetworkNamespace> left, right;
    try {
        left.emplace();
    } catch (const Skip&) {
        if (veth) throw;
        bench.flag(
            "on the machine's own loopback, with its firewall: a network namespace of its own "
            "needs CAP_SYS_ADMIN (root)");
    }
    Place place{left ? &*left : nullptr, "lo", INADDR_LOOPBACK, 0};
    if (veth) {
        right.emplace();
        join(*left, *right);
        right->enter();
        place = {&*right, "doorbell1", right_address, 0};
    }
    place.port = free_port(place.address);
    if (veth) left->enter();
    File socket = sender_to(place.address, place.port);
    Desk desk;
    std::string_view wait = test_case["wait"];
    Partner partner(As::thread, bench.cpu(1), [&] { receive(desk, place, wait); });
    std::exception_ptr trouble;
    try {
        while (desk.ready == 0 && !desk.failed) sched_yield();
        if (desk.failed) std::rethrow_exception(desk.trouble);
        measure(bench, socket, desk);
    } catch (...) {
        trouble = std::current_exception();
    }
    // The receiver's timeout bounds the join even where this packet is lost.
    if (!desk.failed) try {
            send_packet(socket, 0);
        } catch (const Skip&) {
        }
    partner.join();
    if (trouble) std::rethrow_exception(trouble);
    if (!desk.remark.empty()) bench.flag(desk.remark);
    if (!bench.two_cpus()) bench.flag("sender and receiver share one CPU");
}

}  // namespace

extern const Lab nic_lab;
constinit const Lab nic_lab = {
    "nic", "A packet is sent; how soon does a Linux program know that it has come?",
    "veth: CAP_SYS_ADMIN and CAP_NET_ADMIN; busy-poll: CAP_NET_ADMIN; packet-ring: CAP_NET_RAW",
    cases, body};

}  // namespace doorbell::host
