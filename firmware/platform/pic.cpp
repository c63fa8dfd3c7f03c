#include "firmware/platform/pic.h"

namespace doorbell::platform {

void silence_pics(cpu::Ports ports, uint8_t first_vector) {
    struct Chip {
        uint16_t command, data;
        uint8_t vector, cascade;
    };
    // The second chip hangs on input 2 of the first: a bit mask there, a number here (ICW3).
    const Chip chips[] = {{0x20, 0x21, first_vector, 1 << 2},
                          {0xA0, 0xA1, static_cast<uint8_t>(first_vector + 8), 2}};
    for (const Chip& chip : chips) ports.out8(chip.data, 0xFF);
    for (const Chip& chip : chips) {
        ports.out8(chip.command, 0x11);      // ICW1: edge, cascade, ICW4 follows
        ports.out8(chip.data, chip.vector);  // ICW2
        ports.out8(chip.data, chip.cascade);
        ports.out8(chip.data, 0x01);  // ICW4: 8086 mode, normal end of interrupt
        ports.out8(chip.data, 0xFF);  // OCW1: all masked
    }
}

}  // namespace doorbell::platform
