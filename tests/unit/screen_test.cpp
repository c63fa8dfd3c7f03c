// Lines on a grid of characters, and the displays that show it.
#include "firmware/platform/frame_buffer.h"
#include "firmware/platform/text_screen.h"
#include "firmware/platform/vga_text.h"
#include "tests/pixels.h"
#include "tests/unit/fakes.h"

namespace doorbell::test {
namespace {

using cpu::PixelMemory;
using platform::FrameBuffer;
using platform::TextScreen;
using Rows = std::vector<std::string>;

/// A display that keeps what is drawn, and counts it.
struct Grid {
    unsigned width, height;
    mutable Rows cells = Rows(height, std::string(width, '#'));
    mutable unsigned drawn = 0;

    unsigned columns() const { return width; }
    unsigned rows() const { return height; }
    void draw(unsigned row, unsigned column, char c) const {
        cells.at(row).at(column) = c;
        ++drawn;
    }
    std::string row(unsigned n) const {
        return cells[n].substr(0, cells[n].find_last_not_of(' ') + 1);
    }
};

TEST(TextScreen, ShowsTheLastLines) {
    Grid grid{20, 3};
    TextScreen screen;
    screen.show_on(grid);
    EXPECT_EQ(grid.row(2), "") << "nothing of before is left";
    for (const char* line : {"one", "two", "three", "four"}) screen.write_line(line);
    EXPECT_EQ(grid.row(0), "two");
    EXPECT_EQ(grid.row(2), "four");
}

TEST(TextScreen, ALongLineGoesOnFromABlank) {
    Grid grid{10, 6};
    TextScreen screen;
    screen.show_on(grid);
    screen.write_line("a line that is long");
    screen.write_line("0123456789abcdef");
    Rows expected = {"a line", "that is", "long", "0123456789", "abcdef", ""};
    for (unsigned n = 0; n < 6; ++n) EXPECT_EQ(grid.row(n), expected[n]);
    screen.write_line("a\x1b[31m");
    EXPECT_EQ(grid.row(5), "a?[31m") << "nothing that a terminal would obey";
}

TEST(TextScreen, LinesOfBeforeThereIsADisplayAreShownOnIt) {
    TextScreen screen;
    EXPECT_FALSE(screen.is_shown());
    for (int i = 0; i < 30; ++i) screen.write_line("line " + std::to_string(i));
    Grid small{40, 10}, large{120, 60};
    screen.show_on(small);
    EXPECT_TRUE(screen.is_shown());
    EXPECT_EQ(small.row(0), "line 20");
    EXPECT_EQ(small.row(9), "line 29");
    screen.show_on(large);
    EXPECT_EQ(large.row(9), "line 29");
    screen.write_line("next");
    EXPECT_EQ(large.row(10), "next");
    EXPECT_EQ(small.row(9), "line 29") << "the old display is left alone";
}

TEST(TextScreen, DrawsOnlyCharactersThatChange) {
    Grid grid{40, 4};
    TextScreen screen;
    screen.show_on(grid);
    for (int i = 0; i < 4; ++i) screen.write_line("the same line");
    grid.drawn = 0;
    screen.write_line("the same lime");
    EXPECT_EQ(grid.drawn, 1u);
}

/// 80 by 25 characters and their attributes.
struct TextMemory final : FakeDevice {
    std::map<uint64_t, uint16_t> cells;
    bool there = true;
    uint64_t on_read(uint64_t a, unsigned bytes) override {
        EXPECT_EQ(bytes, 2u);
        return there ? cells[a] : 0xFFFF;
    }
    void on_write(uint64_t a, unsigned bytes, uint64_t v) override {
        EXPECT_EQ(bytes, 2u);
        EXPECT_LT(a, 4000u);
        cells[a] = static_cast<uint16_t>(v);
    }
};

TEST(VgaText, ShowsCharactersInLightGreyWhereThereIsMemory) {
    TextMemory memory;
    auto vga = platform::VgaText::bring_up(cpu::Mmio(memory, 0));
    ASSERT_TRUE(vga);
    TextScreen screen;
    screen.show_on(*vga);
    screen.write_line("ab");
    EXPECT_EQ(memory.cells[0], 0x0700 | 'a');
    EXPECT_EQ(memory.cells[2], 0x0700 | 'b');
    EXPECT_EQ(memory.cells[3998], 0x0700 | ' ');
    memory.there = false;
    EXPECT_FALSE(platform::VgaText::bring_up(cpu::Mmio(memory, 0)));
}

struct PixelBytes final : cpu::FakeSpace {
    std::vector<uint8_t> bytes;
    uint64_t read(uint64_t, unsigned) override {
        ADD_FAILURE() << "the frame buffer is slow to read";
        return 0;
    }
    void write(uint64_t a, unsigned n, uint64_t v) override {
        ASSERT_LE(a + n, bytes.size()) << "beyond the last pixel";
        for (unsigned i = 0; i < n; ++i) bytes[a + i] = static_cast<uint8_t>(v >> 8 * i);
    }
};

struct Mode {
    const char* name;
    uint32_t width, height;
    uint8_t bits;
    uint32_t scale, lit;  ///< a pixel in light grey
};

class Pixels : public testing::TestWithParam<Mode> {
  protected:
    PixelMemory mode() const {
        const Mode& m = GetParam();
        uint32_t pitch = m.width * (m.bits / 8) + 16;
        if (m.bits == 16) return {0x1000, pitch, m.width, m.height, 16, {11, 5}, {5, 6}, {0, 5}};
        return {0x1000, pitch, m.width, m.height, m.bits, {16, 8}, {8, 8}, {0, 8}};
    }
};

TEST_P(Pixels, ShowEveryCharacterWhereItBelongs) {
    PixelMemory m = mode();
    PixelBytes memory;
    memory.bytes.assign(m.bytes(), 0xFF);
    auto up = FrameBuffer::bring_up(cpu::Mmio(memory, 0), m);
    ASSERT_TRUE(up);
    EXPECT_EQ(up->scale(), GetParam().scale);
    TextScreen screen;
    screen.show_on(*up);
    std::string all;
    for (char c = ' '; c <= '~'; ++c) all += c;
    for (unsigned n = 0; n < up->rows(); ++n) screen.write_line("row " + std::to_string(n));
    screen.write_line(all.substr(0, 60));
    screen.write_line(all.substr(60));
    unsigned bytes = m.pixel_bits / 8u;
    Rows rows = read_off(up->columns(), up->rows(), up->scale(), [&](unsigned x, unsigned y) {
        uint32_t pixel = 0;
        for (unsigned i = 0; i < bytes; ++i)
            pixel |= uint32_t{memory.bytes[uint64_t{y} * m.pitch + x * bytes + i]} << 8 * i;
        EXPECT_TRUE(pixel == 0 || pixel == GetParam().lit) << std::hex << pixel;
        return pixel != 0;
    });
    EXPECT_EQ(rows[0], "row 2");
    EXPECT_EQ(rows[up->rows() - 2], all.substr(0, 60));
    EXPECT_EQ(rows[up->rows() - 1], all.substr(60));
    EXPECT_GE(up->columns(), 80u);
    EXPECT_LE(up->columns(), TextScreen::most_columns);
    EXPECT_GE(up->rows(), 25u);
}

INSTANTIATE_TEST_SUITE_P(Of, Pixels,
                         testing::Values(Mode{"Vga", 640, 480, 32, 1, 0xAAAAAA},
                                         Mode{"Svga", 800, 600, 24, 1, 0xAAAAAA},
                                         Mode{"HighColour", 1024, 768, 16, 2, 0xA554},
                                         Mode{"FullHd", 1920, 1080, 32, 3, 0xAAAAAA},
                                         Mode{"FourK", 3840, 2160, 32, 6, 0xAAAAAA}),
                         [](const auto& info) { return info.param.name; });

TEST(FrameBuffer, AFormThatItCannotShowIsRefused) {
    PixelBytes memory;
    memory.bytes.resize(640 * 480 * 4);
    const PixelMemory good{0x1000, 2560, 640, 480, 32, {16, 8}, {8, 8}, {0, 8}};
    auto what_of = [&](auto change) {
        PixelMemory m = good;
        change(m);
        auto up = FrameBuffer::bring_up(cpu::Mmio(memory, 0), m);
        return up ? std::string() : std::string(up.error().what);
    };
    EXPECT_EQ(what_of([](PixelMemory&) {}), "");
    EXPECT_NE(what_of([](PixelMemory& m) { m.pixel_bits = 8; }), "");
    EXPECT_NE(what_of([](PixelMemory& m) { m.red = {28, 8}; }), "") << "beyond the pixel";
    EXPECT_NE(what_of([](PixelMemory& m) { m.red = {0, 32}; }), "");
    EXPECT_NE(what_of([](PixelMemory& m) { m.pitch = 2559; }), "") << "rows overlap";
    EXPECT_NE(what_of([](PixelMemory& m) { m.width = 5; }), "") << "no room for a character";
    EXPECT_NE(what_of([](PixelMemory& m) { m.height = 9; }), "");
    EXPECT_NE(what_of([](PixelMemory& m) { m.width = 1u << 31; }), "") << "no overflow";
}

}  // namespace
}  // namespace doorbell::test
