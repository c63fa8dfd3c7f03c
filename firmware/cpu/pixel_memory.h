// A frame buffer, as a boot loader describes it and the platform takes it.
#pragma once
#include <cstdint>

namespace doorbell::cpu {

/// Memory whose bytes are the pixels of a screen, in direct colour: each pixel holds a field for
/// red, green and blue. Unknown (address 0) where the boot loader told of none.
struct PixelMemory {
    /// The bits of a colour in a pixel.
    struct Colour {
        uint8_t position = 0, bits = 0;
    };
    uint64_t address = 0;
    uint32_t pitch = 0;              ///< bytes from a row to the next one
    uint32_t width = 0, height = 0;  ///< pixels
    uint8_t pixel_bits = 0;          ///< of one pixel
    Colour red, green, blue;

    bool known() const { return address != 0; }
    uint64_t bytes() const { return uint64_t{pitch} * height; }
};

}  // namespace doorbell::cpu
