// The frames that labs send and expect, and what else may come down a cable. A frame that is not a
// lab's own, or is damaged, is counted by kind and never becomes a sample.
#pragma once
#include <cstdint>

#include "firmware/nic/nic.h"

namespace doorbell::nic {

/// IEEE Std 802-2014, table "Local Experimental EtherTypes": 88-B5 is anybody's for experiments.
inline constexpr uint16_t lab_ethertype = 0x88B5;
inline constexpr uint16_t vlan_ethertype = 0x8100,
                          service_vlan_ethertype = 0x88A8;  ///< IEEE 802.1Q

enum class FrameKind : uint8_t { ours, broken, runt, over_long, vlan, foreign, bad_checksum };
inline constexpr unsigned frame_kinds = 7;

/// Writes a lab's frame of `length` bytes (shortest_frame to longest_frame) to `at`: addresses,
/// EtherType, a mark, a sequence number, a checksum over everything behind the EtherType, and a
/// pattern to the end.
void write_lab_frame(uint8_t* at, uint32_t length, const MacAddress& to, const MacAddress& from,
                     uint64_t sequence);

/// Changes the sequence number and what depends on it.
void set_sequence(uint8_t* frame, uint64_t sequence);
uint64_t sequence_of(const uint8_t* frame);

/// Whether it begins as `sent` does, which write_lab_frame() wrote: EtherType, mark, checksum and
/// sequence number. For measured code that expects one frame and no other: a few instructions,
/// where classify() takes hundreds.
inline bool begins_as(const Received& f, const uint8_t* sent) {
    struct [[gnu::packed, gnu::may_alias]] Head {
        uint64_t type_to_checksum, sequence;
    };
    constexpr uint32_t at = 12;
    auto *here = reinterpret_cast<const Head*>(f.data + at),
         *there = reinterpret_cast<const Head*>(sent + at);
    return f.errors == 0 && f.length >= shortest_frame &&
           here->type_to_checksum == there->type_to_checksum && here->sequence == there->sequence;
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
