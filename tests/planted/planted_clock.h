// A clock with planted prices, for an image that a test boots under emulation: every source of the
// image is compiled again with this file in front of it (-include), and is otherwise unchanged.
// RDTSC becomes a marker, at which the plugin (clock_plugin.cpp) writes the clock into memory, and
// two loads from there. The clock counts neither the marker nor the loads.
#pragma once

#ifdef __ASSEMBLER__
// clang-format off
        .include "tests/planted/planted_clock.inc"
// clang-format on
#else
asm(".include \"tests/planted/planted_clock.inc\"");
#endif
