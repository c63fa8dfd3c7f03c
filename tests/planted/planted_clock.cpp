// What the plugin writes at every marker: the clock, where ring 3 may read it, too.
asm(R"(
        .pushsection .user_text, "ax"
        .balign 64
        .global planted_clock
planted_clock:
        .quad   0
        .balign 64
        .popsection
)");

// Prices are on the clock from the instrument's observation on (the linker puts this in front of
// measure::observe()): until then the image finds the TSC's rate with devices that do not know the
// prices.
asm(R"(
        .pushsection .text.planted, "ax"
        .global __wrap__ZN8doorbell7measure7observeERKNS_3cpu8FeaturesERKNS1_8TscClockEPNS0_9HistogramENS1_4MsrsE
__wrap__ZN8doorbell7measure7observeERKNS_3cpu8FeaturesERKNS1_8TscClockEPNS0_9HistogramENS1_4MsrsE:
        .byte   0x0f, 0x1f, 0x80, 0x40, 0xc0, 0x10, 0x7c
        jmp     __real__ZN8doorbell7measure7observeERKNS_3cpu8FeaturesERKNS1_8TscClockEPNS0_9HistogramENS1_4MsrsE
        .popsection
)");
