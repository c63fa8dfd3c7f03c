// The shapes of the printable ASCII characters, for screens that show pixels.
#pragma once
#include <cstdint>

namespace doorbell::platform {

/// 5 by 8 pixels; the last row is below the line.
struct Glyph {
    static constexpr unsigned columns = 5, rows = 8;
    uint8_t row[rows];  ///< bit 4 is the leftmost pixel

    bool at(unsigned y, unsigned x) const { return (row[y] >> (columns - 1 - x) & 1) != 0; }
};

/// The glyph of a character; of '?' where it is not printable ASCII.
const Glyph& glyph_of(char c);

}  // namespace doorbell::platform
