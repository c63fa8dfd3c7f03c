// The text screen of a PC's display adapter: 80 by 25 characters in memory at 0xB8000. Source: IBM
// Video Subsystem Technical Reference, "Alphanumeric Modes"; nothing but the memory is touched, the
// mode is firmware's.
#pragma once
#include <cstdint>

#include "firmware/cpu/access.h"
#include "firmware/cpu/result.h"

namespace doorbell::platform {

/// A display for a TextScreen.
class VgaText {
  public:
    static constexpr uint64_t memory = 0xB8000;

    VgaText() = default;
    /// Error: the memory does not keep what is written to it.
    static Result<VgaText> bring_up(cpu::Mmio screen);

    static unsigned columns() { return 80; }
    static unsigned rows() { return 25; }
    void draw(unsigned row, unsigned column, char c) const {
        constexpr uint16_t light_grey_on_black = 0x0700;
        screen_.write16(2 * (row * columns() + column),
                        static_cast<uint16_t>(light_grey_on_black | static_cast<uint8_t>(c)));
    }

  private:
    cpu::Mmio screen_;
};

}  // namespace doorbell::platform
