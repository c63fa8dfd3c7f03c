// The text screen of a PC's display adapter: 80 by 25 characters in memory at 0xB8000. For what a
// person must see where no serial port answers. Source: IBM Video Subsystem Technical Reference,
// "Alphanumeric Modes"; nothing but the memory is touched, the mode is firmware's.
#pragma once
#include <cstdint>
#include <string_view>

#include "firmware/cpu/access.h"
#include "firmware/cpu/result.h"

namespace doorbell::platform {

class VgaText {
  public:
    static constexpr uint64_t memory = 0xB8000;
    static constexpr unsigned columns = 80, rows = 25;

    /// An absent screen: accepts everything and shows nothing.
    VgaText() = default;
    /// Clears the screen. Error: the memory does not keep what is written to it.
    static Result<VgaText> bring_up(cpu::Mmio screen);

    /// One line, cut at the screen's width, below the last one. The screen scrolls. A character
    /// that is not printable ASCII shows as '?'.
    void write_line(std::string_view line);

  private:
    void put(unsigned row, unsigned column, char c) const {
        constexpr uint16_t light_grey_on_black = 0x0700;
        screen_.write16(2 * (row * columns + column),
                        static_cast<uint16_t>(light_grey_on_black | static_cast<uint8_t>(c)));
    }
    cpu::Mmio screen_;
    unsigned row_ = 0;
    bool there_ = false;
};

}  // namespace doorbell::platform
