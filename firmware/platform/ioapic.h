// The I/O APIC: takes interrupt lines, sends messages to local APICs.
// Source: Intel 82093AA datasheet (290566), section 3; inputs by the MADT's global system
// interrupts.
#pragma once
#include <cstdint>

#include "firmware/cpu/access.h"
#include "firmware/cpu/result.h"
#include "firmware/platform/interrupt.h"

namespace doorbell::platform {

class IoApic {
  public:
    IoApic() = default;
    /// Finds the number of inputs and masks them all. Error: nothing answers at that address.
    static Result<IoApic> bring_up(cpu::Mmio registers, uint32_t gsi_base);

    unsigned inputs() const { return inputs_; }
    uint32_t gsi_base() const { return gsi_base_; }
    bool has_gsi(uint32_t gsi) const { return gsi >= gsi_base_ && gsi - gsi_base_ < inputs_; }

    /// Sends `input` as `vector` (16-255) to one local APIC, physical destination, fixed delivery.
    /// Error: no such input, a vector that is an exception's, an APIC id over 255 (which needs
    /// interrupt remapping).
    Result<void> route(unsigned input, uint8_t vector, uint32_t apic_id, Polarity polarity,
                       Trigger trigger, bool masked) const;
    /// No effect where there is no such input.
    void mask(unsigned input) const { set_mask(input, true); }
    void unmask(unsigned input) const { set_mask(input, false); }
    /// The redirection entry of `input`, as it is in the chip.
    uint64_t entry(unsigned input) const;

  private:
    uint32_t read(uint32_t index) const;
    void write(uint32_t index, uint32_t value) const;
    void set_mask(unsigned input, bool masked) const;

    cpu::Mmio registers_;
    uint32_t gsi_base_ = 0;
    unsigned inputs_ = 0;
};

}  // namespace doorbell::platform
