// Which serial port the image speaks by: the one that the firmware speaks by, one of the four that
// a PC has at fixed places, or a PCI serial card (Intel AMT's serial-over-LAN is one). The first
// that answers, or the one that was asked for.
#pragma once
#include <cstdint>
#include <string_view>

#include "firmware/cpu/access.h"
#include "firmware/cpu/result.h"
#include "firmware/platform/acpi.h"
#include "firmware/platform/pci.h"
#include "firmware/platform/uart.h"

namespace doorbell::platform {

inline constexpr uint32_t usual_baud = 115200;

/// What was asked for.
struct SerialChoice {
    enum class Kind : uint8_t { first, port, pci, none };
    Kind kind = Kind::first;
    uint16_t port = 0;  ///< of Kind::port
    uint32_t baud = 0;  ///< 0: as the firmware has it, or 115200

    /// Reads "auto", "com1" to "com4", "pci", "none", or a port in hexadecimal ("0x2f8").
    /// Error: none of these.
    static Result<SerialChoice> read(std::string_view word);
    /// Reads a rate that a UART can be set to: 115200 or a whole part of it, 1200 or more. Error:
    /// another number, or no number.
    static Result<uint32_t> read_baud(std::string_view word);
};

struct SerialPort {
    Uart uart;
    uint16_t port = 0;
    uint32_t baud = 0;
    bool pci = false;  ///< of a PCI card
};

/// Brings up the firmware's port, COM1 to COM4 in this order and then the PCI serial cards (class
/// 07, subclass 00, an I/O BAR), until one receives its own bytes in loopback. Error: none does, or
/// not the one that was asked for; or the baud rate is none that a UART has.
Result<SerialPort> find_serial(cpu::Ports ports, const PciConfig& pci, const SerialChoice& choice,
                               const AcpiSerial& firmwares);

}  // namespace doorbell::platform
