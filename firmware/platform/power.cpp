#include "firmware/platform/power.h"

namespace doorbell::platform {
namespace {

// PM1 control (section 4.8.3.2.1) and sleep control (section 4.8.3.7).
constexpr uint16_t sci_enable = 1 << 0, sleep_type_field = 7 << 10, sleep_enable = 1 << 13;

/// How long to wait for what ends the machine: reads of port 0x80, which nobody answers, about 1 us
/// each.
constexpr unsigned most_polls = 1000000;

void linger(cpu::Ports ports) {
    for (unsigned i = 0; i < most_polls / 10; ++i) (void)ports.in8(0x80);
}

/// A register of 8 or 16 bits, wherever it lies.
struct Register {
    cpu::Ports ports;
    cpu::Mmio physical;
    AcpiRegister where;

    bool usable() const { return where && where.space != AcpiRegister::Space::pci; }
    bool io() const { return where.space == AcpiRegister::Space::io; }
    uint16_t port() const { return static_cast<uint16_t>(where.address); }
    uint16_t read16() const { return io() ? ports.in16(port()) : physical.read16(where.address); }
    void write16(uint16_t v) const {
        io() ? ports.out16(port(), v) : physical.write16(where.address, v);
    }
    void write8(uint8_t v) const {
        io() ? ports.out8(port(), v) : physical.write8(where.address, v);
    }
};

}  // namespace

Error power_off(cpu::Ports ports, cpu::Mmio physical, const AcpiFixed& fixed) {
    if (!fixed.present) return {"no FADT: the way to power off is not known"};
    if (!fixed.s5_known) return {"no _S5_ package: the sleep type for power off is not known"};

    if (fixed.hardware_reduced) {
        Register control{ports, physical, fixed.sleep_control};
        if (!control.usable())
            return {"the FADT names no sleep control register", fixed.sleep_control.address};
        // SLP_TYP is bits 4:2, SLP_EN bit 5.
        control.write8(static_cast<uint8_t>(fixed.s5_a << 2 | 1 << 5));
        linger(ports);
        return {"the sleep control register was written and the machine is still on",
                fixed.sleep_control.address};
    }

    Register a{ports, physical, fixed.pm1a_control}, b{ports, physical, fixed.pm1b_control};
    if (!a.usable()) return {"the FADT names no PM1a control register", fixed.pm1a_control.address};
    // The firmware owns the sleep bits until it was asked to hand them over (section 4.8.2.5).
    if ((a.read16() & sci_enable) == 0 && fixed.smi_command != 0 && fixed.acpi_enable != 0) {
        ports.out8(fixed.smi_command, fixed.acpi_enable);
        unsigned left = most_polls;
        while ((a.read16() & sci_enable) == 0 && --left != 0) {
        }
        if (left == 0) return {"waited for SCI_EN after asking for ACPI mode", fixed.smi_command};
    }
    auto sleep = [](const Register& r, uint8_t type, uint16_t enable) {
        r.write16(static_cast<uint16_t>((r.read16() & ~(sleep_type_field | sleep_enable)) |
                                        type << 10 | enable));
    };
    // Types first, then the enable bits: both registers must agree when the first is enabled.
    sleep(a, fixed.s5_a, 0);
    if (b.usable()) sleep(b, fixed.s5_b, 0);
    sleep(a, fixed.s5_a, sleep_enable);
    if (b.usable()) sleep(b, fixed.s5_b, sleep_enable);
    linger(ports);
    return {"S5 was entered and the machine is still on", fixed.pm1a_control.address};
}

Error reset(cpu::Ports ports, cpu::Mmio physical, const AcpiFixed& fixed) {
    Register r{ports, physical, fixed.reset};
    if (fixed.reset_supported && r.usable()) {
        r.write8(fixed.reset_value);
        linger(ports);
    }
    // Reset control of the PCH: choose a full reset, then let its bit 2 rise.
    ports.out8(0xCF9, 0x02);
    ports.out8(0xCF9, 0x06);
    linger(ports);
    // Keyboard controller: pulse output bit 0, once its input buffer is empty.
    for (unsigned i = 0; i < most_polls / 10 && (ports.in8(0x64) & 0x02) != 0; ++i) {
    }
    ports.out8(0x64, 0xFE);
    linger(ports);
    return {
        "reset register, port 0xCF9 and keyboard controller were tried and the machine is still "
        "on"};
}

void debug_exit(cpu::Ports ports, uint8_t code) { ports.out8(0xF4, code); }

}  // namespace doorbell::platform
