#include "host/udp.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <atomic>
#include <cerrno>
#include <cstring>

#ifndef SO_PREFER_BUSY_POLL
#define SO_PREFER_BUSY_POLL 69
#endif

namespace doorbell::host {
namespace {

constexpr unsigned busy_poll_us = 1000;

sockaddr_in address_of(uint32_t address, uint16_t port) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(port);
    in.sin_addr.s_addr = htonl(address);
    return in;
}

File bound_socket(uint32_t address, uint16_t port) {
    File file(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (*file < 0) skip_errno("a UDP socket");
    sockaddr_in in = address_of(address, port);
    if (bind(*file, reinterpret_cast<sockaddr*>(&in), sizeof in) != 0)
        skip_errno("binding a UDP socket");
    timeval timeout{timeout_s, 0};
    setsockopt(*file, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    return file;
}

class Blocking : public Receiver {
  public:
    Blocking(uint32_t address, uint16_t port, bool busy_poll)
        : socket_(bound_socket(address, port)), busy_poll_(busy_poll) {
        if (!busy_poll) return;
        unsigned us = busy_poll_us;
        int one = 1;
        if (setsockopt(*socket_, SOL_SOCKET, SO_BUSY_POLL, &us, sizeof us) != 0)
            skip_errno("SO_BUSY_POLL needs CAP_NET_ADMIN (root)");
        setsockopt(*socket_, SOL_SOCKET, SO_PREFER_BUSY_POLL, &one, sizeof one);
    }
    bool next(Payload& payload) override {
        return recv(*socket_, &payload, sizeof payload, 0) == sizeof payload;
    }
    const char* remark() override {
        unsigned id = 0;
        socklen_t length = sizeof id;
        if (!busy_poll_ ||
            (getsockopt(*socket_, SOL_SOCKET, SO_INCOMING_NAPI_ID, &id, &length) == 0 && id != 0))
            return "";
        return "no NAPI device stands behind this path: SO_BUSY_POLL had nothing to poll and "
               "recv() slept";
    }

  private:
    File socket_;
    bool busy_poll_;
};

class Epoll : public Receiver {
  public:
    Epoll(uint32_t address, uint16_t port)
        : socket_(bound_socket(address, port)), epoll_(epoll_create1(EPOLL_CLOEXEC)) {
        epoll_event in{};
        in.events = EPOLLIN;
        if (*epoll_ < 0 || epoll_ctl(*epoll_, EPOLL_CTL_ADD, *socket_, &in) != 0)
            skip_errno("epoll");
    }
    bool next(Payload& payload) override {
        epoll_event ready;
        return epoll_wait(*epoll_, &ready, 1, timeout_s * 1000) == 1 &&
               recv(*socket_, &payload, sizeof payload, MSG_DONTWAIT) == sizeof payload;
    }

  private:
    File socket_, epoll_;
};

class Spin : public Receiver {
  public:
    Spin(uint32_t address, uint16_t port) : socket_(bound_socket(address, port)) {}
    bool next(Payload& payload) override {
        uint64_t give_up = monotonic_ns() + timeout_s * 1'000'000'000ull;
        while (recv(*socket_, &payload, sizeof payload, MSG_DONTWAIT) != sizeof payload)
            if (errno != EAGAIN || ((++tries_ & 0xFFF) == 0 && monotonic_ns() > give_up))
                return false;
        return true;
    }

  private:
    File socket_;
    unsigned tries_ = 0;
};

/// A receive ring in memory that the kernel fills (packet(7), PACKET_MMAP; TPACKET_V2): it polls
/// the status word of the next frame, without a system call.
class PacketRing : public Receiver {
  public:
    PacketRing(uint32_t address, uint16_t port, const char* link)
        : socket_(socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, htons(ETH_P_IP))),
          nobody_(bound_socket(address, port)),
          port_(port) {
        if (*socket_ < 0) skip_errno("AF_PACKET needs CAP_NET_RAW (root)");
        int version = TPACKET_V2;
        tpacket_req ring{};
        ring.tp_block_size = frame_bytes * 2;
        ring.tp_frame_size = frame_bytes;
        ring.tp_frame_nr = frames;
        ring.tp_block_nr = frames / 2;
        sockaddr_ll in{};
        in.sll_family = AF_PACKET;
        in.sll_protocol = htons(ETH_P_IP);
        in.sll_ifindex = static_cast<int>(if_nametoindex(link));
        if (setsockopt(*socket_, SOL_PACKET, PACKET_VERSION, &version, sizeof version) != 0 ||
            setsockopt(*socket_, SOL_PACKET, PACKET_RX_RING, &ring, sizeof ring) != 0 ||
            bind(*socket_, reinterpret_cast<sockaddr*>(&in), sizeof in) != 0)
            skip_errno("AF_PACKET's ring");
        void* memory = mmap(nullptr, frames * frame_bytes, PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_POPULATE, *socket_, 0);
        if (memory == MAP_FAILED) skip_errno("mapping AF_PACKET's ring");
        ring_ = static_cast<char*>(memory);
    }
    ~PacketRing() override { munmap(ring_, frames * frame_bytes); }
    bool next(Payload& payload) override {
        uint64_t give_up = monotonic_ns() + timeout_s * 1'000'000'000ull;
        for (;;) {
            auto* frame = reinterpret_cast<tpacket2_hdr*>(ring_ + at_ * frame_bytes);
            std::atomic_ref<uint32_t> status(frame->tp_status);
            for (unsigned tries = 0;
                 (status.load(std::memory_order_acquire) & TP_STATUS_USER) == 0;)
                if ((++tries & 0xFFF) == 0 && monotonic_ns() > give_up) return false;
            bool mine = read(reinterpret_cast<const char*>(frame), *frame, payload);
            status.store(TP_STATUS_KERNEL, std::memory_order_release);
            at_ = (at_ + 1) % frames;
            if (mine) return true;
        }
    }

  private:
    static constexpr unsigned frame_bytes = 2048, frames = 64;

    /// Whether the frame is one of ours and incoming; the loopback shows each outgoing one as well.
    bool read(const char* bytes, const tpacket2_hdr& frame, Payload& payload) const {
        sockaddr_ll from;
        std::memcpy(&from, bytes + TPACKET_ALIGN(sizeof(tpacket2_hdr)), sizeof from);
        if (from.sll_pkttype == PACKET_OUTGOING ||
            frame.tp_snaplen < sizeof(iphdr) + sizeof(udphdr) + sizeof payload)
            return false;
        iphdr ip;
        std::memcpy(&ip, bytes + frame.tp_net, sizeof ip);
        size_t head = ip.ihl * 4u;
        if (ip.protocol != IPPROTO_UDP || frame.tp_snaplen < head + sizeof(udphdr) + sizeof payload)
            return false;
        udphdr udp;
        std::memcpy(&udp, bytes + frame.tp_net + head, sizeof udp);
        if (ntohs(udp.uh_dport) != port_) return false;
        std::memcpy(&payload, bytes + frame.tp_net + head + sizeof udp, sizeof payload);
        return true;
    }

    File socket_;
    File nobody_;  ///< an open port: without one, the sender gets an error that nobody listens
    uint16_t port_;
    char* ring_ = nullptr;
    unsigned at_ = 0;
};

}  // namespace

std::unique_ptr<Receiver> Receiver::make(std::string_view wait, uint32_t address, uint16_t port,
                                         const char* link) {
    if (wait == "epoll") return std::make_unique<Epoll>(address, port);
    if (wait == "spin") return std::make_unique<Spin>(address, port);
    if (wait == "packet-ring") return std::make_unique<PacketRing>(address, port, link);
    return std::make_unique<Blocking>(address, port, wait == "busy-poll");
}

uint16_t free_port(uint32_t address) {
    File socket = bound_socket(address, 0);
    sockaddr_in in{};
    socklen_t length = sizeof in;
    if (getsockname(*socket, reinterpret_cast<sockaddr*>(&in), &length) != 0)
        wrong_errno("getsockname");
    return ntohs(in.sin_port);
}

File sender_to(uint32_t address, uint16_t port) {
    File file(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (*file < 0) skip_errno("a UDP socket");
    sockaddr_in in = address_of(address, port);
    if (connect(*file, reinterpret_cast<sockaddr*>(&in), sizeof in) != 0)
        skip_errno("connecting a UDP socket");
    return file;
}

void send_packet(const File& socket, uint64_t number) {
    Payload payload = Payload::with(number);
    if (send(*socket, &payload, sizeof payload, 0) != sizeof payload) wrong_errno("sending");
}

}  // namespace doorbell::host
