// A job whose work can be lost: a task of ring 3 takes records from a source that forgets them, and
// commits them in batches to a log in memory. What a signal leaves of that is read from the log,
// and another task takes the log over. Image only.
#pragma once
#include <cstdint>

#include "firmware/kernel/space.h"
#include "firmware/kernel/user.h"

namespace doorbell::labs {

inline constexpr unsigned batches = 3, records_in_batch = 8;

/// One batch in the log. It is whole where `sum` is that of its records, and not 0.
struct LogEntry {
    volatile uint64_t sequence;  ///< written first; 0: nothing here
    volatile uint64_t records[records_in_batch];
    volatile uint64_t sum;  ///< written last
};

/// What tasks and kernel share, at a fixed address in ring 3 (kernel::shared_start): the global
/// variables of the tasks.
struct Board {
    volatile uint64_t known;  ///< first timestamp in a handler
    volatile uint64_t fired;
    volatile uint64_t stop;
    volatile uint64_t resume_at;  ///< where to go on after a fault
    volatile uint64_t deadline;
    volatile uint64_t last;  ///< timestamp at the committer's end
    const volatile uint64_t* volatile source;
    volatile uint64_t holder;  ///< the log's lock: task id + 1, 0 when free
    volatile uint64_t records[records_in_batch];
    LogEntry log[batches + 1];
};

/// Calls that the tasks make, beside the kernel's own.
inline constexpr uint32_t arm_call = kernel::call::fast_lab,  ///< (delay) a timer: its deadline
    take_call = kernel::call::fast_lab + 1,   ///< the number of a batch, which the source forgets
    ended_call = kernel::call::fast_lab + 2,  ///< (task id): whether that task has ended
    publish_call = kernel::call::lab;         ///< (batch) into a pipe that may be broken

/// What the log holds after a signal has landed.
struct LogState {
    uint64_t committed = 0, torn = 0, lost = 0, held = 0;
};

/// Looks at the first `entries` entries, of which `taken` batches were asked for.
LogState look_at_log(const Board& board, unsigned entries, uint64_t taken);

/// Ring 3: another task finds the log as the first one left it, takes the lock from a holder that
/// has ended, drops a torn batch, and commits one of its own in that place. 0, or 1 where the
/// holder still runs.
uint64_t take_log_over();

}  // namespace doorbell::labs

/// Ring 3: what signals land in. Sets the handlers, arms a timer where there is a delay, and
/// commits batches to the log: 0, or 1 where setting a handler did not end as it should. Written in
/// assembly, so that it is the same number of points to land at whatever compiler builds the image.
extern "C" uint64_t commit_batches(uint64_t delay, uint64_t signal, uint64_t handler,
                                   uint64_t inner);
