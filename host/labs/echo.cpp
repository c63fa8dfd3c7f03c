// In a guest only: the UDP echo as a Linux program is usually written, one task, recvfrom(2) and
// sendto(2), against which the image's own lab echo is measured by the same sender. Each case ends
// at the sender's stop.
#include <arpa/inet.h>
#include <sys/socket.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <thread>

#include "firmware/wire/outside.h"
#include "host/bench.h"
#include "host/lab.h"
#include "host/network.h"
#include "host/partner.h"

namespace doorbell::host {
namespace {

// Each run is a case of its own: the guest boots once.
constexpr Case cases[] = {
    "model=virtio-net by=recvfrom run=1", "model=virtio-net by=recvfrom run=2",
    "model=virtio-net by=recvfrom run=3", "model=virtio-net by=recvfrom run=4",
    "model=virtio-net by=recvfrom run=5",
};

constexpr int look_up_ms = 200;
/// The case ends after this long without a packet.
constexpr unsigned idle_looks = 60'000 / look_up_ms;

File listening(uint16_t port) {
    File file(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (*file < 0) skip_errno("a UDP socket");
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(port);
    if (bind(*file, reinterpret_cast<sockaddr*>(&in), sizeof in) != 0)
        skip_errno("binding a UDP socket");
    timeval timeout{0, look_up_ms * 1000};
    setsockopt(*file, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    return file;
}

/// Receives a datagram and sends it back; returns its length, or less than 0.
ssize_t echo_one(int socket) {
    char bytes[2048];
    sockaddr_in from{};
    socklen_t length = sizeof from;
    ssize_t got =
        recvfrom(socket, bytes, sizeof bytes, 0, reinterpret_cast<sockaddr*>(&from), &length);
    if (got >= 0)
        (void)!sendto(socket, bytes, static_cast<size_t>(got), 0,
                      reinterpret_cast<sockaddr*>(&from), length);
    return got;
}

void body(LinuxBench& bench, const Case&) {
    std::string link = link_of_driver("virtio_net");
    if (link.empty()) throw Skip("there is no virtio_net card");
    add_address(link, wire::outside_address, wire::outside_prefix);
    set_up(link);
    File echo = listening(wire::echo_port), stop = listening(wire::stop_port);
    std::atomic<uint64_t> echoed{0};
    std::atomic<bool> over{false};
    // Asleep until the stop comes, so that it costs the echo nothing.
    std::thread ear([&] {
        while (!over)
            if (echo_one(*stop) >= 0 && echoed.load() != 0) over = true;
    });
    for (unsigned quiet = 0; !over && quiet < idle_looks;)
        if (echo_one(*echo) >= 0)
            ++echoed, quiet = 0;
        else
            ++quiet;
    over = true;
    ear.join();
    measure::Series& echoes =
        bench.series("echoes", {.unit = "packet", .better = Better::more, .shape = Shape::total});
    bench.warm_up_at_most(1);
    bench.repeat([&] {
        echoes.record(echoed);
        return uint64_t{1};
    });
}

}  // namespace

extern const Lab echo_lab;
constinit const Lab echo_lab = {"echo", "How many UDP echoes a second does a Linux program give?",
                                "a virtio_net card joined to a sender", cases, body};

}  // namespace doorbell::host
