// Numbers that assembly and C++ share: gates.S takes all of its from here, and C++ asserts that
// each is what its own declarations say (task.h: Task, Frame and SignalFrame; kernel.cpp: the
// rest).
#pragma once

// Task
#define TASK_FRAME_END 176
#define TASK_NEXT 176
#define TASK_PREVIOUS 184
#define TASK_RESUME 192
#define TASK_SPACE 200
#define TASK_EXTENDED 208
#define TASK_PENDING 216
#define TASK_MASKED 220
#define TASK_HANDLERS 224
#define TASK_SIGNAL_RETURN 488
#define TASK_SPACE_OBJECT 496
#define TASK_STATE 512
#define TASK_ENDED_BY 513
#define TASK_EXIT_VALUE 536
#define TASK_STATE_READY 0
#define TASK_STATE_BLOCKED 1
#define TASK_STATE_ENDED 2

// cpu::Frame, at the beginning of a Task
#define FRAME_R15 0
#define FRAME_R14 8
#define FRAME_R13 16
#define FRAME_R12 24
#define FRAME_RBP 64
#define FRAME_RDI 72
#define FRAME_RSI 80
#define FRAME_RBX 104
#define FRAME_RAX 112
#define FRAME_RIP 136
#define FRAME_CS 144
#define FRAME_RFLAGS 152
#define FRAME_RSP 160

// State
#define STATE_CURRENT 0
#define STATE_STACK 8
#define STATE_USER_RSP 16
#define STATE_LOADED_SPACE 24
#define STATE_TICKS_LEFT 32
#define STATE_SWITCHES 40
#define STATE_END_OF_INTERRUPT 48
#define STATE_KERNEL_SPACE 56
#define STATE_CHANGE 64
#define STATE_RESUME_ALL 72
#define STATE_SCHEDULER 80

// Scheduler
#define SCHEDULER_FIRST 0
#define SCHEDULER_IDLE 8
#define SCHEDULER_READY 16

// Space: its memory, and the fields of the first stretch there (UserMemory::Stretch)
#define SPACE_MEMORY 32
#define SPACE_USER SPACE_MEMORY
#define SPACE_BYTES (SPACE_MEMORY + 8)
#define SPACE_KERNEL (SPACE_MEMORY + 16)
#define SPACE_WRITABLE (SPACE_MEMORY + 24)

// SignalFrame
#define SIGNAL_FRAME_BYTES 200
#define SIGNAL_FRAME_SIGNAL 8
#define SIGNAL_FRAME_MASK 16
#define SIGNAL_FRAME_INTERRUPTED 24
#define SIGKILL_NUMBER 9

// System calls by number: those below FAST_CALLS are plain functions, called on the kernel's stack;
// those from there to ALL_CALLS - 1 are entries that end in a task of their own choice.
#define FAST_CALLS 16
#define ALL_CALLS 32
#define CALL_YIELD 16
#define CALL_EXIT 17
#define CALL_SIGNAL_RETURN 20
#define SYSTEM_CALL_VECTOR 0x80

// Left::out_of_time
#define LEFT_OUT_OF_TIME 2

#define USER_CODE 0x2B
#define USER_DATA 0x23
#define USER_FLAGS 0x202
#define KERNEL_FLAGS 0x2

// RSP0 in the task state segment
#define TSS_RSP0 4

// The x2APIC's MSR of the end of an interrupt
#define X2APIC_END_OF_INTERRUPT 0x80B

// An interrupt out of ring 3 finds its stack in the running task's frame. Below what the processor
// pushes there is room for this many words; anatomy's handler and a counting pass's routine (on top
// of each other) and the common stub fit into them.
#define INTERRUPT_STACK_WORDS 17
