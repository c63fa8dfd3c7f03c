#include "firmware/platform/vga_text.h"

namespace doorbell::platform {

Result<VgaText> VgaText::bring_up(cpu::Mmio screen) {
    for (uint16_t pattern : {uint16_t{0x0755}, uint16_t{0x07AA}}) {
        screen.write16(0, pattern);
        screen.write16(2, static_cast<uint16_t>(~pattern));
        if (screen.read16(0) != pattern || screen.read16(2) != static_cast<uint16_t>(~pattern))
            return Error{"no text screen answers", screen.base()};
    }
    VgaText text;
    text.screen_ = screen;
    return text;
}

}  // namespace doorbell::platform
