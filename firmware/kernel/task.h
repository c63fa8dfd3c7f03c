// A task: a flow of ring-3 code. The kernel itself has one stack and is never interrupted
// (interrupts are off in it), so a task that does not run is nothing but its registers, here.
#pragma once
#include <cstddef>
#include <cstdint>

#include "firmware/cpu/descriptors.h"
#include "firmware/cpu/registers.h"
#include "firmware/kernel/layout.h"
#include "firmware/kernel/signals.h"
#include "firmware/kernel/user_memory.h"

namespace doorbell::kernel {

struct Space;

enum class TaskState : uint8_t { ready, blocked, ended };

struct alignas(64) Task {
    /// The registers. While the task runs, the TSS's RSP0 points to the end of this frame: the
    /// processor and the stubs push straight into it.
    cpu::Frame frame{};
    Task* next = nullptr;  ///< the ring of the scheduler
    Task* previous = nullptr;
    void (*resume)() = nullptr;  ///< the routine of gates.S that takes it from the kernel to ring 3
    uint64_t space_root = 0;     ///< value for CR3
    uint64_t extended =
        0;  ///< XSAVE area, 64-byte aligned; used where the kernel keeps extended state

    Signals signals;
    uint64_t stack_top = 0;      ///< ring-3 address
    uint64_t signal_return = 0;  ///< ring-3 address that a handler returns to
    Space* space = nullptr;
    uint64_t id = 0;
    TaskState state = TaskState::ready;
    uint8_t ended_by = 0;    ///< signal that ended it; 0: it left by itself
    uint8_t last_fault = 0;  ///< vector of the exception that ended it, where one did
    uint64_t fault_error = 0, fault_address = 0;  ///< error code and, for #PF, CR2
    uint64_t exit_value = 0;

    bool ended() const { return state == TaskState::ended; }
    /// Whether the saved segments and flags are those that the kernel gives a task. Others come
    /// from a mode that no task should reach (QEMU 7.2 lets ring 3 enter virtual-8086 mode by
    /// IRET), and the processor would refuse to return to them.
    bool returns_to_ring3() const {
        return frame.cs == USER_CODE && frame.ss == USER_DATA &&
               (frame.rflags & cpu::rflags::virtual_8086) == 0;
    }
    /// Memory that must lie free in front of a task: a fault of the IRETQ that returns to it pushes
    /// its own frame from the middle of `frame` downwards.
    static constexpr uint64_t room_in_front = 64;
};

static_assert(offsetof(cpu::Frame, r15) == FRAME_R15 && offsetof(cpu::Frame, r12) == FRAME_R12);
static_assert(offsetof(cpu::Frame, rbp) == FRAME_RBP && offsetof(cpu::Frame, rbx) == FRAME_RBX);
static_assert(offsetof(cpu::Frame, rax) == FRAME_RAX && offsetof(cpu::Frame, rip) == FRAME_RIP);
static_assert(offsetof(cpu::Frame, cs) == FRAME_CS);
static_assert(offsetof(cpu::Frame, rflags) == FRAME_RFLAGS &&
              offsetof(cpu::Frame, rsp) == FRAME_RSP);
static_assert(sizeof(cpu::Frame) == TASK_FRAME_END && TASK_FRAME_END % 16 == 0);
// An interrupt has the words from RIP down to the frame's beginning.
static_assert(offsetof(cpu::Frame, rip) == 8 * INTERRUPT_STACK_WORDS);
// SS to the general registers and the error code below RIP, at a multiple of 16.
static_assert(Task::room_in_front + (FRAME_RIP & ~15) >= sizeof(cpu::Frame));
static_assert(offsetof(Task, next) == TASK_NEXT && offsetof(Task, resume) == TASK_RESUME);
static_assert(offsetof(Task, previous) == TASK_PREVIOUS && offsetof(Task, state) == TASK_STATE &&
              offsetof(Task, ended_by) == TASK_ENDED_BY &&
              offsetof(Task, exit_value) == TASK_EXIT_VALUE &&
              static_cast<int>(TaskState::ended) == TASK_STATE_ENDED);
static_assert(offsetof(Task, signals) + Signals::pending_at() == TASK_PENDING &&
              offsetof(Task, signals) + Signals::masked_at() == TASK_MASKED &&
              offsetof(Task, signals) + Signals::handlers_at() == TASK_HANDLERS &&
              offsetof(Task, signal_return) == TASK_SIGNAL_RETURN &&
              offsetof(Task, space) == TASK_SPACE_OBJECT);
static_assert(static_cast<int>(TaskState::ready) == TASK_STATE_READY &&
              static_cast<int>(TaskState::blocked) == TASK_STATE_BLOCKED);
static_assert(offsetof(cpu::Frame, rdi) == FRAME_RDI && offsetof(cpu::Frame, rsi) == FRAME_RSI);
static_assert(sizeof(SignalFrame) == SIGNAL_FRAME_BYTES &&
              offsetof(SignalFrame, signal) == SIGNAL_FRAME_SIGNAL &&
              offsetof(SignalFrame, mask) == SIGNAL_FRAME_MASK &&
              offsetof(SignalFrame, interrupted) == SIGNAL_FRAME_INTERRUPTED &&
              sigkill == SIGKILL_NUMBER && user_flags_always == USER_FLAGS);
static_assert(offsetof(Task, space_root) == TASK_SPACE &&
              offsetof(Task, extended) == TASK_EXTENDED);

}  // namespace doorbell::kernel
