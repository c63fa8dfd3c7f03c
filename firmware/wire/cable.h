// The cable that QEMU's cards hang on in the exact clock, agreed between the harness, which makes
// it, and the image, which uses it. A cable joins a card under test with a sender whose transmitter
// is a timer: what the sender is told to send arrives a fixed virtual time after its doorbell was
// rung.
#pragma once
#include <cstdint>

namespace doorbell::wire {

/// From the doorbell's store to the packet's arrival, in nanoseconds of virtual time.
inline constexpr uint64_t cable_delay_ns = 150000;

/// The cards of cables are told apart by their addresses: 02:44:42:00:CABLE:END ("DB", locally
/// administered).
inline constexpr uint8_t cable_prefix[4] = {0x02, 0x44, 0x42, 0x00};
inline constexpr uint8_t end_sender = 0, end_under_test = 1;

}  // namespace doorbell::wire
