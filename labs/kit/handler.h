// The lines that the measured interrupt handlers share, as macros of the assembler: include it in
// front of the asm() that uses them. Image only.
//
// The first timestamp stands as early as it can: two registers must be saved for RDTSC.
#pragma once

asm(R"(
        # A timestamp into the 64 bits at `place`; destroys RAX and RDX.
        .macro  HANDLER_STAMP place
        lfence
        rdtsc
        movl    %eax, \place(%rip)
        movl    %edx, 4 + \place(%rip)
        .endm

        # A handler's beginning: RAX and RDX saved, then the timestamp by which the event is known.
        .macro  HANDLER_BEGIN name, place
        .balign 64
\name:
        pushq   %rax
        pushq   %rdx
        HANDLER_STAMP \place
        .endm

        # The end of the interrupt: a store to the xAPIC's register, whose address lies at `place`
        # (destroys RAX), or the x2APIC's MSR 80BH (destroys RAX, RCX, RDX).
        .macro  HANDLER_END_OF_INTERRUPT x2apic, place
        .if     \x2apic
        movl    $0x80B, %ecx
        xorl    %eax, %eax
        xorl    %edx, %edx
        wrmsr
        .else
        movq    \place(%rip), %rax
        movl    $0, (%rax)
        .endif
        .endm

        .macro  HANDLER_RETURN
        popq    %rdx
        popq    %rax
        iretq
        .endm
)");
