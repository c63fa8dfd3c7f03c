#include "firmware/platform/frame_buffer.h"

#include <algorithm>

#include "firmware/platform/glyphs.h"

namespace doorbell::platform {
namespace {

/// A screen of so many pixels shows a glyph's pixel as one.
constexpr unsigned narrowest = 640;

/// That share of 255 of a colour, where a pixel has it.
uint32_t part(const cpu::PixelMemory::Colour& colour, uint32_t share) {
    uint32_t full = (1u << colour.bits) - 1;
    return full * share / 255 << colour.position;
}

bool is_within(const cpu::PixelMemory::Colour& colour, unsigned pixel_bits) {
    return colour.bits <= 16 && colour.position + colour.bits <= pixel_bits;
}

}  // namespace

Result<FrameBuffer> FrameBuffer::bring_up(cpu::Mmio pixels, const cpu::PixelMemory& mode) {
    unsigned bits = mode.pixel_bits;
    if ((bits != 16 && bits != 24 && bits != 32) || !is_within(mode.red, bits) ||
        !is_within(mode.green, bits) || !is_within(mode.blue, bits))
        return Error{"the frame buffer's pixels have a form that is not known; bits of one", bits};
    if (mode.pitch < uint64_t{mode.width} * (bits / 8))
        return Error{"the frame buffer's rows overlap; bytes of one", mode.pitch};
    FrameBuffer screen;
    screen.pixels_ = pixels;
    screen.mode_ = mode;
    screen.scale_ = scale_of(mode);
    if (screen.columns() == 0 || screen.rows() == 0)
        return Error{"the frame buffer has no room for a character; pixels in a row", mode.width};
    constexpr uint32_t light_grey = 0xAA;
    screen.light_grey_ =
        part(mode.red, light_grey) | part(mode.green, light_grey) | part(mode.blue, light_grey);
    for (uint64_t at = 0; at + 8 <= mode.bytes(); at += 8) pixels.write64(at, 0);
    return screen;
}

unsigned FrameBuffer::scale_of(const cpu::PixelMemory& mode) {
    return std::max((mode.width + narrowest / 2) / narrowest, 1u);
}

void FrameBuffer::put(uint64_t offset, uint32_t pixel) const {
    switch (mode_.pixel_bits) {
        case 16:
            return pixels_.write16(offset, static_cast<uint16_t>(pixel));
        case 24:
            for (unsigned i = 0; i < 3; ++i)
                pixels_.write8(offset + i, static_cast<uint8_t>(pixel >> 8 * i));
            return;
        case 32:
            return pixels_.write32(offset, pixel);
    }
}

void FrameBuffer::draw(unsigned row, unsigned column, char c) const {
    const Glyph& glyph = glyph_of(c);
    const unsigned bytes = mode_.pixel_bits / 8;
    for (unsigned y = 0; y < cell_height * scale_; ++y) {
        uint64_t offset = (uint64_t{row} * cell_height * scale_ + y) * mode_.pitch +
                          uint64_t{column} * cell_width * scale_ * bytes;
        for (unsigned x = 0; x < cell_width * scale_; ++x, offset += bytes) {
            unsigned glyph_y = y / scale_, glyph_x = x / scale_;
            bool set =
                glyph_y < Glyph::rows && glyph_x < Glyph::columns && glyph.at(glyph_y, glyph_x);
            put(offset, set ? light_grey_ : 0);
        }
    }
}

}  // namespace doorbell::platform
