// A clock with planted prices, for an image that a test boots under emulation: every source of the
// image is compiled once more with this in front of it (-include), and nothing of them is changed.
// RDTSC becomes a marker, at which the plugin (clock_plugin.cpp) writes the clock into memory, and
// two loads from there. Neither those loads nor anything else of it is on that clock.
#pragma once

#ifdef __ASSEMBLER__
        .macro  rdtsc
        .byte   0x0f, 0x1f, 0x80, 0x00, 0xc0, 0x10, 0x7c
        movl    planted_clock(%rip), %eax
        movl    4 + planted_clock(%rip), %edx
        .endm
#else
asm(R"(
        .macro  rdtsc
        .byte   0x0f, 0x1f, 0x80, 0x00, 0xc0, 0x10, 0x7c
        movl    planted_clock(%rip), %eax
        movl    4 + planted_clock(%rip), %edx
        .endm
)");
#endif
