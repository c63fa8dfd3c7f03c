// How does a process learn that it should stop? First how long it takes: from the tick at which a
// timer's interrupt raises the signal to the first timestamp of the handler. Then what is left
// behind: a task commits batches to a log in memory, and a signal is made to land at every
// instruction of that in turn.
#include "firmware/kernel/integrity.h"
#include "firmware/kernel/kernel.h"
#include "firmware/measure/timestamp.h"
#include "labs/kit/bench.h"
#include "labs/kit/case_timeout.h"
#include "labs/kit/choice.h"
#include "labs/kit/compare.h"
#include "labs/kit/lab.h"

// Ring 3: what signals land in. Sets the handlers, arms a timer where there is a delay, and commits
// batches to the log (see Board): 0, or 1 where setting a handler did not end as it should. Written
// in assembly, so that it is the same number of points to land at whatever compiler builds the
// image.
extern "C" uint64_t signals_commit(uint64_t delay, uint64_t signal, uint64_t handler,
                                   uint64_t inner);
// Ring 3: the handler whose first timestamp ends a latency.
extern "C" void signals_timing_handler();
// Ring 0: the alarm that raises the signal, and what it works on.
extern "C" doorbell::kernel::Task* signals_raise(doorbell::kernel::Task* running);
extern "C" {
struct SignalsAlarm {
    doorbell::kernel::Task* target;
    uint64_t signal;
    uint64_t landed_at;  ///< the instruction of ring 3 that the interrupt came in front of
};
[[gnu::used]] SignalsAlarm signals_alarm;
}
asm(R"(
        .pushsection .user_text, "ax"
        .balign 64
        .global signals_commit
signals_commit:
        pushq   %rbx
        pushq   %rbp
        pushq   %r12
        pushq   %r13
        pushq   %r14
        movq    %rdi, %r12
        movq    %rsi, %r13
        movq    %rdx, %r14
        movq    %rcx, %rbp
        movabsq $0x608000000000, %rbx   # the board
        testq   %r14, %r14
        jz      1f
        movl    $21, %eax               # call::set_handler
        movq    %r13, %rdi
        movq    %r14, %rsi
        syscall
        # Refused where, and only where, it is SIGKILL's.
        testq   %rax, %rax
        setnz   %cl
        cmpq    $9, %r13
        sete    %dl
        cmpb    %cl, %dl
        jne     8f
1:      testq   %rbp, %rbp
        jz      2f
        movl    $21, %eax
        movl    $2, %edi                # SIGINT
        movq    %rbp, %rsi
        syscall
2:      testq   %r12, %r12
        jz      3f
        movl    $1, %eax                # arm_call
        movq    %r12, %rdi
        syscall
3:      xorl    %r12d, %r12d
4:      cmpq    $0, 16(%rbx)            # stop
        jne     6f
        movl    $2, %eax                # take_call: from here on the source has forgotten these records
        syscall
        movq    %rax, %r13
        movq    $1, 56(%rbx)            # holder
        leaq    1(%r13), %rcx
        imulq   $80, %r13, %r14
        leaq    128(%rbx, %r14), %r14   # the entry
        movq    %rcx, (%r14)            # its sequence
        xorl    %edx, %edx              # its sum
        xorl    %ecx, %ecx
5:      movq    48(%rbx), %rsi          # source
        movq    (%rsi, %rcx, 8), %rax
        addq    %r13, %rax
        movq    %rax, 8(%r14, %rcx, 8)
        addq    %rax, %rdx
        incq    %rcx
        cmpq    $8, %rcx
        jne     5b
        movq    %rdx, 72(%r14)
        movq    $0, 56(%rbx)
        movl    $24, %eax               # publish_call
        movq    %r13, %rdi
        syscall
        incq    %r12
        cmpq    $3, %r12
        jne     4b
6:      lfence
        rdtsc
        shlq    $32, %rdx
        orq     %rdx, %rax
        movq    %rax, 40(%rbx)          # last
        xorl    %eax, %eax
7:      popq    %r14
        popq    %r13
        popq    %r12
        popq    %rbp
        popq    %rbx
        ret
8:      movl    $1, %eax
        jmp     7b
        .balign 64
        .global signals_timing_handler
signals_timing_handler:
        lfence
        rdtsc
        shlq    $32, %rdx
        orq     %rdx, %rax
        movabsq $0x608000000000, %rdx
        movq    %rax, (%rdx)            # known
        movq    $1, 8(%rdx)             # fired
        ret
        .popsection

        .pushsection .text.signals, "ax"
        .balign 64
        .global signals_raise
        .weak   kernel_raise            # a hosted build has no kernel
signals_raise:
        movq    136(%rdi), %rax         # the frame's RIP
        movq    %rax, signals_alarm + 16(%rip)
        movq    signals_alarm(%rip), %rdi
        movl    signals_alarm + 8(%rip), %esi
        jmp     kernel_raise
        .popsection
)");

namespace doorbell::labs {
namespace {

using namespace kernel;

constexpr Case cases[] = {
    "signal=SIGTERM target=running", "signal=SIGTERM target=ready",
    "signal=SIGTERM target=blocked", "signal=SIGINT target=running",
    "signal=SIGSEGV target=running", "signal=SIGPIPE target=running",
    "signal=SIGKILL target=running", "signal=SIGTERM handler=stop",
    "signal=SIGTERM handler=nested", "signal=SIGTERM handler=none",
    "signal=SIGINT handler=stop",    "signal=SIGINT handler=none",
    "signal=SIGPIPE handler=stop",   "signal=SIGPIPE handler=none",
    "signal=SIGSEGV handler=none",   "signal=SIGKILL handler=refused",
};

constexpr Setting settings[] = {
    {"delay", 2000, 500, 1000000, "tick",
     "time from arming the timer to the signal, where latency is measured"},
};

constexpr unsigned batches = 3, records_in_batch = 8;

/// One batch in the log. It is whole where `sum` is that of its records, and not 0.
struct Entry {
    volatile uint64_t sequence;  ///< written first; 0: nothing here
    volatile uint64_t records[records_in_batch];
    volatile uint64_t sum;  ///< written last
};

/// What tasks and kernel share, at a fixed address in ring 3: its global variables.
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
    Entry log[batches + 1];
};
static_assert(sizeof(Board) <= 4096);
// What signals_commit() knows of it.
static_assert(shared_start == 0x608000000000 && offsetof(Board, stop) == 16 &&
              offsetof(Board, last) == 40 && offsetof(Board, source) == 48 &&
              offsetof(Board, holder) == 56 && offsetof(Board, known) == 0 &&
              offsetof(Board, fired) == 8 && offsetof(Board, log) == 128 && sizeof(Entry) == 80 &&
              offsetof(Entry, records) == 8 && offsetof(Entry, sum) == 72 && batches == 3 &&
              records_in_batch == 8 && sigkill == 9 && sigint == 2);

constexpr uint64_t wild = 0x10;  ///< in the page that is never mapped

// Calls of this lab.
constexpr uint32_t arm_call = call::fast_lab, take_call = call::fast_lab + 1,
                   ended_call = call::fast_lab + 2, publish_call = call::lab;
static_assert(arm_call == 1 && take_call == 2 && publish_call == 24 && call::set_handler == 21);

// ---- Ring 3 ----

[[gnu::always_inline]] inline Board& board() { return *reinterpret_cast<Board*>(shared_start); }

/// For a fault: goes on behind the instruction that faulted.
DOORBELL_USER void fault_handler(uint64_t, cpu::Frame* interrupted) {
    board().known = measure::end();
    interrupted->rip = board().resume_at;
}

DOORBELL_USER void spin_until_fired(uint64_t* out, uint64_t count, uint64_t delay) {
    user::call(call::yield);  // the target, if it is another task, takes its place first
    for (uint64_t i = 0; i < count; ++i) {
        board().fired = 0;
        // The delay varies a little, so that the interrupt finds the loop below at each of its
        // instructions.
        uint64_t deadline = user::call(arm_call, delay + (i & 15));
        while (board().fired == 0) {
        }
        out[i] = board().known - deadline;
    }
    user::call(call::leave);
}

DOORBELL_USER void target_self(uint64_t* out, uint64_t count, uint64_t delay, uint64_t signal) {
    user::call(call::set_handler, signal, reinterpret_cast<uint64_t>(signals_timing_handler));
    spin_until_fired(out, count, delay);
}

DOORBELL_USER void target_ready(uint64_t signal) {
    user::call(call::set_handler, signal, reinterpret_cast<uint64_t>(signals_timing_handler));
    for (;;) user::call(call::yield);
}

DOORBELL_USER void target_blocked(uint64_t signal) {
    user::call(call::set_handler, signal, reinterpret_cast<uint64_t>(signals_timing_handler));
    for (;;) user::call(call::pause);
}

DOORBELL_USER void target_victim(uint64_t delay) {
    board().deadline = user::call(arm_call, delay);
    for (;;) asm volatile("" : : : "memory");
}

DOORBELL_USER void touch_wild(uint64_t* out, uint64_t count) {
    user::call(call::set_handler, sigsegv, reinterpret_cast<uint64_t>(fault_handler));
    for (uint64_t i = 0; i < count; ++i) {
        uint64_t before;
        asm volatile(
            "leaq 1f(%%rip), %%rax\n\t"
            "movq %%rax, %1\n\t"
            "lfence\n\t"
            "rdtsc\n\t"
            "shlq $32, %%rdx\n\t"
            "orq %%rdx, %%rax\n\t"
            "movq %%rax, %0\n\t"
            "lfence\n\t"
            "movb $0, (%2)\n"
            "1:"
            : "=&r"(before), "=m"(board().resume_at)
            : "r"(wild)
            : "rax", "rdx", "memory", "cc");
        out[i] = board().known - before;
    }
}

DOORBELL_USER void write_broken_pipe(uint64_t* out, uint64_t count) {
    user::call(call::set_handler, sigpipe, reinterpret_cast<uint64_t>(signals_timing_handler));
    for (uint64_t i = 0; i < count; ++i) {
        uint64_t before = measure::begin();
        user::call(publish_call, 0);
        out[i] = board().known - before;
    }
}

DOORBELL_USER void stop_handler() { board().stop = 1; }

/// A signal inside a signal: the inner one's handler is the one that asks to stop.
DOORBELL_USER void nesting_handler() { user::call(call::raise, 0, sigint); }

/// Another task finds the log as the first one left it: takes the lock from a holder that has
/// ended, drops a torn batch, and commits one of its own in that place.
DOORBELL_USER uint64_t succeed() {
    Board& b = board();
    if (b.holder != 0 && user::call(ended_call, b.holder - 1) == 0) return 1;
    b.holder = 2;
    unsigned n = 0;
    for (; n < batches; ++n) {
        Entry& entry = b.log[n];
        uint64_t sum = 0;
        for (unsigned k = 0; k < records_in_batch; ++k) sum += entry.records[k];
        if (entry.sequence != n + 1 || entry.sum == 0 || entry.sum != sum) break;
    }
    Entry& entry = b.log[n];
    entry.sum = 0;
    entry.sequence = n + 1;
    uint64_t sum = 0;
    for (unsigned k = 0; k < records_in_batch; ++k) {
        entry.records[k] = 1000 + k;
        sum += 1000 + k;
    }
    entry.sum = sum;
    b.holder = 0;
    return 0;
}

// ---- Ring 0 ----

struct Scene {
    Kernel* kernel;
    Board* board;
    bool pipe_broken;
    uint64_t taken;
    uint64_t deadline;
    CaseTimeout* timeout;  ///< null: nothing waits for the signal
} scene;

uint64_t arm(uint64_t delay) {
    if (scene.timeout != nullptr) scene.timeout->wait_from_now();
    return scene.deadline = Kernel::active()->arm_alarm(delay);
}
uint64_t take() { return scene.taken++; }
uint64_t has_ended(uint64_t id) {
    auto tasks = Kernel::active()->tasks();
    return id >= tasks.size() || tasks[id]->ended();
}
Task* publish(Kernel& kernel, Task& task) {
    if (!scene.pipe_broken) return &task;
    task.frame.rax = broken_pipe;
    return kernel.raise(task, sigpipe);
}
Task* break_pipe(Task* running) {
    signals_alarm.landed_at = running->frame.rip;
    scene.pipe_broken = true;
    return running;
}
Task* spoil_pointer(Task* running) {
    signals_alarm.landed_at = running->frame.rip;
    scene.board->source = reinterpret_cast<const volatile uint64_t*>(wild);
    return running;
}

constexpr Choice<uint8_t> signal_numbers[] = {{"SIGTERM", sigterm},
                                              {"SIGINT", sigint},
                                              {"SIGSEGV", sigsegv},
                                              {"SIGPIPE", sigpipe},
                                              {"SIGKILL", sigkill}};
static_assert(all_chosen(cases, "signal", signal_numbers));

/// One address space with the board in it, and this lab's calls.
struct Stage {
    Kernel kernel;
    Space* space = nullptr;
    explicit Stage(Bench& bench) : kernel(bench.machine) {}
    Result<void> set(Bench& bench, uint64_t window, Kernel::Alarm alarm) {
        auto up = kernel.start({});
        if (!up) return up;
        space = DOORBELL_TRY(kernel.make_space(window));
        uint64_t page = bench.machine.arena.frame();
        if (page == 0) return Lacking{"not enough memory for the log"};
        DOORBELL_TRY(space->share(page, 4096, true));
        scene = {};
        scene.kernel = &kernel;
        scene.board = reinterpret_cast<Board*>(page);
        kernel.set_fast_call(arm_call, arm);
        kernel.set_fast_call(take_call, take);
        kernel.set_fast_call(ended_call, has_ended);
        kernel.set_call(publish_call, publish);
        kernel.set_alarm(alarm);
        return {};
    }
};

template <class Function>
const void* at(Function* function) {
    return reinterpret_cast<const void*>(function);
}

/// Where a task goes on whose signal does not come.
DOORBELL_USER void give_up() {
    for (;;) user::call(call::leave);
}

/// Two tasks, one of which gets the signal, and where their latencies are stored.
struct Latencies {
    Kernel& kernel;
    Task &first, &second;
    uint64_t out;       ///< the samples' address in ring 3
    uint64_t* samples;  ///< and here
    uint64_t delay;
    uint8_t signal;

    /// The task is ended by its signal, time and again.
    Result<void> by_kill(uint64_t count) {
        Result<void> done;
        for (uint64_t i = 0; i < count; ++i) {
            kernel.restart(first, at(target_victim), {delay + (i & 15)});
            (void)kernel.run();
            samples[i] = measure::end() - scene.board->deadline;
            if (first.ended_by != sigkill)
                done = Error{"the task was not ended by SIGKILL", first.ended_by};
        }
        return done;
    }
    Result<void> check() const {
        if (first.ended_by != 0 || second.ended_by != 0)
            return Error{"a task was ended by a signal", first.ended_by};
        return {};
    }
    Result<void> alone(uint64_t count) {
        if (signal == sigkill) return by_kill(count);
        kernel.restart(first,
                       signal == sigsegv   ? at(touch_wild)
                       : signal == sigpipe ? at(write_broken_pipe)
                                           : at(target_self),
                       {out, count, delay, signal});
        (void)kernel.run();
        return check();
    }
    Result<void> beside(const void* target, uint64_t count) {
        kernel.restart(first, target, {signal});
        kernel.restart(second, at(spin_until_fired), {out, count, delay});
        (void)kernel.run();
        return check();
    }
    Result<void> ready(uint64_t count) { return beside(at(target_ready), count); }
    Result<void> blocked(uint64_t count) { return beside(at(target_blocked), count); }
};

constexpr Choice<Result<void> (Latencies::*)(uint64_t count)> targets[] = {
    {"running", &Latencies::alone}, {"ready", &Latencies::ready}, {"blocked", &Latencies::blocked}};

Result<void> measure_latency(Bench& bench, const Case& test_case) {
    auto* number = chosen(signal_numbers, test_case["signal"]);
    auto* target = chosen(targets, test_case["target"]);
    if (number == nullptr || target == nullptr) return no_such_choice;
    uint8_t signal = *number;
    bool timed_by_task = signal == sigsegv || signal == sigpipe;
    measure::Series& latency = bench.series("latency", {.less_overhead = timed_by_task});
    uint64_t most = bench.samples() + bench.warm_up(), delay = bench.setting("delay");
    Stage stage(bench);
    DOORBELL_TRY(stage.set(bench, most * 8 + 65536, signals_raise));
    Kernel& kernel = stage.kernel;
    uint64_t out = stage.space->take(most * 8);
    auto first = kernel.make_task(*stage.space, target_self, {});
    auto second = kernel.make_task(*stage.space, spin_until_fired, {});
    if (!first || !second || out == 0)
        return first_error(Lacking{"not enough memory for two tasks"}, first, second);
    signals_alarm.signal = signal;
    signals_alarm.target = *first;
    scene.pipe_broken = signal == sigpipe;
    if (*target == &Latencies::alone) kernel.retire(**second);
    uint64_t* samples = stage.space->kernel<uint64_t>(out);
    bench.stored_at(latency, samples, most);
    Latencies latencies{kernel, **first, **second, out, samples, delay, signal};
    CaseTimeout timeout(bench, CaseTimeout::Lapic::measured,
                        [](cpu::Frame& task) { task.rip = reinterpret_cast<uint64_t>(give_up); });
    scene.timeout = &timeout;
    Result<void> done;
    bench.repeat([&](uint64_t count) {
        if (auto measured = (latencies.*(*target))(count); !measured) done = measured;
        for (uint64_t i = 0; i < count; ++i) latency.record(samples[i]);
    });
    scene.timeout = nullptr;
    return timeout.outcome(done,
                           "the signal did not come within a second (ten in the live clock), in "
                           "the middle of the case: another timer ended the wait");
}

/// What the log holds after a landing.
struct Found {
    uint64_t committed = 0, torn = 0, lost = 0, held = 0;
};

Found look_at_log(const Board& b, unsigned entries) {
    Found found;
    for (unsigned n = 0; n < entries; ++n) {
        const Entry& entry = b.log[n];
        if (entry.sequence == 0) continue;
        uint64_t sum = 0;
        for (unsigned k = 0; k < records_in_batch; ++k) sum += entry.records[k];
        bool whole = entry.sequence == n + 1 && entry.sum != 0 && entry.sum == sum;
        ++(whole ? found.committed : found.torn);
    }
    found.lost = scene.taken - found.committed - found.torn;
    found.held = b.holder != 0;
    return found;
}

/// What the task asks for before the signal comes.
struct Handling {
    void (*handler)();  ///< null: the signal's default
    void (*inner)();    ///< SIGINT's; null: none is set
    bool caught;        ///< the task ends by itself
};
constexpr Choice<Handling> handlings[] = {{"stop", {stop_handler, nullptr, true}},
                                          {"nested", {nesting_handler, stop_handler, true}},
                                          {"none", {nullptr, nullptr, false}},
                                          {"refused", {stop_handler, nullptr, false}}};
// A case measures latencies or landings, and does not get into the one by a typo in the other.
static_assert([] {
    for (const Case& c : cases)
        if ((chosen(targets, c["target"]) != nullptr) ==
            (chosen(handlings, c["handler"]) != nullptr))
            return false;
    return true;
}());

SeriesKind total_of(const char* unit, Better better = Better::less) {
    return {.unit = unit, .better = better, .shape = Shape::total};
}

struct LandingSeries {
    measure::Series &committed, &torn, &lost, &held;
    measure::Series* recovered;       ///< SIGKILL: a successor takes the log over
    measure::Series *ended, *intact;  ///< SIGSEGV: of the task, and of the machine

    LandingSeries(Bench& bench, uint8_t signal)
        : committed(bench.series("committed", total_of("batch", Better::more))),
          torn(bench.series("torn", total_of("batch"))),
          lost(bench.series("lost", total_of("batch"))),
          held(bench.series("held", total_of("lock"))),
          recovered(signal == sigkill ? &bench.series("recovered", total_of("log", Better::more))
                                      : nullptr),
          ended(signal == sigsegv ? &bench.series("ended", total_of("task", Better::more))
                                  : nullptr),
          intact(signal == sigsegv
                     ? &bench.series("kernel-intact", total_of("landing", Better::more))
                     : nullptr) {}
};

/// The committer, whom signals land in, and a successor.
struct Landings {
    Kernel& kernel;
    Task &task, &heir;
    Board& b;
    uint8_t signal;
    const Handling& how;
    kernel::Integrity untouched = kernel::Integrity::take();

    /// One run of the committer, whose signal comes after `delay` ticks.
    void land(uint64_t delay) {
        auto* words = reinterpret_cast<volatile uint64_t*>(&b);
        for (unsigned i = 0; i < sizeof b / 8; ++i) words[i] = 0;
        for (unsigned k = 0; k < records_in_batch; ++k) b.records[k] = 100 + k;
        b.source =
            reinterpret_cast<const volatile uint64_t*>(shared_start + offsetof(Board, records));
        signals_alarm.target = &task;
        signals_alarm.signal = signal;
        scene.pipe_broken = false;
        scene.taken = signals_alarm.landed_at = 0;
        kernel.restart(task, at(signals_commit),
                       {delay, signal, reinterpret_cast<uint64_t>(how.handler),
                        reinterpret_cast<uint64_t>(how.inner)});
        (void)kernel.run();
        kernel.disarm_alarm();
    }

    /// How long is the path? A run with an alarm that comes too late tells: the ticks from the
    /// arming to the last timestamp.
    Result<uint64_t> path(uint64_t far) {
        land(far);
        if (task.ended_by != 0 || task.exit_value != 0 ||
            look_at_log(b, batches).committed != batches)
            return Error{"the committer does not get through undisturbed: signal", task.ended_by};
        untouched = kernel::Integrity::take();
        return b.last - (scene.deadline - far);
    }

    bool successor_goes_on(const Found& found) {
        kernel.restart(heir, at(succeed), {});
        (void)kernel.run();
        Found after = look_at_log(b, batches + 1);
        return heir.exit_value == 0 && heir.ended_by == 0 && after.torn == 0 && after.held == 0 &&
               after.committed == found.committed + 1;
    }

    /// Records what the signal left behind. Error: the task did not end as it should.
    Result<void> record(const LandingSeries& series) {
        Found found = look_at_log(b, batches);
        series.committed.record(found.committed);
        series.torn.record(found.torn);
        series.lost.record(found.lost);
        series.held.record(found.held);
        uint8_t by = task.ended_by;
        Result<void> done;
        if (!task.ended() || (by != 0 && (how.caught || by != signal)))
            done = Error{"the task did not end as it should: signal", by};
        if (series.ended != nullptr) series.ended->record(by == signal);
        if (series.intact != nullptr) series.intact->record(untouched.differs() == nullptr);
        if (series.recovered != nullptr) series.recovered->record(successor_goes_on(found));
        return done;
    }
};

Result<void> measure_landings(Bench& bench, const Case& test_case) {
    auto* number = chosen(signal_numbers, test_case["signal"]);
    auto* how = chosen(handlings, test_case["handler"]);
    if (number == nullptr || how == nullptr) return no_such_choice;
    uint8_t signal = *number;
    LandingSeries series(bench, signal);
    Stage stage(bench);
    auto set = stage.set(bench, 65536,
                         signal == sigpipe   ? break_pipe
                         : signal == sigsegv ? spoil_pointer
                                             : signals_raise);
    if (!set) return set;
    auto task = stage.kernel.make_task(*stage.space, signals_commit, {});
    auto heir = stage.kernel.make_task(*stage.space, succeed, {});
    if (!task || !heir) return first_error(Lacking{"not enough memory for two tasks"}, task, heir);
    stage.kernel.retire(**heir);
    Landings landings{stage.kernel, **task, **heir, *scene.board, signal, *how};
    uint64_t path = DOORBELL_TRY(landings.path(bench.machine.tsc.hz / 10));
    Result<void> done;
    bench.repeat([&](uint64_t count) {
        uint64_t runs = count < path ? count : path, before = 0;
        for (uint64_t i = 0; i < runs; ++i) {
            // Every tick where there are samples enough, otherwise spread over the path; the first
            // ones to warm up.
            landings.land(1 + (count < bench.samples() ? i : i * path / runs));
            // A timer that fires while the kernel runs interrupts ring 3 at the same instruction as
            // the one before: that instruction had its landing.
            if (signals_alarm.landed_at == before) continue;
            before = signals_alarm.landed_at;
            if (auto ended = landings.record(series); !ended) done = ended;
        }
    });
    if (!bench.exact() || bench.samples() < path)
        series.committed.flag(
            "partial: the signal landed at some points of the path only, not at every instruction");
    return done;
}

Result<void> body(Bench& bench, const Case& test_case) {
    return test_case["target"].empty() ? measure_landings(bench, test_case)
                                       : measure_latency(bench, test_case);
}

char because_buffer[300];
constexpr const char* only_some =
    "the signal landed at some points only: ask for as many samples as the path has instructions, "
    "in the exact clock";

/// Judges the torn and lost batches of a case. What was seen at some points proves that it can
/// happen; that it never does takes every point.
ClaimVerdict judge_losses(const Results& results, const char* test_case,
                          bool (*as_claimed)(uint64_t torn, uint64_t lost), bool never) {
    const Summary* torn = results.find("signals", test_case, "torn");
    const Summary* lost = results.find("signals", test_case, "lost");
    const Summary* committed = results.find("signals", test_case, "committed");
    if (torn == nullptr || lost == nullptr || committed == nullptr)
        return {ClaimVerdict::Holds::cannot_say, "the case was not run"};
    wire::Text text(because_buffer);
    text << test_case << ": " << torn->count << " landings, " << torn->sum << " torn, " << lost->sum
         << " lost";
    bool as_said = as_claimed(torn->sum, lost->sum);
    if (committed->partial && as_said == never) {
        text << "; " << only_some;
        return {ClaimVerdict::Holds::cannot_say, text.view()};
    }
    return {as_said ? ClaimVerdict::Holds::yes : ClaimVerdict::Holds::no, text.view()};
}

ClaimVerdict handler_saves_all(const Results& results) {
    return judge_losses(
        results, "signal=SIGTERM handler=stop",
        [](uint64_t torn, uint64_t lost) { return torn + lost == 0; }, true);
}

ClaimVerdict default_can_lose(const Results& results) {
    return judge_losses(
        results, "signal=SIGTERM handler=none",
        [](uint64_t torn, uint64_t lost) { return torn != 0 && lost != 0; }, false);
}

ClaimVerdict kill_can_tear(const Results& results) {
    return judge_losses(
        results, "signal=SIGKILL handler=refused",
        [](uint64_t torn, uint64_t) { return torn != 0; }, false);
}

ClaimVerdict log_is_taken_over(const Results& results) {
    const Summary* held = results.find("signals", "signal=SIGKILL handler=refused", "held");
    const Summary* recovered =
        results.find("signals", "signal=SIGKILL handler=refused", "recovered");
    const Summary* committed =
        results.find("signals", "signal=SIGKILL handler=refused", "committed");
    if (held == nullptr || recovered == nullptr || committed == nullptr)
        return {ClaimVerdict::Holds::cannot_say, "the case was not run"};
    wire::Text text(because_buffer);
    text << "the task was killed " << held->sum
         << " times with the log in its hands; a successor could go on after " << recovered->sum
         << " of " << recovered->count << " landings";
    if (recovered->sum != recovered->count) return {ClaimVerdict::Holds::no, text.view()};
    if (!committed->partial)
        return {held->sum != 0 ? ClaimVerdict::Holds::yes : ClaimVerdict::Holds::no, text.view()};
    text << "; " << only_some;
    return {ClaimVerdict::Holds::cannot_say, text.view()};
}

ClaimVerdict wild_pointer_ends_task(const Results& results) {
    const Summary* ended = results.find("signals", "signal=SIGSEGV handler=none", "ended");
    const Summary* intact = results.find("signals", "signal=SIGSEGV handler=none", "kernel-intact");
    if (ended == nullptr || intact == nullptr || ended->count == 0)
        return {ClaimVerdict::Holds::cannot_say, "the case was not run"};
    wire::Text text(because_buffer);
    text << "a pointer went wild at " << ended->count << " points; SIGSEGV ended the task at "
         << ended->sum << " of them; the kernel's registers and tables changed at "
         << intact->count - intact->sum;
    bool holds = ended->sum != 0 && intact->min == 1;
    return {holds ? ClaimVerdict::Holds::yes : ClaimVerdict::Holds::no, text.view()};
}

constexpr Claim claims[] = {
    {"handler-saves-all", "SIGTERM with a handler: nothing is torn or lost, wherever it lands",
     handler_saves_all},
    {"default-loses", "SIGTERM without a handler can tear a batch and lose one", default_can_lose},
    {"kill-tears", "SIGKILL cannot be caught, and can tear a batch", kill_can_tear},
    {"log-taken-over", "a log whose holder was killed can be taken over, whatever it was doing",
     log_is_taken_over},
    {"wild-pointer-ends-task", "a wild pointer ends the task, not the machine",
     wild_pointer_ends_task},
};

}  // namespace

extern const Lab signals_lab = define_lab(
    {.name = "signals",
     .question =
         "How does a process learn that it should stop, how soon, and what becomes of its work?",
     .needs = "a local APIC timer",
     .counters = "instructions syscall iretq l1d_misses branch_misses"},
    cases, settings, claims, body);

}  // namespace doorbell::labs
