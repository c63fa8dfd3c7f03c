#include "firmware/nic/frame.h"

namespace doorbell::nic {
namespace {

// Offsets in a lab's frame.
constexpr uint32_t ethertype_at = 12, mark_at = 14, checksum_at = 18, sequence_at = 20,
                   pattern_at = 28;
constexpr uint8_t mark[4] = {'D', 'b', 'e', 'l'};

uint16_t big_endian_16(const uint8_t* p) { return static_cast<uint16_t>(p[0] << 8 | p[1]); }

/// Ones' complement sum of 16-bit words (RFC 1071) from the sequence number on; the pattern never
/// changes, but a damaged byte in it shows.
uint16_t checksum(const uint8_t* frame, uint32_t length) {
    uint32_t sum = 0;
    for (uint32_t i = sequence_at; i + 1 < length; i += 2) sum += big_endian_16(frame + i);
    if (length & 1) sum += static_cast<uint32_t>(frame[length - 1]) << 8;
    while (sum >> 16) sum = (sum & 0xFFFF) + (sum >> 16);
    return static_cast<uint16_t>(~sum);
}

void put_16(uint8_t* at, uint16_t v) {
    at[0] = static_cast<uint8_t>(v >> 8);
    at[1] = static_cast<uint8_t>(v);
}

}  // namespace

void write_lab_frame(uint8_t* at, uint32_t length, const MacAddress& to, const MacAddress& from,
                     uint64_t sequence) {
    for (unsigned i = 0; i < 6; ++i) {
        at[i] = to[i];
        at[6 + i] = from[i];
    }
    put_16(at + ethertype_at, lab_ethertype);
    for (unsigned i = 0; i < 4; ++i) at[mark_at + i] = mark[i];
    for (unsigned i = 0; i < 8; ++i) at[sequence_at + i] = static_cast<uint8_t>(sequence >> 8 * i);
    for (uint32_t i = pattern_at; i < length; ++i) at[i] = static_cast<uint8_t>(i);
    put_16(at + checksum_at, checksum(at, length));
}

void set_sequence(uint8_t* frame, uint64_t sequence) {
    // RFC 1624: the checksum follows a change without reading the rest: ~C' = ~C + ~old + new.
    uint32_t sum = static_cast<uint16_t>(~big_endian_16(frame + checksum_at));
    for (unsigned i = 0; i < 8; i += 2) {
        uint8_t fresh[2] = {static_cast<uint8_t>(sequence >> 8 * i),
                            static_cast<uint8_t>(sequence >> 8 * (i + 1))};
        sum += static_cast<uint16_t>(~big_endian_16(frame + sequence_at + i));
        sum += big_endian_16(fresh);
        frame[sequence_at + i] = fresh[0];
        frame[sequence_at + i + 1] = fresh[1];
    }
    while (sum >> 16) sum = (sum & 0xFFFF) + (sum >> 16);
    put_16(frame + checksum_at, static_cast<uint16_t>(~sum));
}

uint64_t sequence_of(const uint8_t* frame) {
    uint64_t n = 0;
    for (unsigned i = 0; i < 8; ++i) n |= static_cast<uint64_t>(frame[sequence_at + i]) << 8 * i;
    return n;
}

FrameKind classify(const Received& f) {
    if (f.errors != 0) return FrameKind::broken;
    if (f.length < shortest_frame) return FrameKind::runt;
    if (f.length > longest_frame) return FrameKind::over_long;
    uint16_t type = big_endian_16(f.data + ethertype_at);
    if (type == vlan_ethertype || type == service_vlan_ethertype) return FrameKind::vlan;
    if (type != lab_ethertype) return FrameKind::foreign;
    for (unsigned i = 0; i < 4; ++i)
        if (f.data[mark_at + i] != mark[i]) return FrameKind::foreign;
    // RFC 1071: with ones' complement, 0 and 0xFFFF are the same number.
    uint16_t expected = checksum(f.data, f.length), there = big_endian_16(f.data + checksum_at);
    if (expected != there &&
        !(static_cast<uint16_t>(expected + 1) <= 1 && static_cast<uint16_t>(there + 1) <= 1))
        return FrameKind::bad_checksum;
    return FrameKind::ours;
}

}  // namespace doorbell::nic
