// The screen, for the person in front of the machine: what the serial line has for people, and
// where the run is.
#pragma once
#include <string_view>

#include "firmware/cpu/pixel_memory.h"
#include "firmware/measure/instrument.h"
#include "firmware/platform/machine.h"
#include "labs/kit/lab.h"

namespace doorbell::labs {

/// Shows lines on the boot loader's frame buffer, or on the display adapter's text screen where the
/// loader has none. A frame buffer above 4 GiB must be mapped first: the lines until then are kept.
void open_screen(const cpu::PixelMemory& frame_buffer);
/// Once the machine is up: a frame buffer above 4 GiB.
void open_high_screen(platform::Machine& machine, const cpu::PixelMemory& frame_buffer);

/// Adds a line to the screen, on this alone.
void show(std::string_view line);

/// One line each, of the same run as the records say.
void show_instrument(const measure::Instrument& instrument);
void show_case(const Lab& lab, const Case& test_case);
/// A case that is not simply done.
void show_outcome(Error reason);
void show_claim(const Claim& claim, const ClaimVerdict& verdict);
/// How the run ended, and where its records went.
void show_end(std::string_view status, uint64_t records, std::string_view console);

}  // namespace doorbell::labs
