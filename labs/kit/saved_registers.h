// The registers that a function of the assembler saves, as macros: include it in front of the asm()
// that uses them. Image only.
//
// System V ABI for AMD64, "Registers and the Stack Frame": a function keeps RBX, RBP and R12 to R15
// for its caller; a call destroys RAX, RCX, RDX, RSI, RDI and R8 to R11.
#pragma once

asm(R"(
        .macro  PUSH_RBX_R12_TO_R15
        pushq   %rbx
        pushq   %r12
        pushq   %r13
        pushq   %r14
        pushq   %r15
        .endm

        .macro  RETURN_RBX_R12_TO_R15
        popq    %r15
        popq    %r14
        popq    %r13
        popq    %r12
        popq    %rbx
        ret
        .endm

        # What a call destroys, but for RAX and RDX.
        .macro  PUSH_CALLER_SAVED
        pushq   %rcx
        pushq   %rsi
        pushq   %rdi
        pushq   %r8
        pushq   %r9
        pushq   %r10
        pushq   %r11
        .endm

        .macro  POP_CALLER_SAVED
        popq    %r11
        popq    %r10
        popq    %r9
        popq    %r8
        popq    %rdi
        popq    %rsi
        popq    %rcx
        .endm
)");
