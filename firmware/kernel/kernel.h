// The image's kernel: tasks in ring 3, with system calls, a scheduler, signals and address spaces.
// One at a time, made by a lab's case and gone with it. Image only.
//
// How a lab makes a task:
//
//     DOORBELL_USER uint64_t program(uint64_t a) { user::call(kernel::call::yield); return 0; }
//
//     kernel::Kernel kernel(bench.machine);
//     auto up = kernel.start({.slice = 0});           // gates, SMEP/SMAP/UMIP, call table
//     auto space = kernel.make_space(1 << 20);        // 1 MiB of memory for its tasks
//     uint64_t buffer = (*space)->take(8 * samples);  // address in ring 3 ...
//     // Its own stack; the arguments in RDI, RSI, RDX, RCX.
//     auto task = kernel.make_task(**space, program, {buffer});
//     auto left = kernel.run();              // until no task can run
//     (*space)->kernel<uint64_t>(buffer)[0]; // ... and the same memory in ring 0
//     // (*task)->ended_by: the signal that ended it, 0 where `program` returned;
//     // (*task)->exit_value: what `program` returned.
//
// Ring-3 code (see user.h) may not touch the image's data nor call what is not DOORBELL_USER. Its
// caller-saved registers do not survive a system call. The kernel is not interrupted: run() is
// entered and left with interrupts off, and ring 3 runs with them on. A lab that sets gates of its
// own (cpu::set_gate) finds the stack of an interrupt out of ring 3 in the running task's frame:
// room for INTERRUPT_STACK_WORDS (layout.h), not for a call into C++ (load kernel_state.stack
// first).
//
// A ring-3 fault never ends the image: the task gets SIGSEGV, SIGILL, SIGFPE, SIGTRAP or SIGBUS.
// What was interrupted is told by the stack that the processor used (the running task's frame, or
// the kernel's), not by the saved CS.
#pragma once
#include <cstdint>
#include <initializer_list>
#include <span>

#include "firmware/cpu/result.h"
#include "firmware/kernel/scheduler.h"
#include "firmware/kernel/space.h"
#include "firmware/kernel/task.h"
#include "firmware/kernel/user.h"
#include "firmware/platform/machine.h"

namespace doorbell::kernel {

/// What gates.S keeps; a lab may read it after run().
struct State {
    Task* current;   ///< who runs
    uint64_t stack;  ///< of the kernel
    uint64_t user_rsp;
    uint64_t loaded_space;  ///< what CR3 was last loaded with for a task
    uint64_t ticks_left;
    uint64_t switches;          ///< from one task to another (or itself), since start()
    uint64_t end_of_interrupt;  ///< address of the xAPIC's EOI register
    uint64_t kernel_space;      ///< CR3 of a kernel that lives apart
    void (*change)();
    void (*resume_all)();
    Scheduler<Task>* scheduler;
};

/// Vectors of the kernel's two uses of the LAPIC timer.
inline constexpr uint8_t tick_vector = 0x40, alarm_vector = 0x41;

/// Why run() came back.
enum class Left : uint64_t {
    nothing_ready = 0,  ///< every task has ended or waits
    asked = 1,          ///< a task made the `leave` call
    out_of_time = 2,    ///< as many time slices passed as run() was given
};

struct Options {
    bool extended_state = false;  ///< XSAVE/XRSTOR at every switch
    bool pcid = false;            ///< tag address spaces (CR4.PCIDE)
    bool apart = false;  ///< fast calls run in the image's own address space: CR3 changes twice
    bool idle =
        false;  ///< an idle task spins in ring 3 where nobody is ready; without it run() ends
    uint64_t slice = 0;  ///< TSC ticks a time slice; 0: no preemption
    uint64_t most_tasks = 16;
};

class Kernel {
  public:
    explicit Kernel(platform::Machine& machine) : machine_(machine) {}
    ~Kernel() { stop(); }
    Kernel(const Kernel&) = delete;

    /// Error: no memory, or an option that the processor has nothing for (XSAVE, PCID).
    Result<void> start(const Options& options);
    void stop();

    Result<Space*> make_space(uint64_t bytes);
    /// A ready task in `space` that starts at `entry` (ring-3 code, returns its exit value) with up
    /// to four arguments, on a stack of `stack_bytes` from the window. Error: no memory, more tasks
    /// than the kernel was started for, or more than four arguments.
    Result<Task*> make_task(Space& space, const void* entry,
                            std::initializer_list<uint64_t> arguments, uint64_t stack_bytes = 4096);
    template <class Function>
        requires std::is_function_v<Function>
    Result<Task*> make_task(Space& space, Function* entry,
                            std::initializer_list<uint64_t> arguments,
                            uint64_t stack_bytes = 4096) {
        return make_task(space, reinterpret_cast<const void*>(entry), arguments, stack_bytes);
    }
    /// Takes a task back to where make_task() left it (same stack, signals forgotten), ready. Takes
    /// as many arguments as make_task().
    void restart(Task& task, const void* entry, std::initializer_list<uint64_t> arguments);

    /// Ends a task that does not run now; restart() brings it back.
    void retire(Task& task);

    /// Runs tasks until none can, or one asks to leave, or `slices` time slices have passed (slice
    /// != 0).
    Left run(uint64_t slices = ~0ull);

    /// Call numbers below FAST_CALLS: `function` runs in ring 0 with the call's RDI, RSI, RDX as
    /// arguments and must come back soon. It may look at current() but not block, end or signal it.
    template <class Function>
    void set_fast_call(unsigned number, Function* function) {
        set_fast(number, reinterpret_cast<void (*)()>(function));
    }
    /// Call numbers call::lab to call::lab_last: `function` sees the task's whole frame, puts its
    /// result into frame.rax and says who runs next (usually `&task`).
    using LabCall = Task* (*)(Kernel& kernel, Task& task);
    void set_call(unsigned number, LabCall function);
    /// Called for an interrupt at alarm_vector (the LAPIC timer that arm_alarm() armed); returns
    /// the task that runs next.
    using Alarm = Task* (*)(Task* running);
    void set_alarm(Alarm alarm);
    /// One-shot, `ticks` TSC ticks from now (rounded to the timer's); the TSC at which it is due.
    /// Only without a time slice.
    uint64_t arm_alarm(uint64_t ticks) const;
    /// Stops the alarm, and takes one that came when no task was running. Not for tasks' calls.
    void disarm_alarm() const;

    /// Raises a signal and returns which task runs next: the target, where it can now take it ("who
    /// is told goes first"), otherwise the one that runs now. For LabCall and Alarm.
    Task* raise(Task& target, uint8_t signal);
    /// Takes the running task out of the ring until a signal or wake() comes; returns the next one.
    Task* block(Task& running);
    void wake(Task& task);
    /// Ends the running task; returns the next one. Does not return where no task can run.
    [[gnu::cold, gnu::noinline]] Task* end(Task& running, uint8_t by_signal);

    std::span<Task* const> tasks() const { return {tasks_, count_}; }
    size_t ready() const { return scheduler_.ready(); }
    static Kernel* active();

    // For gates.S and the trap handler.
    Task* call(Task& task);
    Task* deliver(Task& task);
    void trap(cpu::Frame& frame);

  private:
    void set_fast(unsigned number, void (*function)());
    Result<void> enable_extended_state();
    void protect() const;
    void reset_state();
    void open_gates();
    Result<void> make_idle_task();
    Task* next_or_leave(Task* next);
    void take_late(uint8_t vector) const;
    [[gnu::cold, gnu::noinline]] Task* deliver_more(Task& task);
    Result<uint64_t> extended_area();
    Task* new_task();

    platform::Machine& machine_;
    Options options_;
    bool started_ = false;
    Scheduler<Task> scheduler_;
    Task** tasks_ = nullptr;
    size_t count_ = 0;
    uint64_t next_pcid_ = 1;
    uint64_t extended_bytes_ = 0;
    cpu::Handler before_[32] = {};
    LabCall lab_calls_[8] = {};
};

}  // namespace doorbell::kernel

extern "C" doorbell::kernel::State kernel_state;
