#include "labs/image/screen.h"

#include "firmware/platform/frame_buffer.h"
#include "firmware/platform/text_screen.h"
#include "firmware/platform/vga_text.h"
#include "firmware/wire/text.h"
#include "labs/image/console.h"
#include "labs/image/emit.h"

namespace doorbell::labs {
namespace {

/// What the boot code has mapped.
constexpr uint64_t mapped_end = 1ull << 32;

constinit platform::TextScreen screen;
constinit platform::VgaText vga;
constinit platform::FrameBuffer pixels;

bool is_mapped(const cpu::PixelMemory& mode) {
    return mode.address < mapped_end && mode.bytes() <= mapped_end - mode.address;
}

void show_pixels(cpu::Mmio memory, const cpu::PixelMemory& mode) {
    auto up = platform::FrameBuffer::bring_up(memory, mode);
    if (!up) return say(up.error().what);
    pixels = *up;
    screen.show_on(pixels);
}

/// A line of at most so many characters.
struct Line : wire::Text {
    char buffer[400];
    Line() : Text(buffer) {}
};

}  // namespace

void open_screen(const cpu::PixelMemory& frame_buffer) {
    if (frame_buffer.known()) {
        if (is_mapped(frame_buffer)) show_pixels(cpu::Mmio(frame_buffer.address), frame_buffer);
        return;
    }
    auto up = platform::VgaText::bring_up(cpu::Mmio(platform::VgaText::memory));
    if (!up) return;
    vga = *up;
    screen.show_on(vga);
}

void open_high_screen(platform::Machine& machine, const cpu::PixelMemory& frame_buffer) {
    if (!frame_buffer.known() || is_mapped(frame_buffer)) return;
    auto memory = machine.map_registers(frame_buffer.address, frame_buffer.bytes());
    if (!memory) return say(memory.error().what);
    show_pixels(*memory, frame_buffer);
}

void show(std::string_view line) { screen.write_line(line); }

void show_instrument(const measure::Instrument& instrument) {
    Line line;
    line << "evidence: " << instrument.evidence
         << ", fit for: " << measure::name_of(instrument.verdict);
    if (instrument.because[0] != 0) line << " (" << instrument.because << ")";
    show(line.view());
}

void show_case(const Lab& lab, const Case& test_case) {
    Line line;
    line << lab.name << " " << test_case.text();
    show(line.view());
}

void show_outcome(Error reason) {
    Line line;
    line << (reason.lacking() ? "    skipped: " : "    failed: ");
    write_error(line, reason);
    show(line.view());
}

void show_claim(const Claim& claim, const ClaimVerdict& verdict) {
    Line line;
    line << (verdict.holds == ClaimVerdict::Holds::yes  ? "holds: "
             : verdict.holds == ClaimVerdict::Holds::no ? "does not hold: "
                                                        : "cannot say: ")
         << claim.text << " (" << verdict.because << ")";
    show(line.view());
}

void show_end(std::string_view status, uint64_t records, std::string_view console) {
    Line line;
    line << status << ": ";
    if (console == "none")
        line << "no serial port, so that the results went nowhere";
    else
        line << records << " records went to serial " << console;
    show(line.view());
}

}  // namespace doorbell::labs
