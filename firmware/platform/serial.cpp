#include "firmware/platform/serial.h"

namespace doorbell::platform {
namespace {

constexpr uint16_t com_ports[] = {0x3F8, 0x2F8, 0x3E8, 0x2E8};
constexpr uint8_t communication_class = 0x07, serial_subclass = 0x00;

Result<SerialPort> bring_up(cpu::Ports ports, uint16_t port, uint32_t baud, bool pci) {
    auto uart = DOORBELL_TRY(Uart::bring_up(ports, port, baud));
    return SerialPort{uart, port, baud, pci};
}

/// The card's I/O BAR, decoded; 0 where it has none.
uint16_t open_card(const PciConfig& pci, PciAddress address) {
    for (uint16_t at = pci_register::bar0; at < pci_register::bar0 + 24; at += 4) {
        uint32_t bar = pci.read32(address, at);
        uint32_t port = bar & ~3u;
        if ((bar & 1) == 0 || port == 0 || port > 0xFFF8) continue;
        uint16_t command = pci.read16(address, pci_register::command);
        pci.write16(address, pci_register::command, command | pci_command::io);
        return static_cast<uint16_t>(port);
    }
    return 0;
}

Result<SerialPort> find_card(cpu::Ports ports, const PciConfig& pci, uint32_t baud) {
    Result<SerialPort> found = Error{"there is no PCI serial card with an I/O BAR"};
    for_each_pci_function(pci, communication_class, [&](PciAddress a) {
        uint32_t code = pci.read32(a, pci_register::revision);
        if (found || (code >> 16 & 0xFF) != serial_subclass) return;
        if (uint16_t port = open_card(pci, a); port != 0) found = bring_up(ports, port, baud, true);
    });
    return found;
}

}  // namespace

Result<SerialChoice> SerialChoice::read(std::string_view word) {
    if (word == "auto") return SerialChoice{};
    if (word == "none") return SerialChoice{Kind::none, 0};
    if (word == "pci") return SerialChoice{Kind::pci, 0};
    if (word.size() == 4 && word.starts_with("com") && word[3] >= '1' && word[3] <= '4')
        return SerialChoice{Kind::port, com_ports[word[3] - '1']};
    constexpr Error no_port{"serial: auto, com1 to com4, pci, none, or a port as 0x2f8"};
    if (!word.starts_with("0x") || word.size() < 3 || word.size() > 6) return no_port;
    uint16_t port = 0;
    for (char c : word.substr(2)) {
        uint8_t digit = c >= '0' && c <= '9'   ? static_cast<uint8_t>(c - '0')
                        : c >= 'a' && c <= 'f' ? static_cast<uint8_t>(c - 'a' + 10)
                        : c >= 'A' && c <= 'F' ? static_cast<uint8_t>(c - 'A' + 10)
                                               : 16;
        if (digit == 16) return no_port;
        port = static_cast<uint16_t>(port << 4 | digit);
    }
    if (port == 0 || port > 0xFFF8) return no_port;
    return SerialChoice{Kind::port, port};
}

Result<uint32_t> SerialChoice::read_baud(std::string_view word) {
    uint32_t baud = 0;
    for (char c : word) {
        bool more = c >= '0' && c <= '9' && baud <= usual_baud;
        baud = more ? baud * 10 + static_cast<uint32_t>(c - '0') : ~0u;
        if (!more) break;
    }
    if (baud < 1200 || baud > usual_baud || usual_baud % baud != 0)
        return Error{"baud: 115200 or a whole part of it, 1200 or more"};
    return baud;
}

Result<SerialPort> find_serial(cpu::Ports ports, const PciConfig& pci, const SerialChoice& choice,
                               const AcpiSerial& firmwares) {
    const uint32_t baud = choice.baud != 0 ? choice.baud : usual_baud;
    auto baud_of = [&](uint16_t port) {
        bool says = choice.baud == 0 && port == firmwares.port && firmwares.baud != 0;
        return says ? firmwares.baud : baud;
    };
    switch (choice.kind) {
        case SerialChoice::Kind::none:
            return Error{"no serial port is wanted (serial=none)"};
        case SerialChoice::Kind::port:
            return bring_up(ports, choice.port, baud_of(choice.port), false);
        case SerialChoice::Kind::pci:
            return find_card(ports, pci, baud);
        case SerialChoice::Kind::first:
            break;
    }
    if (uint16_t port = firmwares.port; port != 0)
        if (auto up = bring_up(ports, port, baud_of(port), false)) return up;
    for (uint16_t port : com_ports)
        if (auto up = bring_up(ports, port, baud_of(port), false)) return up;
    if (auto card = find_card(ports, pci, baud)) return card;
    return Error{"no serial port answers: tried 0x3F8, 0x2F8, 0x3E8, 0x2E8 and PCI serial cards"};
}

}  // namespace doorbell::platform
