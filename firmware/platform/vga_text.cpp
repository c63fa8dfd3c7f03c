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
    text.there_ = true;
    for (unsigned row = 0; row < rows; ++row)
        for (unsigned column = 0; column < columns; ++column) text.put(row, column, ' ');
    return text;
}

void VgaText::write_line(std::string_view line) {
    if (!there_) return;
    if (row_ == rows) {
        for (unsigned at = 0; at < (rows - 1) * columns; ++at)
            screen_.write16(2 * at, screen_.read16(2 * (at + columns)));
        --row_;
    }
    for (unsigned column = 0; column < columns; ++column) {
        char c = column < line.size() ? line[column] : ' ';
        put(row_, column, c < ' ' || c > '~' ? '?' : c);
    }
    ++row_;
}

}  // namespace doorbell::platform
