// The frames that labs send and expect, and what else may come down a cable. A frame that is not a lab's own, or is
// damaged, is counted by kind and never becomes a sample.
#pragma once
#include <cstdint>

#include "firmware/nic/nic.h"

namespace doorbell::nic {

/// IEEE Std 802-2014, table "Local Experimental EtherTypes": 88-B5 is anybody's for experiments.
inline constexpr uint16_t lab_ethertype = 0x88B5;
inline constexpr uint32_t lab_mark = 0x6C656244;  ///< "Dbel" in memory, behind the EtherType
inline constexpr uint16_t vlan_ethertype = 0x8100, service_vlan_ethertype = 0x88A8;  ///< IEEE 802.1Q

enum class FrameKind : uint8_t { ours, broken, runt, over_long, vlan, foreign, bad_checksum };
inline constexpr unsigned frame_kinds = 7;

/// Writes a lab's frame of `length` bytes (shortest_frame to longest_frame) to `at`: addresses, EtherType, a mark, a
/// sequence number, a checksum over everything behind the EtherType, and a pattern to the end.
void write_lab_frame(uint8_t* at, uint32_t length, const MacAddress& to, const MacAddress& from, uint64_t sequence);

/// Changes the sequence number and what depends on it.
void set_sequence(uint8_t* frame, uint64_t sequence);
uint64_t sequence_of(const uint8_t* frame);

/// Whether it has a lab frame's EtherType, mark and this sequence number: enough for measured code, which expects one
/// frame and no other, and a few instructions where classify() takes hundreds.
inline bool is_lab_frame(const Received& f, uint64_t sequence) {
    struct [[gnu::packed]] Head {
        uint8_t addresses[12];
        uint16_t type;
        uint32_t mark;
        uint16_t checksum;
        uint64_t sequence;
    };
    auto* head = reinterpret_cast<const Head*>(f.data);
    return f.errors == 0 && f.length >= sizeof(Head) && head->type == __builtin_bswap16(lab_ethertype) && head->mark == lab_mark &&
           head->sequence == sequence;
}

/// What it is. Reads no further than `frame.length`.
FrameKind classify(const Received& frame);

/// How many of each kind have come.
struct FrameTally {
    uint64_t of[frame_kinds] = {};
    FrameKind add(const Received& frame) {
        FrameKind kind = classify(frame);
        ++of[static_cast<unsigned>(kind)];
        return kind;
    }
    uint64_t operator[](FrameKind kind) const { return of[static_cast<unsigned>(kind)]; }
    uint64_t strangers() const {
        uint64_t n = 0;
        for (unsigned i = 1; i < frame_kinds; ++i) n += of[i];
        return n;
    }
};

}  // namespace doorbell::nic
