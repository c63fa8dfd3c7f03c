// A screen of pixels that a boot loader left in memory, as UEFI machines have it.
#pragma once
#include <cstdint>

#include "firmware/cpu/access.h"
#include "firmware/cpu/pixel_memory.h"
#include "firmware/cpu/result.h"

namespace doorbell::platform {

/// A display for a TextScreen: about 106 characters in a row, whatever its width. A character's
/// pixels are so many times larger.
class FrameBuffer {
  public:
    /// A character's cell: the glyph, a column and two rows between it and the next ones.
    static constexpr unsigned cell_width = 6, cell_height = 10;

    FrameBuffer() = default;
    /// Clears the screen. Error: pixels of another size than 16, 24 or 32 bits, rows that overlap,
    /// no room for a character.
    static Result<FrameBuffer> bring_up(cpu::Mmio pixels, const cpu::PixelMemory& mode);

    unsigned columns() const { return mode_.width / (cell_width * scale_); }
    unsigned rows() const { return mode_.height / (cell_height * scale_); }
    /// How many pixels of a screen of so many a glyph's pixel is wide and high.
    static unsigned scale_of(const cpu::PixelMemory& mode);
    unsigned scale() const { return scale_; }
    void draw(unsigned row, unsigned column, char c) const;

  private:
    void put(uint64_t offset, uint32_t pixel) const;

    cpu::Mmio pixels_;
    cpu::PixelMemory mode_;
    unsigned scale_ = 1;
    uint32_t light_grey_ = 0;
};

}  // namespace doorbell::platform
