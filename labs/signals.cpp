// How does a process learn that it should stop? First how long it takes: from the tick at which a
// timer's interrupt raises the signal to the first timestamp of the handler. Then what is left
// behind: a task commits batches to a log in memory, and a signal is made to land at every
// instruction of that in turn.
#include "firmware/kernel/integrity.h"
#include "firmware/measure/timestamp.h"
#include "labs/kit/choice.h"
#include "labs/kit/compare.h"
#include "labs/kit/lab.h"
#include "labs/kit/signal_stage.h"

// Ring 3: the handler whose first timestamp ends a latency.
extern "C" void signals_timing_handler();
asm(R"(
        .pushsection .user_text, "ax"
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

// ---- Ring 3 ----

// What signals_timing_handler() knows of the board.
static_assert(shared_start == 0x608000000000 && offsetof(Board, known) == 0 &&
              offsetof(Board, fired) == 8);

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
            : "r"(SignalStage::wild_address)
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

// ---- Ring 0 ----

constexpr Choice<uint8_t> signal_numbers[] = {{"SIGTERM", sigterm},
                                              {"SIGINT", sigint},
                                              {"SIGSEGV", sigsegv},
                                              {"SIGPIPE", sigpipe},
                                              {"SIGKILL", sigkill}};
static_assert(all_chosen(cases, "signal", signal_numbers));

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
            samples[i] = measure::end() - signal_scene.board->deadline;
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
    SignalStage stage(bench);
    DOORBELL_TRY(stage.set(bench, most * 8 + 65536, signals_raise));
    Kernel& kernel = stage.kernel;
    uint64_t out = stage.space->take(most * 8);
    auto first = kernel.make_task(*stage.space, target_self, {});
    auto second = kernel.make_task(*stage.space, spin_until_fired, {});
    if (!first || !second || out == 0)
        return first_error(Lacking{"not enough memory for two tasks"}, first, second);
    signals_alarm.signal = signal;
    signals_alarm.target = *first;
    signal_scene.pipe_broken = signal == sigpipe;
    if (*target == &Latencies::alone) kernel.retire(**second);
    uint64_t* samples = stage.space->kernel<uint64_t>(out);
    bench.stored_at(latency, samples, most);
    Latencies latencies{kernel, **first, **second, out, samples, delay, signal};
    CaseTimeout timeout(bench, CaseTimeout::Lapic::measured,
                        [](cpu::Frame& task) { task.rip = reinterpret_cast<uint64_t>(give_up); });
    signal_scene.timeout = &timeout;
    Result<void> done;
    bench.repeat([&](uint64_t count) {
        if (auto measured = (latencies.*(*target))(count); !measured) done = measured;
        for (uint64_t i = 0; i < count; ++i) latency.record(samples[i]);
    });
    signal_scene.timeout = nullptr;
    return timeout.outcome(done, DOORBELL_DID_NOT_COME("the signal"));
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
        signal_scene.pipe_broken = false;
        signal_scene.taken = signals_alarm.landed_at = 0;
        kernel.restart(task, at(commit_batches),
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
            look_at_log(b, batches, signal_scene.taken).committed != batches)
            return Error{"the committer does not get through undisturbed: signal", task.ended_by};
        untouched = kernel::Integrity::take();
        return b.last - (signal_scene.deadline - far);
    }

    bool successor_goes_on(const LogState& found) {
        kernel.restart(heir, at(take_log_over), {});
        (void)kernel.run();
        LogState after = look_at_log(b, batches + 1, signal_scene.taken);
        return heir.exit_value == 0 && heir.ended_by == 0 && after.torn == 0 && after.held == 0 &&
               after.committed == found.committed + 1;
    }

    /// Records what the signal left behind. Error: the task did not end as it should.
    Result<void> record(const LandingSeries& series) {
        LogState found = look_at_log(b, batches, signal_scene.taken);
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
    SignalStage stage(bench);
    auto set = stage.set(bench, 65536,
                         signal == sigpipe   ? SignalStage::break_pipe
                         : signal == sigsegv ? SignalStage::spoil_pointer
                                             : signals_raise);
    if (!set) return set;
    auto task = stage.kernel.make_task(*stage.space, commit_batches, {});
    auto heir = stage.kernel.make_task(*stage.space, take_log_over, {});
    if (!task || !heir) return first_error(Lacking{"not enough memory for two tasks"}, task, heir);
    stage.kernel.retire(**heir);
    Landings landings{stage.kernel, **task, **heir, *signal_scene.board, signal, *how};
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

constexpr const char* only_some =
    "the signal landed at some points only: ask for as many samples as the path has instructions, "
    "in the exact clock";

/// Judges the torn and lost batches of a case. What was seen at some points proves that it can
/// happen; that it never does takes every point.
ClaimVerdict judge_losses(const Results& results, const char* test_case,
                          bool (*as_claimed)(uint64_t torn, uint64_t lost), bool never) {
    return judge_series(results, "signals",
                        {{test_case, "torn"}, {test_case, "lost"}, {test_case, "committed"}},
                        [&](const Summary& torn, const Summary& lost, const Summary& committed) {
                            wire::Text text = because();
                            text << test_case << ": " << torn.count << " landings, " << torn.sum
                                 << " torn, " << lost.sum << " lost";
                            bool as_said = as_claimed(torn.sum, lost.sum);
                            if (committed.partial && as_said == never)
                                return undecided(text, only_some);
                            return yes_or_no(as_said, text);
                        });
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
    constexpr const char* killed = "signal=SIGKILL handler=refused";
    return judge_series(
        results, "signals", {{killed, "held"}, {killed, "recovered"}, {killed, "committed"}},
        [](const Summary& held, const Summary& recovered, const Summary& committed) {
            wire::Text text = because();
            text << "the task was killed " << held.sum
                 << " times with the log in its hands; a successor could go on after "
                 << recovered.sum << " of " << recovered.count << " landings";
            if (recovered.sum != recovered.count) return yes_or_no(false, text);
            if (!committed.partial) return yes_or_no(held.sum != 0, text);
            return undecided(text, only_some);
        });
}

ClaimVerdict wild_pointer_ends_task(const Results& results) {
    constexpr Which wanted[] = {{"signal=SIGSEGV handler=none", "ended"},
                                {"signal=SIGSEGV handler=none", "kernel-intact"}};
    return judge_series(results, "signals", wanted,
                        [&](const Summary& ended, const Summary& intact) {
                            if (ended.count == 0) return not_run(wanted);
                            wire::Text text = because();
                            text << "a pointer went wild at " << ended.count
                                 << " points; SIGSEGV ended the task at " << ended.sum
                                 << " of them; the kernel's registers and tables changed at "
                                 << intact.count - intact.sum;
                            return yes_or_no(ended.sum != 0 && intact.min == 1, text);
                        });
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
