// Reads the text off a picture of the image's screen.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "firmware/platform/frame_buffer.h"
#include "firmware/platform/glyphs.h"

namespace doorbell::test {

/// The rows of text on a screen of `columns` by `rows` characters, without the blanks behind them.
/// `is_lit(x, y)` is a pixel of the picture; a cell that shows no character of the font reads as
/// '\x7f'.
inline std::vector<std::string> read_off(unsigned columns, unsigned rows, unsigned scale,
                                         const std::function<bool(unsigned, unsigned)>& is_lit) {
    using platform::FrameBuffer, platform::Glyph;
    auto shows = [&](char c, unsigned left, unsigned top) {
        for (unsigned y = 0; y < FrameBuffer::cell_height * scale; ++y)
            for (unsigned x = 0; x < FrameBuffer::cell_width * scale; ++x) {
                unsigned gy = y / scale, gx = x / scale;
                bool set =
                    gy < Glyph::rows && gx < Glyph::columns && platform::glyph_of(c).at(gy, gx);
                if (is_lit(left + x, top + y) != set) return false;
            }
        return true;
    };
    std::vector<std::string> all(rows);
    for (unsigned row = 0; row < rows; ++row) {
        for (unsigned column = 0; column < columns; ++column) {
            char c = ' ';
            while (c != '\x7f' && !shows(c, column * FrameBuffer::cell_width * scale,
                                         row * FrameBuffer::cell_height * scale))
                ++c;
            all[row] += c;
        }
        all[row].resize(all[row].find_last_not_of(' ') + 1);
    }
    return all;
}

}  // namespace doorbell::test
