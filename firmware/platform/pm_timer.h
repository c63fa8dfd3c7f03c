// The ACPI power management timer: 24 or 32 bits at 3.579545 MHz behind one I/O port.
// Source: ACPI Specification 6.5, section 4.8.3.3 and 5.2.9 (PM_TMR_BLK, TMR_VAL_EXT).
#pragma once
#include <cstdint>

#include "firmware/cpu/access.h"
#include "firmware/cpu/result.h"
#include "firmware/cpu/tsc.h"
#include "firmware/platform/acpi.h"

namespace doorbell::platform {

class PmTimer {
  public:
    static constexpr uint32_t hz = 3579545;

    PmTimer() = default;
    /// Error: the FADT names none, or not in I/O space, or it stands still.
    static Result<PmTimer> bring_up(cpu::Ports ports, const AcpiFixed& fixed);

    uint32_t read() const { return ports_.in32(port_) & mask_; }
    uint32_t mask() const { return mask_; }  ///< 0xFFFFFF or 0xFFFFFFFF: where it wraps
    uint16_t port() const { return port_; }
    /// The timer as a reference for the TSC; it points at this object.
    cpu::ReferenceCounter reference();

  private:
    cpu::Ports ports_;
    uint16_t port_ = 0;
    uint32_t mask_ = 0;
};

}  // namespace doorbell::platform
