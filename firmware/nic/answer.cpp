#include "firmware/nic/answer.h"

#include "firmware/wire/outside.h"

namespace doorbell::nic {
namespace {

// Offsets in a frame, then in an ARP packet (RFC 826), an IPv4 header (RFC 791), an ICMP message
// (RFC 792) and a UDP datagram (RFC 768).
constexpr uint32_t source_at = 6, ethertype_at = 12, ethernet_header = 14;
constexpr uint16_t ethertype_ip = 0x0800, ethertype_arp = 0x0806, ethertype_vlan = 0x8100,
                   ethertype_service_vlan = 0x88A8;
constexpr uint32_t arp_operation_at = 6, arp_sender_mac_at = 8, arp_sender_at = 14,
                   arp_target_mac_at = 18, arp_target_at = 24, arp_bytes = 28;
constexpr uint8_t arp_ethernet_ip[6] = {0, 1, 8, 0, 6, 4};
constexpr uint32_t ip_total_length_at = 2, ip_fragment_at = 6, ip_ttl_at = 8, ip_protocol_at = 9,
                   ip_checksum_at = 10, ip_source_at = 12, ip_destination_at = 16, ip_header = 20;
constexpr uint8_t protocol_icmp = 1, protocol_udp = 17, fresh_ttl = 64;
constexpr uint32_t icmp_checksum_at = 2, icmp_header = 8;
constexpr uint32_t udp_destination_at = 2, udp_length_at = 4, udp_checksum_at = 6, udp_header = 8;
/// Servers at ports below this answer anything (echo, daytime, quote, chargen): two of them would
/// answer each other for ever.
constexpr uint16_t first_client_port = 20;

uint16_t big_16(const uint8_t* p) { return static_cast<uint16_t>(p[0] << 8 | p[1]); }
uint32_t big_32(const uint8_t* p) { return static_cast<uint32_t>(big_16(p)) << 16 | big_16(p + 2); }
void put_big_32(uint8_t* p, uint32_t v) {
    v = __builtin_bswap32(v);
    __builtin_memcpy(p, &v, 4);
}

/// A word as it lies in memory: RFC 1071's sum does not depend on the byte order.
uint16_t word(const uint8_t* p) {
    uint16_t v;
    __builtin_memcpy(&v, p, 2);
    return v;
}

/// The ones' complement sum (RFC 1071), not folded yet.
uint64_t sum_of(const uint8_t* p, uint32_t bytes) {
    uint64_t sum = 0;
    for (; bytes >= 4; bytes -= 4, p += 4) {
        uint32_t v;
        __builtin_memcpy(&v, p, 4);
        sum += v;
    }
    if (bytes >= 2) {
        sum += word(p);
        p += 2;
    }
    if (bytes & 1) sum += *p;
    return sum;
}

uint16_t folded(uint64_t sum) {
    while (sum >> 16) sum = (sum & 0xFFFF) + (sum >> 16);
    return static_cast<uint16_t>(sum);
}

/// RFC 1624, equation 3: the checksum follows a word's change without reading the rest. Of the two
/// zeros of ones' complement it is 0xFFFF that is right whatever the rest is: where all of it is 0,
/// as in an echo reply without a number or data, a checksum of 0 would be wrong.
void update(uint8_t* checksum, uint16_t old, uint16_t fresh) {
    uint16_t value = static_cast<uint16_t>(~folded(
        uint64_t{static_cast<uint16_t>(~word(checksum))} + static_cast<uint16_t>(~old) + fresh));
    if (value == 0) value = 0xFFFF;
    __builtin_memcpy(checksum, &value, 2);
}

bool same_mac(const uint8_t* at, const MacAddress& mac) {
    return __builtin_memcmp(at, mac.data(), 6) == 0;
}
bool is_broadcast(const uint8_t* at) { return big_32(at) == ~0u && big_16(at + 4) == 0xFFFF; }
bool is_one_station(const uint8_t* at) {
    return (at[0] & 1) == 0 && (big_32(at) | big_16(at + 4)) != 0;
}

constexpr Answer unanswered(Fate fate) { return {fate, 0}; }

/// Sends the frame's `length` bytes back to where the frame came from, padded with zeros to the
/// shortest frame: nothing else in the buffer leaves the machine.
Answer answered(Fate fate, uint8_t* frame, uint32_t length, const uint8_t* to,
                const MacAddress& from) {
    __builtin_memmove(frame, to, 6);
    __builtin_memcpy(frame + source_at, from.data(), 6);
    for (; length < shortest_frame; ++length) frame[length] = 0;
    return {fate, length};
}

}  // namespace

const char* const fate_names[fates] = {
    "arp",        "icmp-echo",      "udp-echo",      "stop",       "broken",
    "runt",       "over-long",      "not-for-us",    "vlan",       "other-ethertype",
    "truncated",  "bad-header",     "bad-checksum",  "options",    "fragment",
    "bad-source", "other-protocol", "other-message", "other-port",
};

/// RFC 1122, 3.2.1.3: a source is one host's address; not this network's zero, the loopback, a
/// group, a reserved or a broadcast address. Our own address on somebody else's frame is not valid
/// either.
bool Responder::may_be_answered(uint32_t source) const {
    uint32_t top = source >> 24;
    if (top == 0 || top == 127 || top >= 224 || source == address_) return false;
    bool near = ((source ^ address_) & ~host_bits_) == 0;
    return !near || ((source & host_bits_) != 0 && (source & host_bits_) != host_bits_);
}

Answer Responder::arp(uint8_t* frame, uint32_t length) const {
    if (length < ethernet_header + arp_bytes) return unanswered(Fate::truncated);
    uint8_t* packet = frame + ethernet_header;
    if (__builtin_memcmp(packet, arp_ethernet_ip, 6) != 0 || big_16(packet + arp_operation_at) != 1)
        return unanswered(Fate::other_message);
    if (big_32(packet + arp_target_at) != address_) return unanswered(Fate::not_for_us);
    // A sender without an address yet asks whether ours is free (RFC 5227).
    uint32_t sender = big_32(packet + arp_sender_at);
    if (!is_one_station(packet + arp_sender_mac_at) || same_mac(packet + arp_sender_mac_at, mac_) ||
        (sender != 0 && !may_be_answered(sender)))
        return unanswered(Fate::bad_source);
    packet[arp_operation_at + 1] = 2;
    __builtin_memcpy(packet + arp_target_mac_at, packet + arp_sender_mac_at, 10);
    __builtin_memcpy(packet + arp_sender_mac_at, mac_.data(), 6);
    put_big_32(packet + arp_sender_at, address_);
    return answered(Fate::arp, frame, ethernet_header + arp_bytes, packet + arp_target_mac_at,
                    mac_);
}

Fate Responder::icmp(uint8_t* message, uint32_t length) const {
    if (length < icmp_header) return Fate::truncated;
    if (folded(sum_of(message, length)) != 0xFFFF) return Fate::bad_checksum;
    if (big_16(message) != 0x0800) return Fate::other_message;
    uint16_t asked = word(message);
    message[0] = 0;
    update(message + icmp_checksum_at, asked, 0);
    return Fate::icmp_echo;
}

/// `packet` is the IPv4 header; its `length` bytes hold header and datagram.
Fate Responder::udp(uint8_t* packet, uint32_t length) const {
    uint8_t* datagram = packet + ip_header;
    length -= ip_header;
    if (length < udp_header) return Fate::truncated;
    uint32_t said = big_16(datagram + udp_length_at);
    if (said < udp_header || said > length) return Fate::truncated;
    // RFC 768: 0 is not a checksum. Otherwise it also covers a pseudo header: both addresses, the
    // protocol, the length.
    if (word(datagram + udp_checksum_at) != 0) {
        uint64_t sum = sum_of(datagram, said) + sum_of(packet + ip_source_at, 8) +
                       word(datagram + udp_length_at) + (protocol_udp << 8);
        if (folded(sum) != 0xFFFF) return Fate::bad_checksum;
    }
    uint16_t from = big_16(datagram), to = big_16(datagram + udp_destination_at);
    bool stop =
        to == wire::stop_port && said == udp_header + sizeof wire::stop_word &&
        __builtin_memcmp(datagram + udp_header, wire::stop_word, sizeof wire::stop_word) == 0;
    if (to != wire::echo_port && !stop) return Fate::other_port;
    if (from < first_client_port) return Fate::bad_source;
    // Ports change places, as the addresses do: the checksum stays right, and so does the absence
    // of one.
    uint16_t port = word(datagram);
    __builtin_memcpy(datagram, datagram + udp_destination_at, 2);
    __builtin_memcpy(datagram + udp_destination_at, &port, 2);
    return stop ? Fate::stop : Fate::udp_echo;
}

Answer Responder::ip(uint8_t* frame, uint32_t length) const {
    // RFC 1122, 3.3.6: what was broadcast on the link is not for one host's address, and any other
    // is not ours.
    if (is_broadcast(frame)) return unanswered(Fate::not_for_us);
    uint8_t* packet = frame + ethernet_header;
    length -= ethernet_header;
    if (length < ip_header) return unanswered(Fate::truncated);
    uint32_t header = (packet[0] & 15) * 4u, total = big_16(packet + ip_total_length_at);
    if (packet[0] >> 4 != 4 || header < ip_header) return unanswered(Fate::bad_header);
    if (total < header || total > length) return unanswered(Fate::truncated);
    if (folded(sum_of(packet, header)) != 0xFFFF) return unanswered(Fate::bad_checksum);
    if (big_32(packet + ip_destination_at) != address_) return unanswered(Fate::not_for_us);
    if (header != ip_header) return unanswered(Fate::options);
    // The flag "more fragments", or an offset.
    if ((big_16(packet + ip_fragment_at) & 0x3FFF) != 0) return unanswered(Fate::fragment);
    if (!may_be_answered(big_32(packet + ip_source_at)) || !is_one_station(frame + source_at) ||
        same_mac(frame + source_at, mac_))
        return unanswered(Fate::bad_source);
    Fate fate = Fate::other_protocol;
    if (packet[ip_protocol_at] == protocol_icmp) fate = icmp(packet + ip_header, total - ip_header);
    if (packet[ip_protocol_at] == protocol_udp) fate = udp(packet, total);
    if (static_cast<unsigned>(fate) >= answered_fates) return unanswered(fate);
    // The time to live is ours to set (RFC 1122, 3.2.1.7); a request that came with 0 is answered,
    // too.
    uint16_t old = word(packet + ip_ttl_at);
    packet[ip_ttl_at] = fresh_ttl;
    update(packet + ip_checksum_at, old, word(packet + ip_ttl_at));
    __builtin_memcpy(packet + ip_destination_at, packet + ip_source_at, 4);
    put_big_32(packet + ip_source_at, address_);
    return answered(fate, frame, ethernet_header + total, frame + source_at, mac_);
}

Answer Responder::answer(const Received& f) const {
    if (f.errors != 0) return unanswered(Fate::broken);
    if (f.length < ethernet_header) return unanswered(Fate::runt);
    if (f.length > longest_frame) return unanswered(Fate::over_long);
    if (!same_mac(f.data, mac_) && !is_broadcast(f.data)) return unanswered(Fate::not_for_us);
    switch (big_16(f.data + ethertype_at)) {
        case ethertype_ip:
            return ip(f.data, f.length);
        case ethertype_arp:
            return arp(f.data, f.length);
        case ethertype_vlan:
        case ethertype_service_vlan:
            return unanswered(Fate::vlan);
        default:
            return unanswered(Fate::other_ethertype);
    }
}

}  // namespace doorbell::nic
