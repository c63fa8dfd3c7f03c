// Where signals are raised: an address space with the board of commit_log.h in it, the calls that
// its tasks make, and the alarms that raise a signal or break what a task relies on. One at a time.
// Image only.
#pragma once
#include <cstdint>

#include "firmware/kernel/kernel.h"
#include "labs/kit/bench.h"
#include "labs/kit/case_timeout.h"
#include "labs/kit/commit_log.h"

extern "C" {
/// What signals_raise() raises, and where it came.
struct SignalsAlarm {
    doorbell::kernel::Task* target;
    uint64_t signal;
    uint64_t landed_at;  ///< the instruction of ring 3 that the interrupt came in front of
};
extern SignalsAlarm signals_alarm;
/// The alarm that raises the signal.
doorbell::kernel::Task* signals_raise(doorbell::kernel::Task* running);
}

namespace doorbell::labs {

/// What the calls and alarms of the running case work on.
struct SignalScene {
    Board* board;
    bool pipe_broken;
    uint64_t taken;  ///< batches that the source has given away
    uint64_t deadline;
    CaseTimeout* timeout;  ///< null: nothing waits for the signal
};
inline SignalScene signal_scene;

class SignalStage {
  public:
    static constexpr uint64_t wild_address = 0x10;  ///< in the page that is never mapped

    kernel::Kernel kernel;
    kernel::Space* space = nullptr;

    explicit SignalStage(Bench& bench) : kernel(bench.machine) {}
    /// Makes the space, with `window` bytes for its tasks. Error: no memory.
    Result<void> set(Bench& bench, uint64_t window, kernel::Kernel::Alarm alarm) {
        auto up = kernel.start({});
        if (!up) return up;
        space = DOORBELL_TRY(kernel.make_space(window));
        uint64_t page = bench.machine.arena.frame();
        if (page == 0) return Lacking{"not enough memory for the log"};
        DOORBELL_TRY(space->share(page, 4096, true));
        signal_scene = {};
        signal_scene.board = reinterpret_cast<Board*>(page);
        kernel.set_fast_call(arm_call, arm);
        kernel.set_fast_call(take_call, take);
        kernel.set_fast_call(ended_call, has_ended);
        kernel.set_call(publish_call, publish);
        kernel.set_alarm(alarm);
        return {};
    }

    /// An alarm from which on the pipe is broken.
    static kernel::Task* break_pipe(kernel::Task* running) {
        signals_alarm.landed_at = running->frame.rip;
        signal_scene.pipe_broken = true;
        return running;
    }
    /// An alarm that makes the committer read from where nothing is mapped.
    static kernel::Task* spoil_pointer(kernel::Task* running) {
        signals_alarm.landed_at = running->frame.rip;
        signal_scene.board->source = reinterpret_cast<const volatile uint64_t*>(wild_address);
        return running;
    }

  private:
    static uint64_t arm(uint64_t delay) {
        if (signal_scene.timeout != nullptr) signal_scene.timeout->wait_from_now();
        return signal_scene.deadline = kernel::Kernel::active()->arm_alarm(delay);
    }
    static uint64_t take() { return signal_scene.taken++; }
    static uint64_t has_ended(uint64_t id) {
        auto tasks = kernel::Kernel::active()->tasks();
        return id >= tasks.size() || tasks[id]->ended();
    }
    static kernel::Task* publish(kernel::Kernel& kernel, kernel::Task& task) {
        if (!signal_scene.pipe_broken) return &task;
        task.frame.rax = kernel::broken_pipe;
        return kernel.raise(task, kernel::sigpipe);
    }
};

}  // namespace doorbell::labs
