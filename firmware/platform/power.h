// Leaving: power off, reset, QEMU's exit port.
// Source: ACPI Specification 6.5, section 4.8.3.2 (PM1 control), 4.8.3.7 (sleep control), 4.8.3.6
// (reset register), 16.1.
#pragma once
#include <cstdint>

#include "firmware/cpu/access.h"
#include "firmware/cpu/result.h"
#include "firmware/platform/acpi.h"

namespace doorbell::platform {

/// Enters S5 as the FADT and the DSDT say. Returns only when that failed, with the reason.
/// `physical` is memory from address 0, for a register that lies there; it must be mapped.
Error power_off(cpu::Ports ports, cpu::Mmio physical, const AcpiFixed& fixed);

/// Resets: the FADT's reset register, then port 0xCF9, then the keyboard controller. Returns only
/// when all failed.
Error reset(cpu::Ports ports, cpu::Mmio physical, const AcpiFixed& fixed);

/// Ends QEMU with status 2 * code + 1 where it has isa-debug-exit at 0xF4; elsewhere nothing
/// answers at that port, and this returns.
void debug_exit(cpu::Ports ports, uint8_t code);

}  // namespace doorbell::platform
