// The packet of the exact clock's cable, the same for Linux and DPDK as for the image: sizes,
// times, and the least that a program does with it.
#pragma once
#include <cstdint>
#include <cstring>

#include "firmware/wire/cable.h"
#include "host/bench.h"
#include "host/clock.h"

namespace doorbell::host {

/// Without the check sequence, which the card adds: 64 bytes on the wire.
inline constexpr uint16_t frame_bytes = 60;
/// What UDP carries in such a frame, behind 14 bytes of Ethernet, 20 of IP and 8 of UDP.
inline constexpr uint16_t udp_bytes = frame_bytes - 14 - 20 - 8;

struct Payload {
    char bytes[udp_bytes] = {};
    /// Counts up; 0: the end.
    uint64_t number() const {
        uint64_t number;
        std::memcpy(&number, bytes, sizeof number);
        return number;
    }
    static Payload with(uint64_t number) {
        Payload payload;
        std::memcpy(payload.bytes, &number, sizeof number);
        return payload;
    }
};

/// Reads each byte once, in words of 8 as far as there are any, as the image's nic lab does.
inline void read_every_byte(const void* memory, uint32_t bytes) {
    uint64_t sum = 0;
    auto* words = static_cast<const volatile uint64_t*>(memory);
    for (uint32_t i = 0; i < bytes / 8; ++i) sum += words[i];
    for (uint32_t i = bytes & ~7u; i < bytes; ++i)
        sum += static_cast<const volatile uint8_t*>(memory)[i];
    asm volatile("" : : "r"(sum));
}

/// Spins until the next packet may be sent: further from the last than the 128 us for which QEMU's
/// e1000e holds its interrupt back, at a phase that the seed chooses.
inline void keep_apart(LinuxBench& bench) {
    spin_until(measure::end() + bench.instrument.tsc_hz / 2000 + bench.random.below(10'000));
}

/// Between sending and waiting: a number of instructions that the seed chooses, up to some 2,000,
/// so that the arrival meets a polling loop at any phase.
inline void lose_phase(LinuxBench& bench) {
    for (uint64_t n = bench.random.below(1000); n != 0; --n) asm volatile("");
}

/// One packet over the cable. `latency` and `payload` run from the timestamp before the sending
/// call to the first one of the program that has the packet, and to the one after its last byte was
/// read; the `-after-send` ones begin at the timestamp after that call. The card's doorbell is rung
/// between the two. All exclude the time on the cable.
class CableSeries {
  public:
    explicit CableSeries(LinuxBench& bench)
        : bench_(bench),
          cable_(wire::cable_delay_ns * bench.instrument.tsc_hz / 1'000'000'000),
          latency_(bench.series("latency")),
          latency_after_send_(bench.series("latency-after-send")),
          payload_(bench.series("payload")),
          payload_after_send_(bench.series("payload-after-send")) {}
    /// Records timestamps, which are in order; returns the sample's duration.
    uint64_t record(uint64_t called, uint64_t returned, uint64_t known, uint64_t read) {
        if (known - called < cable_)
            throw Skip(
                "the packet was known before it can have arrived: this is not the peers' cable");
        latency_.record(known - called - cable_);
        payload_.record(read - called - cable_);
        // A kernel timer may delay the call after it has rung the doorbell, for longer than the
        // rest of the sample.
        if (known - returned < cable_)
            bench_.count("calls that returned too late to count from there (taken as 0)", 1);
        latency_after_send_.record(known - returned < cable_ ? 0 : known - returned - cable_);
        payload_after_send_.record(read - returned < cable_ ? 0 : read - returned - cable_);
        return known - called;
    }

  private:
    LinuxBench& bench_;
    uint64_t cable_;
    measure::Series &latency_, &latency_after_send_, &payload_, &payload_after_send_;
};

}  // namespace doorbell::host
