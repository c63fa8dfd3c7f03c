// A clock with planted prices, for an image that a test boots under emulation: every source of the
// image is compiled once more with this in front of it (-include), and nothing of them is changed.
// RDTSC becomes a marker, at which the plugin (clock_plugin.cpp) writes the clock into memory, and
// two loads from there. Neither those loads nor anything else of it is on that clock.
#pragma once

#ifdef __ASSEMBLER__
// clang-format off
        .include "tests/planted/planted_clock.inc"
// clang-format on
#else
asm(".include \"tests/planted/planted_clock.inc\"");
#endif
