// What the image, which answers packets from outside, and the harness, which sends them, have
// agreed upon.
#pragma once
#include <cstdint>

namespace doorbell::wire {

/// RFC 862: what comes to this UDP port goes back to where it came from.
inline constexpr uint16_t echo_port = 7;
/// A datagram to this port that holds the stop word, and nothing else, is sent back, and ends the
/// answering.
inline constexpr uint16_t stop_port = 0x4442;
inline constexpr uint8_t stop_word[4] = {'s', 't', 'o', 'p'};
/// The image's address unless the user sets another (10.68.68.2), and the bits of its network's
/// part.
inline constexpr uint32_t outside_address = 0x0A444402;
inline constexpr uint32_t outside_prefix = 24;

}  // namespace doorbell::wire
