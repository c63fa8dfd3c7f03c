// In the peers' guest only: a packet sent by the virtio card arrives at the e1000e card after the
// cable's fixed time; how soon does the program have it? One task does both: it sends by UDP, then
// waits (host/packet.h says what is measured).
//
// While a task sleeps, another of policy SCHED_IDLE keeps the CPU busy: this is an interrupt of a
// busy CPU, as in the image's wait=irq. (An emulated e1000e interrupts a halted CPU 128 us late:
// QEMU's clock jumps to the card's throttle timer first.)
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <exception>

#include "host/bench.h"
#include "host/lab.h"
#include "host/network.h"
#include "host/udp.h"

namespace doorbell::host {
namespace {

constexpr Case cases[] = {
    "model=e1000e wait=block", "model=e1000e wait=epoll",       "model=e1000e wait=busy-poll",
    "model=e1000e wait=spin",  "model=e1000e wait=packet-ring", "model=e1000e op=empty-poll",
};

constexpr uint16_t port = 7979;
constexpr uint32_t left_address = 0x0A4E0001, right_address = 0x0A4E0002;

/// Keeps the CPU busy at the lowest priority.
class Background {
  public:
    explicit Background(int cpu)
        : partner_(As::thread, cpu, [this] {
              sched_param param{};
              sched_setscheduler(0, SCHED_IDLE, &param);
              while (!stop_.load(std::memory_order_relaxed)) {
              }
          }) {}
    ~Background() {
        stop_ = true;
        partner_.join();
    }

  private:
    std::atomic<bool> stop_{false};
    Partner partner_;
};

/// Both cards with addresses and neighbours, the e1000e in a namespace of its own, in which this
/// thread is.
class Wire {
  public:
    Wire() : from_(link_of_driver("virtio_net")), to_(link_of_driver("e1000e")) {
        if (from_.empty() || to_.empty())
            throw Skip(
                "this machine has not both a virtio_net and an e1000e card (the peers' guest has)");
        uint8_t from_mac[6], to_mac[6];
        mac_of(to_, to_mac);
        mac_of(from_, from_mac);
        right_.leave();
        move_link(to_, right_.fd());
        add_address(from_, left_address, 24);
        set_up(from_);
        add_neighbour(from_, right_address, to_mac);
        socket = sender_to(right_address, port);
        right_.enter();
        add_address(to_, right_address, 24);
        set_up(to_);
        add_neighbour(to_, left_address, from_mac);
        // The drivers check their links for some seconds.
        timespec settle{4, 0};
        clock_nanosleep(CLOCK_MONOTONIC, 0, &settle, nullptr);
    }
    ~Wire() {
        try {
            move_link(to_, right_.outside_fd());
        } catch (const Skip&) {
            // Then the next case finds no card and reports that.
        }
    }
    Wire(const Wire&) = delete;
    const char* receiving_link() const { return to_.c_str(); }
    File socket;

  private:
    std::string from_, to_;
    // In the thread's old namespace, where the names above were found.
    struct Inside : NetworkNamespace {
        Inside() { leave(); }
    } right_;
};

void empty_poll(LinuxBench& bench) {
    File socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    measure::Series& cost = bench.series("cost", {.less_overhead = true});
    bench.repeat([&] {
        char byte;
        uint64_t t = measure::begin();
        ssize_t got = recv(*socket, &byte, 1, MSG_DONTWAIT);
        uint64_t ticks = measure::end() - t;
        if (got >= 0) throw Wrong("a packet arrived that nobody sent");
        cost.record(ticks);
        return ticks;
    });
}

void body(LinuxBench& bench, const Case& test_case) {
    if (test_case["op"] == "empty-poll") return empty_poll(bench);
    Wire wire;
    auto receiver = Receiver::make(test_case["wait"], right_address, port, wire.receiving_link());
    Background background(bench.cpu(0));
    CableSeries series(bench);
    uint64_t number = 0;
    bench.repeat([&] {
        keep_apart(bench);
        Payload payload;
        ++number;
        uint64_t called = measure::begin();
        send_packet(wire.socket, number);
        uint64_t returned = measure::end();
        lose_phase(bench);
        if (!receiver->next(payload))
            throw Wrong("the packet did not arrive within " + std::to_string(timeout_s) + " s");
        uint64_t known = measure::end();
        read_every_byte(payload.bytes, sizeof payload.bytes);
        uint64_t read = measure::end();
        if (payload.number() != number)
            throw Wrong("another packet arrived than the one that was sent");
        return series.record(called, returned, known, read);
    });
    if (*receiver->remark() != 0) bench.flag(receiver->remark());
}

}  // namespace

extern const Lab wire_lab;
constinit const Lab wire_lab = {
    "nic", "A packet is sent; how soon does a Linux program know that it has come?",
    "a virtio_net and an e1000e card on one wire, and CAP_NET_ADMIN", cases, body};

}  // namespace doorbell::host
