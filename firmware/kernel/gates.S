// The border between ring 3 and ring 0: system calls in, preemption, and the ways back out.
//
// SDM vol. 3A: "Fast System Calls in 64-Bit Mode" (SYSCALL, SYSRET, IA32_STAR, IA32_LSTAR, IA32_FMASK), "Stack
// Switching in IA-32e Mode" (RSP0). Interrupts are off in all of this. RSP0 points to the end of the running
// task's frame, so what the processor pushes is already where it belongs.
//
// A system call is to its caller what a function call is: arguments in RDI, RSI, RDX, result in RAX, and the
// caller-saved registers are gone (cleared, so that nothing of the kernel's leaks).

#include "firmware/cpu/frame.inc"
#include "firmware/kernel/layout.h"

#define STATE(field) kernel_state + field(%rip)
#define RSP0 cpu_task_state + TSS_RSP0

        .section .text.kernel, "ax"

        // Extended state of the task in %rdi; destroys rax, rcx, rdx. Every component that XCR0 enables.
        .macro  EXTENDED operation
        movq    TASK_EXTENDED(%rdi), %rcx
        movl    $-1, %eax
        movl    %eax, %edx
        \operation (%rcx)
        .endm

        // The task goes on with its whole frame; destroys `scratch`.
        .macro  RESUME_WHOLE task, scratch
        movq    STATE(STATE_RESUME_ALL), \scratch
        movq    \scratch, TASK_RESUME(\task)
        .endm

        // Sets (btsl) or clears (btrl) the signal in %esi among those pending at the task in %rdi, which
        // `pending` has then.
        .macro  CHANGE_PENDING change, pending
        movl    TASK_PENDING(%rdi), \pending
        \change  %esi, \pending
        movl    \pending, TASK_PENDING(%rdi)
        .endm

        // Gives the processor to the task in %rdi.
        .macro  ENTER_TASK
        movq    %rdi, STATE(STATE_CURRENT)
        leaq    TASK_FRAME_END(%rdi), %rax
        movq    %rax, RSP0(%rip)
        movq    TASK_SPACE(%rdi), %rax
        cmpq    %rax, STATE(STATE_LOADED_SPACE)
        je      1f
        movq    %rax, STATE(STATE_LOADED_SPACE)
        movq    %rax, %cr3
1:      jmp     *TASK_RESUME(%rdi)
        .endm

// ---- System calls -------------------------------------------------------------------------------------------

        // All of RAX is the number: what is compared is what indexes the table.
        .macro  FAST_BEGIN
        cmpq    $FAST_CALLS, %rax
        jae     syscall_slow
        movq    %rsp, STATE(STATE_USER_RSP)
        .endm

        .macro  CALL_FAST
        pushq   %rcx
        pushq   %r11
        call    *kernel_fast_calls(, %rax, 8)
        popq    %r11
        popq    %rcx
        .endm

        .macro  CLEAR_CALLER_SAVED
        xorl    %edi, %edi
        xorl    %esi, %esi
        xorl    %edx, %edx
        xorl    %r8d, %r8d
        xorl    %r9d, %r9d
        xorl    %r10d, %r10d
        .endm

        .macro  FAST_RETURN
        movq    STATE(STATE_USER_RSP), %rsp
        CLEAR_CALLER_SAVED
        sysretq
        .endm

        .macro  INT_BEGIN
        cmpq    $FAST_CALLS, %rax
        jae     kernel_call_by_int
        cld                             // an interrupt gate leaves DF as ring 3 had it
        .endm

        .macro  INT_RETURN
        movq    STATE(STATE_CURRENT), %rsp
        addq    $FRAME_RIP, %rsp
        CLEAR_CALLER_SAVED
        xorl    %ecx, %ecx
        xorl    %r11d, %r11d
        iretq
        .endm

        // A kernel that lives in an address space of its own changes CR3 on both ways.
        .macro  LOAD_SPACE field
        movq    STATE(\field), %rsp
        movq    %rsp, %cr3
        .endm

        // SYSCALL: RCX = return address, R11 = RFLAGS, the stack still the task's.
        .balign 64
        .global kernel_syscall_entry
kernel_syscall_entry:
        FAST_BEGIN
        movq    STATE(STATE_STACK), %rsp
        CALL_FAST
        FAST_RETURN

        .balign 64
        .global kernel_syscall_entry_apart
kernel_syscall_entry_apart:
        FAST_BEGIN
        LOAD_SPACE STATE_KERNEL_SPACE
        movq    STATE(STATE_STACK), %rsp
        CALL_FAST
        LOAD_SPACE STATE_LOADED_SPACE
        FAST_RETURN

        .balign 16
syscall_slow:
        cmpq    $ALL_CALLS, %rax
        jae     kernel_call_by_syscall
        jmp     *kernel_slow_calls - 8 * FAST_CALLS(, %rax, 8)

        // INT 0x80: the processor has pushed RIP, CS, RFLAGS, RSP and SS into the task's frame.
        .balign 64
        .global kernel_int_entry
kernel_int_entry:
        INT_BEGIN
        movq    STATE(STATE_STACK), %rsp
        call    *kernel_fast_calls(, %rax, 8)
        INT_RETURN

        .balign 64
        .global kernel_int_entry_apart
kernel_int_entry_apart:
        INT_BEGIN
        LOAD_SPACE STATE_KERNEL_SPACE
        movq    STATE(STATE_STACK), %rsp
        call    *kernel_fast_calls(, %rax, 8)
        LOAD_SPACE STATE_LOADED_SPACE
        INT_RETURN

        // Everything else: the whole frame is saved and C++ decides who runs next.
        .balign 16
        .global kernel_call_by_syscall
kernel_call_by_syscall:
        movq    %rsp, STATE(STATE_USER_RSP)
        movq    STATE(STATE_CURRENT), %rsp
        addq    $TASK_FRAME_END, %rsp
        pushq   $USER_DATA
        pushq   STATE(STATE_USER_RSP)
        pushq   %r11
        pushq   $USER_CODE
        pushq   %rcx
kernel_call_by_int:
        pushq   $0
        pushq   $SYSTEM_CALL_VECTOR
        PUSH_REGISTERS
        movq    STATE(STATE_STACK), %rsp
        movq    STATE(STATE_CURRENT), %rdi
        cld
        call    kernel_call             // returns the task that runs next

        // %rax: who runs next. The task that was running has its frame saved whole.
        .global kernel_go_on
kernel_go_on:
        cmpq    %rax, STATE(STATE_CURRENT)
        jne     2f
        movq    %rax, %rsp
        POP_REGISTERS_AND_RETURN
2:      incq    STATE(STATE_SWITCHES)
        jmp     *STATE(STATE_CHANGE)

        // void kernel_leave_trap(Task* next): the same out of a C++ handler of an exception.
        .global kernel_leave_trap
kernel_leave_trap:
        movq    %rdi, %rax
        movq    STATE(STATE_STACK), %rsp
        jmp     kernel_go_on

        .global kernel_change_registers, kernel_change_full
kernel_change_registers:
        movq    %rax, %rdi
        ENTER_TASK
kernel_change_full:
        movq    %rax, %rsi
        movq    STATE(STATE_CURRENT), %rdi
        EXTENDED xsave64
        movq    %rsi, %rdi
        ENTER_TASK

        // A fast call that does nothing.
        .balign 16
        .global kernel_null_call
kernel_null_call:
        xorl    %eax, %eax
        ret

// ---- Yield: the task gives the processor away; only what a function would preserve is saved ------------------

        .macro  YIELD name, resume, full
        .balign 64
        .global \name, \resume
\name:
        movq    STATE(STATE_CURRENT), %rdi
        movq    %rsp, FRAME_RSP(%rdi)
        movq    %rcx, FRAME_RIP(%rdi)
        movq    %r11, FRAME_RFLAGS(%rdi)
        movq    %rbx, FRAME_RBX(%rdi)
        movq    %rbp, FRAME_RBP(%rdi)
        movq    %r12, FRAME_R12(%rdi)
        movq    %r13, FRAME_R13(%rdi)
        movq    %r14, FRAME_R14(%rdi)
        movq    %r15, FRAME_R15(%rdi)
        movq    $0, FRAME_RAX(%rdi)
        movq    $\resume, TASK_RESUME(%rdi)
        .if     \full
        EXTENDED xsave64
        .endif
        incq    STATE(STATE_SWITCHES)
        movq    TASK_NEXT(%rdi), %rdi
        ENTER_TASK
        .balign 64
\resume:
        .if     \full
        EXTENDED xrstor64
        .endif
        movq    FRAME_RSP(%rdi), %rsp
        movq    FRAME_RIP(%rdi), %rcx
        movq    FRAME_RFLAGS(%rdi), %r11
        movq    FRAME_RBX(%rdi), %rbx
        movq    FRAME_RBP(%rdi), %rbp
        movq    FRAME_R12(%rdi), %r12
        movq    FRAME_R13(%rdi), %r13
        movq    FRAME_R14(%rdi), %r14
        movq    FRAME_R15(%rdi), %r15
        movq    FRAME_RAX(%rdi), %rax
        CLEAR_CALLER_SAVED
        sysretq
        .endm
        YIELD   kernel_yield_registers, kernel_resume_call_registers, 0
        YIELD   kernel_yield_full, kernel_resume_call_full, 1

// ---- Exit: a task ends itself, and others are ready ----------------------------------------------------------

        .balign 16
        .global kernel_exit_call
kernel_exit_call:
        movq    STATE(STATE_SCHEDULER), %r10
        cmpq    $1, SCHEDULER_READY(%r10)
        jbe     kernel_call_by_syscall  // the last one: C++ knows whether the kernel is left
        movq    STATE(STATE_CURRENT), %r8
        movq    %rdi, TASK_EXIT_VALUE(%r8)
        movb    $TASK_STATE_ENDED, TASK_STATE(%r8)
        movb    $0, TASK_ENDED_BY(%r8)
        // Scheduler::remove()
        decq    SCHEDULER_READY(%r10)
        movq    TASK_NEXT(%r8), %rax
        movq    TASK_PREVIOUS(%r8), %r9
        movq    %rax, TASK_NEXT(%r9)
        movq    %r9, TASK_PREVIOUS(%rax)
        cmpq    %r8, SCHEDULER_FIRST(%r10)
        jne     1f
        movq    %rax, SCHEDULER_FIRST(%r10)
1:      movq    $0, TASK_NEXT(%r8)
        movq    $0, TASK_PREVIOUS(%r8)
        jmp     kernel_go_on

// ---- Ways back into a task whose frame is whole --------------------------------------------------------------

        .balign 64
        .global kernel_resume_all_registers, kernel_resume_all_full
kernel_resume_all_registers:
        movq    %rdi, %rsp
        POP_REGISTERS_AND_RETURN
        .balign 64
kernel_resume_all_full:
        EXTENDED xrstor64
        movq    %rdi, %rsp
        POP_REGISTERS_AND_RETURN

        // A task that a signal was raised for while it did not run.
        .balign 16
        .global kernel_resume_signal
kernel_resume_signal:
        movq    STATE(STATE_STACK), %rsp
        call    kernel_deliver          // of the task in %rdi; returns the task that runs next
        movq    %rax, %rdi
        ENTER_TASK

// ---- Signals: the usual way of one to its handler -------------------------------------------------------------

        // Task* kernel_raise(Task* target, uint8_t signal): Kernel::raise(), which has the rules. This is the way of a
        // signal that a handler waits for; every other goes there.
        .balign 16
        .global kernel_raise
kernel_raise:
        movq    STATE(STATE_CURRENT), %rax
        movzbl  %sil, %esi
        cmpb    $TASK_STATE_ENDED, TASK_STATE(%rdi)
        je      kernel_raise_other
        cmpq    $1, TASK_HANDLERS(%rdi, %rsi, 8)
        jbe     kernel_raise_other
        movq    STATE(STATE_SCHEDULER), %r10
        cmpq    %rax, SCHEDULER_IDLE(%r10)
        je      kernel_raise_other
        RESUME_WHOLE %rax, %rcx
        CHANGE_PENDING btsl, %ecx
        movl    TASK_MASKED(%rdi), %edx
        notl    %edx
        testl   %ecx, %edx
        jz      2f
        cmpq    %rax, %rdi
        je      kernel_deliver
        cmpb    $TASK_STATE_BLOCKED, TASK_STATE(%rdi)
        jne     1f
        // Scheduler::add(): in front of the one that runs.
        movb    $TASK_STATE_READY, TASK_STATE(%rdi)
        movq    TASK_PREVIOUS(%rax), %rdx
        movq    %rax, TASK_NEXT(%rdi)
        movq    %rdx, TASK_PREVIOUS(%rdi)
        movq    %rdi, TASK_NEXT(%rdx)
        movq    %rdi, TASK_PREVIOUS(%rax)
        incq    SCHEDULER_READY(%r10)
1:      movq    $kernel_resume_signal, TASK_RESUME(%rdi)
        movq    %rdi, %rax
2:      ret

        // Task* kernel_deliver(Task* task): Kernel::deliver(), likewise; push_signal() says what is written where.
        .balign 16
        .global kernel_deliver
kernel_deliver:
        movl    TASK_MASKED(%rdi), %eax
        notl    %eax
        andl    TASK_PENDING(%rdi), %eax
        bsfl    %eax, %esi
        jz      kernel_deliver_other
        btrl    %esi, %eax
        testl   %eax, %eax
        jnz     kernel_deliver_other    // more than one
        cmpl    $SIGKILL_NUMBER, %esi
        je      kernel_deliver_other
        movq    TASK_HANDLERS(%rdi, %rsi, 8), %rcx
        cmpq    $1, %rcx
        jbe     kernel_deliver_other
        movq    FRAME_RSP(%rdi), %rdx
        subq    $SIGNAL_FRAME_BYTES, %rdx
        andq    $-16, %rdx
        subq    $8, %rdx
        // UserMemory::on_stack()
        movq    TASK_SPACE_OBJECT(%rdi), %r8
        movq    %rdx, %r9
        subq    SPACE_USER(%r8), %r9
        movq    SPACE_BYTES(%r8), %r10
        subq    %r9, %r10
        jbe     kernel_deliver_other
        cmpq    $SIGNAL_FRAME_BYTES, %r10
        jb      kernel_deliver_other
        cmpb    $0, SPACE_WRITABLE(%r8)
        je      kernel_deliver_other
        addq    SPACE_KERNEL(%r8), %r9
        RESUME_WHOLE %rdi, %rax
        CHANGE_PENDING btrl, %eax
        movl    TASK_MASKED(%rdi), %eax
        movq    %rax, SIGNAL_FRAME_MASK(%r9)
        btsl    %esi, %eax
        movl    %eax, TASK_MASKED(%rdi)
        movq    TASK_SIGNAL_RETURN(%rdi), %rax
        movq    %rax, (%r9)
        movq    %rsi, SIGNAL_FRAME_SIGNAL(%r9)
        .irp    offset, 0, 8, 16, 24, 32, 40, 48, 56, 64, 72, 80, 88, 96, 104, 112, FRAME_RIP, FRAME_RFLAGS, FRAME_RSP
        movq    \offset(%rdi), %rax
        movq    %rax, SIGNAL_FRAME_INTERRUPTED + \offset(%r9)
        .endr
        movq    %rcx, FRAME_RIP(%rdi)
        movq    %rdx, FRAME_RSP(%rdi)
        movq    %rsi, FRAME_RDI(%rdi)
        addq    $SIGNAL_FRAME_INTERRUPTED, %rdx
        movq    %rdx, FRAME_RSI(%rdi)
        movq    $USER_FLAGS, FRAME_RFLAGS(%rdi)
        movq    %rdi, %rax
        ret

// ---- Interrupts of the timer ---------------------------------------------------------------------------------

        .macro  END_OF_INTERRUPT x2
        .if     \x2
        movl    $X2APIC_END_OF_INTERRUPT, %ecx
        xorl    %eax, %eax
        xorl    %edx, %edx
        wrmsr
        .else
        movq    STATE(STATE_END_OF_INTERRUPT), %rax
        movl    $0, (%rax)
        .endif
        .endm

        // The end of a time slice. After the last one that run() was given, the kernel is left.
        .macro  TICK name, full, x2
        .balign 64
        .global \name
\name:
        subq    $16, %rsp               // vector and error code: nobody reads a tick's
        PUSH_REGISTERS
        END_OF_INTERRUPT \x2
        movq    STATE(STATE_CURRENT), %rdi
        cmpq    $USER_CODE, FRAME_CS(%rdi)
        jne     no_task_of_ours
        .if     \full
        EXTENDED xsave64
        movq    $kernel_resume_all_full, TASK_RESUME(%rdi)
        .else
        movq    $kernel_resume_all_registers, TASK_RESUME(%rdi)
        .endif
        decq    STATE(STATE_TICKS_LEFT) // which counts the switches, too: see Kernel::run()
        jz      out_of_time
        movq    TASK_NEXT(%rdi), %rdi
        ENTER_TASK
        .endm
        TICK    kernel_tick_registers_xapic, 0, 0
        TICK    kernel_tick_registers_x2apic, 0, 1
        TICK    kernel_tick_full_xapic, 1, 0
        TICK    kernel_tick_full_x2apic, 1, 1
out_of_time:
        movl    $LEFT_OUT_OF_TIME, %edi
        jmp     kernel_leave

        // The tick came in a mode that the task should not have reached (see Task::returns_to_ring3): with a CS like
        // this one, IRETQ could return to ring 0.
no_task_of_ours:
        movq    STATE(STATE_STACK), %rsp
        cld
        call    kernel_end_lost         // of the task in %rdi; returns the task that runs next
        jmp     kernel_go_on

        // A timer interrupt that C++ handles: kernel_alarm() returns the task that runs next.
        .macro  ALARM name, x2
        .balign 64
        .global \name
\name:
        subq    $16, %rsp
        PUSH_REGISTERS
        END_OF_INTERRUPT \x2
        movq    STATE(STATE_CURRENT), %rdi
        cmpq    $USER_CODE, FRAME_CS(%rdi)
        jne     no_task_of_ours
        movq    STATE(STATE_STACK), %rsp
        cld
        call    *kernel_alarm(%rip)
        jmp     kernel_go_on
        .endm
        ALARM   kernel_alarm_xapic, 0
        ALARM   kernel_alarm_x2apic, 1

// ---- In from the lab and out again ---------------------------------------------------------------------------

        // uint64_t kernel_enter(Task* first, uint64_t timer, uint64_t count): returns what kernel_leave() is given.
        // `timer`, where it is not 0, is the address of the timer's initial count, which is stored last of all.
        .global kernel_enter
kernel_enter:
        pushq   %rbp
        pushq   %rbx
        pushq   %r12
        pushq   %r13
        pushq   %r14
        pushq   %r15
        subq    $8, %rsp
        movq    %rsp, STATE(STATE_STACK)
        movq    %rsp, cpu_ring3_stack(%rip)
        testq   %rsi, %rsi
        jz      3f
        movl    %edx, (%rsi)
3:      ENTER_TASK

        // void kernel_leave(uint64_t why)
        .global kernel_leave
kernel_leave:
        movq    %rdi, %rax
        movq    STATE(STATE_STACK), %rsp
        addq    $8, %rsp
        // Out of an interrupt gate DF and AC are still the task's: strings run backwards and SMAP is off.
        pushq   $KERNEL_FLAGS
        popfq
        popq    %r15
        popq    %r14
        popq    %r13
        popq    %r12
        popq    %rbx
        popq    %rbp
        ret

// ---- Ring 3 --------------------------------------------------------------------------------------------------

        .section .user_text, "ax"
        // Where a signal's handler returns to, where a task's first function returns to, and what runs when
        // nobody else can.
        .global kernel_user_signal_return, kernel_user_exit, kernel_user_idle
kernel_user_signal_return:
        movl    $CALL_SIGNAL_RETURN, %eax
        syscall
kernel_user_exit:
        movq    %rax, %rdi
        movl    $CALL_EXIT, %eax
        syscall
kernel_user_idle:
        jmp     kernel_user_idle

        .section .note.GNU-stack, "", @progbits
