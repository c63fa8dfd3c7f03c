// Which serial port the image speaks by: one of the four that a PC has at fixed places, or a PCI
// serial card (Intel AMT's serial-over-LAN is one). The first that answers, or the one that was
// asked for.
#pragma once
#include <cstdint>
#include <string_view>

#include "firmware/cpu/access.h"
#include "firmware/cpu/result.h"
#include "firmware/platform/pci.h"
#include "firmware/platform/uart.h"

namespace doorbell::platform {

/// What was asked for.
struct SerialChoice {
    enum class Kind : uint8_t { first, port, pci, none };
    Kind kind = Kind::first;
    uint16_t port = 0;  ///< of Kind::port

    /// Reads "auto", "com1" to "com4", "pci", "none", or a port in hexadecimal ("0x2f8").
    /// Error: none of these.
    static Result<SerialChoice> read(std::string_view word);
};

struct SerialPort {
    Uart uart;
    uint16_t port = 0;
    bool pci = false;  ///< of a PCI card
};

/// Brings up COM1 to COM4 in this order and then the PCI serial cards (class 07, subclass 00, an
/// I/O BAR), until one receives its own bytes in loopback. Error: none does, or not the one that
/// was asked for.
Result<SerialPort> find_serial(cpu::Ports ports, const PciConfig& pci, const SerialChoice& choice);

}  // namespace doorbell::platform
