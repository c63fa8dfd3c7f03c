#include "harness/outside/channel.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <net/ethernet.h>
#include <netinet/if_ether.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "firmware/wire/outside.h"
#include "harness/system/failure.h"

namespace doorbell::harness {

namespace {

/// As much as the kernel allows: a burst of answers must not be lost while this thread waits for a
/// CPU.
constexpr int socket_room = 4 << 20;

[[noreturn]] void fail(const std::string& what) {
    throw MachineError(fmt::format("{}: {}", what, std::strerror(errno)));
}

class Socket {
  public:
    explicit Socket(const char* what)
        : number_(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
        if (number_ < 0) fail(what);
        setsockopt(number_, SOL_SOCKET, SO_RCVBUF, &socket_room, sizeof socket_room);
        setsockopt(number_, SOL_SOCKET, SO_SNDBUF, &socket_room, sizeof socket_room);
    }
    ~Socket() { close(number_); }
    Socket(const Socket&) = delete;
    int operator*() const { return number_; }
    void join(uint32_t address, uint16_t port, const std::string& what) const {
        sockaddr_in there = place(address, port);
        if (connect(number_, reinterpret_cast<sockaddr*>(&there), sizeof there) != 0) fail(what);
    }
    void bind_to(uint32_t address, uint16_t port, const std::string& what) const {
        sockaddr_in here = place(address, port);
        if (bind(number_, reinterpret_cast<sockaddr*>(&here), sizeof here) != 0) fail(what);
    }

  private:
    static sockaddr_in place(uint32_t address, uint16_t port) {
        sockaddr_in in{};
        in.sin_family = AF_INET;
        in.sin_port = htons(port);
        in.sin_addr.s_addr = htonl(address);
        return in;
    }
    int number_;
};

/// All in one call, as far as the socket accepts them.
size_t send_all(int socket, std::span<const Datagram> datagrams) {
    mmsghdr messages[Channel::most_at_once] = {};
    iovec parts[Channel::most_at_once];
    size_t count = std::min(datagrams.size(), Channel::most_at_once);
    for (size_t i = 0; i < count; ++i) {
        parts[i] = {const_cast<uint8_t*>(datagrams[i].data()), datagrams[i].size()};
        messages[i].msg_hdr.msg_iov = &parts[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    int sent = sendmmsg(socket, messages, static_cast<unsigned>(count), MSG_DONTWAIT);
    // ECONNREFUSED, nobody listens yet: the request is lost, which the answers will show.
    if (sent < 0) return errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS ? 0 : 1;
    return static_cast<size_t>(sent);
}

/// Through this host's UDP, IP and ARP, and a tap.
class ThroughTap : public Channel {
  public:
    ThroughTap(const std::string& interface, uint32_t address)
        : echo_("a UDP socket"), stop_("a UDP socket") {
        for (const Socket* one : {&echo_, &stop_})
            if (setsockopt(**one, SOL_SOCKET, SO_BINDTODEVICE, interface.c_str(),
                           static_cast<socklen_t>(interface.size() + 1)) != 0)
                fail("binding to the interface " + interface);
        std::string what = fmt::format(
            "no way to the image through {} (ip addr add ... dev {}; ip link set {} up)", interface,
            interface, interface);
        echo_.join(address, wire::echo_port, what);
        stop_.join(address, wire::stop_port, what);
        socket_ = *echo_;
    }
    size_t send(std::span<const Datagram> datagrams) override {
        return send_all(*echo_, datagrams);
    }
    void send_stop() override {
        (void)!::send(*stop_, wire::stop_word, sizeof wire::stop_word, MSG_DONTWAIT);
    }
    bool stopping() override {
        char answer[sizeof wire::stop_word];
        return recv(*stop_, answer, sizeof answer, MSG_DONTWAIT) == sizeof answer;
    }

  private:
    Datagram unpack(std::span<const uint8_t> received) override { return received; }
    Socket echo_, stop_;
};

using Mac = std::array<uint8_t, 6>;
constexpr Mac everybody{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF},
    ours{0x02, 0x44, 0x42, 0x01, 0x00, 0x01};
constexpr uint16_t our_port = 17475;

/// RFC 1071, over 16-bit words in network order.
uint32_t sum_of(const uint8_t* p, size_t bytes, uint32_t sum = 0) {
    for (size_t i = 0; i + 1 < bytes; i += 2) sum += static_cast<uint32_t>(p[i] << 8 | p[i + 1]);
    if (bytes & 1) sum += static_cast<uint32_t>(p[bytes - 1]) << 8;
    return sum;
}
uint16_t folded(uint32_t sum) {
    while (sum >> 16) sum = (sum & 0xFFFF) + (sum >> 16);
    return static_cast<uint16_t>(sum);
}

/// Frames in datagrams: the other end of QEMU's -netdev dgram. Also answers ARP requests for our
/// address.
class ThroughFrames : public Channel {
  public:
    ThroughFrames(CardPorts ports, uint32_t address, unsigned prefix)
        : wire_("a UDP socket"), theirs_(address) {
        uint32_t host_bits = ~0u >> prefix, first = (address & ~host_bits) + 1;
        own_ = first == address ? first + 1 : first;
        wire_.bind_to(INADDR_LOOPBACK, ports.other,
                      fmt::format("--net udp: this end of the cable, 127.0.0.1:{}", ports.other));
        wire_.join(INADDR_LOOPBACK, ports.card, fmt::format("--net udp: 127.0.0.1:{}", ports.card));
        socket_ = *wire_;
    }

    void knock() override {
        ether_arp ask = arp(ARPOP_REQUEST, {}, theirs_);
        send_frame(everybody, ETHERTYPE_ARP, &ask, sizeof ask);
    }
    bool open() const override { return known_; }

    size_t send(std::span<const Datagram> datagrams) override {
        size_t count = std::min(datagrams.size(), most_at_once);
        Datagram whole[most_at_once];
        for (size_t i = 0; i < count; ++i)
            whole[i] = wrapped(frames_[i], datagrams[i], wire::echo_port);
        return send_all(*wire_, {whole, count});
    }
    void send_stop() override {
        Datagram whole = wrapped(frames_[0], wire::stop_word, wire::stop_port);
        (void)!::send(*wire_, whole.data(), whole.size(), MSG_DONTWAIT);
    }
    bool stopping() override { return std::exchange(stopping_, false); }

  private:
    using Frame = std::array<uint8_t, longest>;

    ether_arp arp(uint16_t operation, const Mac& to_mac, uint32_t to) const {
        ether_arp packet{};
        packet.arp_hrd = htons(ARPHRD_ETHER);
        packet.arp_pro = htons(ETHERTYPE_IP);
        packet.arp_hln = 6;
        packet.arp_pln = 4;
        packet.arp_op = htons(operation);
        uint32_t spa = htonl(own_), tpa = htonl(to);
        std::memcpy(packet.arp_sha, ours.data(), 6);
        std::memcpy(packet.arp_spa, &spa, 4);
        std::memcpy(packet.arp_tha, to_mac.data(), 6);
        std::memcpy(packet.arp_tpa, &tpa, 4);
        return packet;
    }

    static size_t put_head(uint8_t* frame, const Mac& to, uint16_t type) {
        ether_header head;
        std::memcpy(head.ether_dhost, to.data(), 6);
        std::memcpy(head.ether_shost, ours.data(), 6);
        head.ether_type = htons(type);
        std::memcpy(frame, &head, sizeof head);
        return sizeof head;
    }

    void send_frame(const Mac& to, uint16_t type, const void* content, size_t bytes) {
        uint8_t frame[ETH_ZLEN] = {};
        std::memcpy(frame + put_head(frame, to, type), content, bytes);
        (void)!::send(*wire_, frame, sizeof frame, MSG_DONTWAIT);
    }

    /// The datagram with its three headers, padded to the shortest frame.
    Datagram wrapped(Frame& frame, Datagram payload, uint16_t port) {
        frame.fill(0);
        size_t at = put_head(frame.data(), theirs_mac_, ETHERTYPE_IP);
        iphdr ip{};
        ip.version = 4;
        ip.ihl = 5;
        ip.tot_len = htons(static_cast<uint16_t>(sizeof ip + sizeof(udphdr) + payload.size()));
        ip.id = htons(++identification_);
        ip.frag_off = htons(IP_DF);
        ip.ttl = 64;
        ip.protocol = IPPROTO_UDP;
        ip.saddr = htonl(own_);
        ip.daddr = htonl(theirs_);
        ip.check = htons(
            static_cast<uint16_t>(~folded(sum_of(reinterpret_cast<uint8_t*>(&ip), sizeof ip))));
        udphdr udp{};
        udp.source = htons(our_port);
        udp.dest = htons(port);
        udp.len = htons(static_cast<uint16_t>(sizeof udp + payload.size()));
        uint32_t sum = sum_of(payload.data(), payload.size(), pseudo(ip, udp));
        auto check = static_cast<uint16_t>(
            ~folded(sum_of(reinterpret_cast<uint8_t*>(&udp), sizeof udp, sum)));
        udp.check = htons(check == 0 ? 0xFFFF : check);
        std::memcpy(frame.data() + at, &ip, sizeof ip);
        std::memcpy(frame.data() + at + sizeof ip, &udp, sizeof udp);
        at += sizeof ip + sizeof udp;
        std::memcpy(frame.data() + at, payload.data(), payload.size());
        return {frame.data(), std::max<size_t>(at + payload.size(), ETH_ZLEN)};
    }

    /// RFC 768: addresses, protocol and length are part of the checksum.
    static uint32_t pseudo(const iphdr& ip, const udphdr& udp) {
        return sum_of(reinterpret_cast<const uint8_t*>(&ip.saddr), 8) + IPPROTO_UDP +
               ntohs(udp.len);
    }

    Datagram unpack(std::span<const uint8_t> frame) override {
        ether_header head;
        if (frame.size() < sizeof head) return {};
        std::memcpy(&head, frame.data(), sizeof head);
        std::span<const uint8_t> rest = frame.subspan(sizeof head);
        if (head.ether_type == htons(ETHERTYPE_ARP)) take_arp(rest);
        if (head.ether_type != htons(ETHERTYPE_IP) ||
            std::memcmp(head.ether_dhost, ours.data(), 6) != 0)
            return {};
        iphdr ip;
        udphdr udp;
        if (rest.size() < sizeof ip + sizeof udp) return {};
        std::memcpy(&ip, rest.data(), sizeof ip);
        std::memcpy(&udp, rest.data() + sizeof ip, sizeof udp);
        if (ip.version != 4 || ip.protocol != IPPROTO_UDP || ip.saddr != htonl(theirs_) ||
            ip.daddr != htonl(own_))
            return {};
        stopping_ = stopping_ || udp.source == htons(wire::stop_port);
        if (udp.source != htons(wire::echo_port)) return {};
        size_t total = ntohs(ip.tot_len), length = ntohs(udp.len);
        bool whole = ip.ihl == 5 && total <= rest.size() && length >= sizeof udp &&
                     sizeof ip + length <= total &&
                     folded(sum_of(rest.data(), sizeof ip)) == 0xFFFF &&
                     udp.dest == htons(our_port) &&
                     folded(sum_of(rest.data() + sizeof ip, length, pseudo(ip, udp))) == 0xFFFF;
        if (whole) return rest.subspan(sizeof ip + sizeof udp, length - sizeof udp);
        ++damaged_;
        return {};
    }

    void take_arp(std::span<const uint8_t> rest) {
        ether_arp packet;
        if (rest.size() < sizeof packet) return;
        std::memcpy(&packet, rest.data(), sizeof packet);
        uint32_t from, to;
        std::memcpy(&from, packet.arp_spa, 4);
        std::memcpy(&to, packet.arp_tpa, 4);
        if (from != htonl(theirs_) || to != htonl(own_)) return;
        std::memcpy(theirs_mac_.data(), packet.arp_sha, 6);
        known_ = true;
        if (packet.arp_op != htons(ARPOP_REQUEST)) return;
        ether_arp answer = arp(ARPOP_REPLY, theirs_mac_, theirs_);
        send_frame(theirs_mac_, ETHERTYPE_ARP, &answer, sizeof answer);
    }

    Socket wire_;
    uint32_t theirs_, own_ = 0;
    Mac theirs_mac_{};
    bool known_ = false, stopping_ = false;
    uint16_t identification_ = 0;
    std::array<Frame, most_at_once> frames_{};
};

}  // namespace

std::span<const Datagram> Channel::receive() {
    mmsghdr messages[most_at_once] = {};
    iovec parts[most_at_once];
    for (size_t i = 0; i < most_at_once; ++i) {
        parts[i] = {buffers_[i].data(), buffers_[i].size()};
        messages[i].msg_hdr.msg_iov = &parts[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    came_.clear();
    // An error here belongs to an earlier send (ECONNREFUSED): this call clears it.
    int count = recvmmsg(socket_, messages, most_at_once, MSG_DONTWAIT, nullptr);
    for (int i = 0; i < count; ++i)
        if (Datagram one = unpack({buffers_[static_cast<size_t>(i)].data(), messages[i].msg_len});
            !one.empty())
            came_.push_back(one);
    return came_;
}

std::unique_ptr<Channel> Channel::make(const Net& net, CardPorts ports, uint32_t address,
                                       unsigned prefix) {
    if (net.kind == Net::Kind::tap) return std::make_unique<ThroughTap>(net.interface, address);
    return std::make_unique<ThroughFrames>(ports, address, prefix);
}

}  // namespace doorbell::harness
