// The 8254 programmable interval timer: channel 0 (interrupt 0) as a one-shot timer, channel 2 as a
// free counter. Source: Intel 8254 datasheet (231164); port 0x61 by the ICH/PCH datasheets (NMI
// Status and Control).
#pragma once
#include <cstdint>

#include "firmware/cpu/access.h"
#include "firmware/cpu/result.h"
#include "firmware/cpu/tsc.h"

namespace doorbell::platform {

class Pit {
  public:
    /// 315/88 MHz times 4 divided by 12 = 13,125,000/11 Hz (1,193,181.8 Hz).
    static constexpr uint64_t hz_numerator = 13125000, hz_denominator = 11;
    static constexpr uint32_t hz = 1193182;  ///< the nearest whole number

    Pit() = default;
    /// Starts channel 2 as a free 16-bit counter, speaker off. Error: it does not count.
    static Result<Pit> bring_up(cpu::Ports ports);

    /// Channel 0, mode 0 (interrupt on terminal count): OUT, and with it interrupt 0, rises `count`
    /// + 1 input clocks after the second byte was written. A count of 0 means 65536.
    void arm_one_shot(uint16_t count) const {
        ports_.out8(command_port, 0x30);
        ports_.out8(channel0_port, static_cast<uint8_t>(count));
        ports_.out8(channel0_port, static_cast<uint8_t>(count >> 8));
    }
    /// Whether channel 0's OUT is high (read-back of the status).
    bool expired() const {
        ports_.out8(command_port, 0xE2);
        return (ports_.in8(channel0_port) & 0x80) != 0;
    }
    /// Channel 0's count, latched.
    uint16_t read() const { return latched(0x00, channel0_port); }
    /// Stops channel 0: mode 0 without a count never ends, OUT stays low.
    void stop() const { ports_.out8(command_port, 0x30); }

    /// Channel 2's count, latched: counts up here (the chip counts down), modulo 65536.
    uint16_t free_counter() const {
        return static_cast<uint16_t>(0xFFFF - latched(0x80, channel2_port));
    }
    /// Waits for `ticks` input clocks on the free counter. Error: it stands still.
    Result<void> wait(uint32_t ticks) const;
    /// The free counter as a reference for the TSC; it points at this object.
    cpu::ReferenceCounter reference();

    static constexpr uint16_t channel0_port = 0x40, channel2_port = 0x42, command_port = 0x43,
                              gate_port = 0x61;

  private:
    uint16_t latched(uint8_t command, uint16_t port) const {
        ports_.out8(command_port, command);
        uint16_t low = ports_.in8(port);
        return static_cast<uint16_t>(low | ports_.in8(port) << 8);
    }
    cpu::Ports ports_;
};

}  // namespace doorbell::platform
