// A 16550 UART at I/O ports: the wire. Polled, 8n1, bounded in every wait.
// Source: National Semiconductor PC16550D datasheet, section 8 (registers).
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>

#include "firmware/cpu/access.h"
#include "firmware/cpu/result.h"

namespace doorbell::platform {

class Uart {
  public:
    static constexpr uint16_t com1 = 0x3F8;

    /// An absent UART: accepts everything and discards it.
    Uart() = default;
    /// Sets baud (a divisor of 115200), 8n1, FIFOs on, interrupts off, and sends two bytes to
    /// itself in loopback. Error: nothing there, or it does not hear itself.
    static Result<Uart> bring_up(cpu::Ports ports, uint16_t base, uint32_t baud = 115200);

    /// Sends a byte, waiting for room. False: the UART is gone, because it did not become ready
    /// within the bound once; from then on nothing is tried, so that a lost line cannot hang the
    /// image.
    bool write(char c);
    bool write(std::string_view text);
    /// Waits until the last bit has left (before power off). False: gone, or it did not end.
    bool drain();
    /// A byte that has arrived, if any; never waits.
    std::optional<uint8_t> read() const;

    bool gone() const { return gone_; }
    bool has_fifo() const { return fifo_ > 1; }

    /// Reads of the line status that a wait may take: about a second on a machine.
    static constexpr uint32_t most_reads = 1000000;

  private:
    bool wait_for(uint8_t status_bits) const;

    cpu::Ports ports_;
    uint16_t base_ = 0;
    uint8_t fifo_ = 1;  // bytes that may be written once THRE is seen
    uint8_t room_ = 0;  // of these, still free
    bool gone_ = true;
};

}  // namespace doorbell::platform
