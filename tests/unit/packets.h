// Frames from outside, built for tests: Ethernet, ARP, IPv4, ICMP, UDP, with the tests' own
// checksum code.
#pragma once
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace doorbell::test {

using Bytes = std::vector<uint8_t>;

inline void put16(Bytes& b, size_t at, unsigned v) {
    b[at] = static_cast<uint8_t>(v >> 8);
    b[at + 1] = static_cast<uint8_t>(v);
}
inline void put32(Bytes& b, size_t at, uint32_t v) {
    put16(b, at, v >> 16);
    put16(b, at + 2, v & 0xFFFF);
}
inline unsigned get16(const Bytes& b, size_t at) {
    return static_cast<unsigned>(b[at] << 8 | b[at + 1]);
}
inline uint32_t get32(const Bytes& b, size_t at) { return get16(b, at) << 16 | get16(b, at + 2); }

/// RFC 1071, after its text: 16-bit words in network order, the carries added at the end, an
/// odd byte padded.
inline unsigned sum16(const Bytes& b, size_t from, size_t to, unsigned long start = 0) {
    unsigned long sum = start;
    for (size_t i = from; i < to; i += 2) sum += b[i] * 256ul + (i + 1 < to ? b[i + 1] : 0);
    while (sum > 0xFFFF) sum = sum % 0x10000 + sum / 0x10000;
    return static_cast<unsigned>(sum);
}

/// Sender and receiver.
struct Ends {
    Bytes to_mac{0x52, 0x54, 0, 0x12, 0x34, 0x56}, from_mac{2, 0, 0, 0, 0, 9};
    uint32_t to = 0x0A444402, from = 0x0A444401;
};
inline const Bytes everybody{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};

inline Bytes ethernet(const Bytes& to, const Bytes& from, unsigned type, const Bytes& content) {
    Bytes f(to);
    f.insert(f.end(), from.begin(), from.end());
    f.resize(14);
    put16(f, 12, type);
    f.insert(f.end(), content.begin(), content.end());
    return f;
}

inline Bytes arp_request(const Ends& e, uint32_t target) {
    Bytes p(28);
    put16(p, 0, 1), put16(p, 2, 0x0800), p[4] = 6, p[5] = 4, put16(p, 6, 1);
    std::memcpy(&p[8], e.from_mac.data(), 6);
    put32(p, 14, e.from), put32(p, 24, target);
    return ethernet(everybody, e.from_mac, 0x0806, p);
}

inline void seal_ip(Bytes& f) {
    put16(f, 24, 0);
    put16(f, 24, ~sum16(f, 14, 14 + (f[14] & 15) * 4u) & 0xFFFF);
}

inline Bytes ipv4(const Ends& e, unsigned protocol, const Bytes& content) {
    Bytes h(20);
    h[0] = 0x45, h[8] = 37, h[9] = static_cast<uint8_t>(protocol);
    put16(h, 2, static_cast<unsigned>(20 + content.size())), put16(h, 4, 0xBEEF),
        put16(h, 6, 0x4000);
    put32(h, 12, e.from), put32(h, 16, e.to);
    h.insert(h.end(), content.begin(), content.end());
    Bytes f = ethernet(e.to_mac, e.from_mac, 0x0800, h);
    seal_ip(f);
    return f;
}

inline void seal_icmp(Bytes& f) {
    size_t end = 14 + get16(f, 16);
    put16(f, 36, 0);
    put16(f, 36, ~sum16(f, 34, end) & 0xFFFF);
}

inline Bytes icmp_echo(const Ends& e, const Bytes& data, unsigned type = 8, unsigned code = 0) {
    Bytes m(8);
    m[0] = static_cast<uint8_t>(type), m[1] = static_cast<uint8_t>(code);
    put16(m, 4, 0x1234), put16(m, 6, 7);
    m.insert(m.end(), data.begin(), data.end());
    Bytes f = ipv4(e, 1, m);
    seal_icmp(f);
    return f;
}

/// The UDP checksum over pseudo header and datagram, as the field must contain it.
inline unsigned udp_checksum(const Bytes& f) {
    unsigned length = get16(f, 38);
    Bytes copy(f);
    put16(copy, 40, 0);
    unsigned check = ~sum16(copy, 34, 34 + length, sum16(copy, 26, 34) + 17ul + length) & 0xFFFF;
    return check == 0 ? 0xFFFF : check;
}

inline Bytes udp(const Ends& e, unsigned from_port, unsigned to_port, const Bytes& data) {
    Bytes d(8);
    put16(d, 0, from_port), put16(d, 2, to_port),
        put16(d, 4, static_cast<unsigned>(8 + data.size()));
    d.insert(d.end(), data.begin(), data.end());
    Bytes f = ipv4(e, 17, d);
    put16(f, 40, udp_checksum(f));
    return f;
}

inline Bytes text(const std::string& words) { return {words.begin(), words.end()}; }

}  // namespace doorbell::test
