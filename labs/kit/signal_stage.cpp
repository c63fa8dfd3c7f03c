#include "labs/kit/signal_stage.h"

SignalsAlarm signals_alarm;

asm(R"(
        .pushsection .text.signals, "ax"
        .balign 64
        .global signals_raise
signals_raise:
        movq    136(%rdi), %rax         # the frame's RIP
        movq    %rax, signals_alarm + 16(%rip)
        movq    signals_alarm(%rip), %rdi
        movl    signals_alarm + 8(%rip), %esi
        jmp     kernel_raise
        .popsection
)");
