// The common way into an interrupt or exception: 256 stubs that make the stack look alike whether or not the
// processor pushed an error code, one routine that saves every register and calls the vector's handler.
// SDM vol. 3A, "64-Bit Mode Stack Frame". The layout is cpu::Frame.

#include "firmware/cpu/frame.inc"

        .section .text.interrupts, "ax"
        .balign 16
        .global interrupt_stubs
interrupt_stubs:
        .set    vector, 0
        .rept   256
        .balign 16
        // Exceptions with an error code: #DF 8, #TS 10, #NP 11, #SS 12, #GP 13, #PF 14, #AC 17, #CP 21, #VC 29, #SX 30.
        .if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30)
        pushq   $0
        .endif
        pushq   $vector
        jmp     interrupt_common
        .set    vector, vector + 1
        .endr

interrupt_common:
        PUSH_REGISTERS
        cld
        movq    %rsp, %rdi
        movq    15*8(%rsp), %rax        // vector
        movq    %rsp, %rbx              // survives the call
        // Out of ring 3 the stack is the end of a task's frame, with room for no more than this one: the handler gets
        // the kernel's own. The saved CS does not tell: in virtual-8086 mode it is any number, 8 too. The stack does:
        // all of the kernel's lie inside the image, which the tasks' memory stands behind.
        cmpq    $image_end, %rsp
        cmovaeq cpu_ring3_stack(%rip), %rsp
        andq    $-16, %rsp
        call    *interrupt_handlers(, %rax, 8)
        movq    %rbx, %rsp
        .global interrupt_return
interrupt_return:
        POP_REGISTERS_AND_RETURN

        .section .rodata.interrupts, "a"
        .balign 8
        .global interrupt_stub_size
interrupt_stub_size:
        .quad 16

        .section .bss.interrupts, "aw", @nobits
        .balign 8
        .global cpu_ring3_stack
cpu_ring3_stack:
        .skip   8

        .section .note.GNU-stack, "", @progbits
