// What do 5,000 threads on one core do? Each of `tasks` jobs walks a working set of its own. With
// policy=tasks every job is a task, all of them runnable at once and preempted at the end of each
// time slice; with policy=pool a few tasks take the jobs one after the other. All jobs are there at
// time 0.
//
//     total     until the last job is done
//     job       from time 0 until a job is done
//     service   from a job's first instruction to its last: other tasks' slices in between included
//     work      what was done in that time, as a share of what a job gets done that runs alone
//     switches  of the kernel, a task that follows itself at the end of a slice included
//     memory    what tasks, stacks, working sets and page tables take
//
// A case is one run: the histograms of `job` and `service` are over the jobs.
#include "firmware/cpu/mul_div.h"
#include "firmware/kernel/kernel.h"
#include "firmware/measure/timestamp.h"
#include "firmware/wire/text.h"
#include "labs/kit/bench.h"
#include "labs/kit/choice.h"
#include "labs/kit/compare.h"
#include "labs/kit/lab.h"

// Ring 3: one job of the board; jobs of the board one after the other, until there are none. A line
// of the working set is five instructions.
extern "C" {
void thrash_one_job(const void* board, uint64_t job);
void thrash_worker(void* board);
}
asm(R"(
        .pushsection .user_text, "ax"
        .macro  THRASH_STAMP place
        lfence
        rdtsc
        shlq    $32, %rdx
        orq     %rdx, %rax
        movq    %rax, \place(%rsi)
        .endm
        .balign 64
        .global thrash_one_job, thrash_worker
thrash_one_job:
        movq    16(%rdi), %r8           # set_bytes
        movq    24(%rdi), %r9           # rounds
        movq    %r8, %r10
        imulq   %rsi, %r10
        addq    32(%rdi), %r10          # the job's set
        shlq    $4, %rsi
        addq    40(%rdi), %rsi          # the job's times
        THRASH_STAMP 0
1:      xorl    %ecx, %ecx
2:      leaq    (%r10, %rcx), %rax
        movzbl  (%rax), %eax
        addq    $64, %rcx
        cmpq    %r8, %rcx
        jb      2b
        decq    %r9
        jnz     1b
        THRASH_STAMP 8
        ret
        .balign 64
thrash_worker:
        movl    $1, %esi
        lock xaddq %rsi, (%rdi)
        cmpq    8(%rdi), %rsi
        jae     3f
        call    thrash_one_job
        jmp     thrash_worker
3:      ret
        .popsection
)");

namespace doorbell::labs {
namespace {

constexpr Case cases[] = {
    "tasks=1 policy=tasks",    "tasks=10 policy=tasks",   "tasks=100 policy=tasks",
    "tasks=1000 policy=tasks", "tasks=5000 policy=tasks", "tasks=10 policy=pool",
    "tasks=100 policy=pool",   "tasks=1000 policy=pool",  "tasks=5000 policy=pool",
};
static_assert(keys_are(cases, {"tasks policy"}) && words_are(cases, "policy", {"tasks", "pool"}) &&
              numbers_are(cases, {"tasks"}));

constexpr Setting settings[] = {
    {"slice", 20, 20, 10000, "us", "time slice of a task"},
    {"set", 16384, 64, 1048576, "byte", "working set of a job"},
    {"rounds", 20, 1, 1000000, "walk", "how often a job walks its working set"},
    {"workers", 4, 1, 64, "task", "size of the pool (policy=pool)"},
};

constexpr uint64_t line = 64, stack_bytes = 4096;

struct Times {
    uint64_t start, done;
};

/// What the tasks share, in their memory.
struct Board {
    uint64_t next;  ///< job of the pool
    uint64_t jobs;
    uint64_t set_bytes, rounds;
    const volatile uint8_t* sets;
    Times* times;
};

static_assert(offsetof(Board, next) == 0 && offsetof(Board, jobs) == 8 &&
              offsetof(Board, set_bytes) == 16 && offsetof(Board, rounds) == 24 &&
              offsetof(Board, sets) == 32 && offsetof(Board, times) == 40 && sizeof(Times) == 16);

/// The tasks and their memory.
struct Stage {
    kernel::Kernel kernel;
    kernel::Space* space = nullptr;
    uint64_t board_at = 0;
    const Times* times = nullptr;  ///< of each job
    kernel::Task* first = nullptr;

    explicit Stage(Bench& bench) : kernel(bench.machine) {}

    Result<void> set(Bench& bench, uint64_t jobs, uint64_t tasks) {
        uint64_t slice = bench.machine.tsc.hz / 1000000 * bench.setting("slice");
        uint64_t set_bytes = (bench.setting("set") + line - 1) / line * line;
        auto up = kernel.start({.slice = slice, .most_tasks = tasks});
        if (!up) return up;
        constexpr uint64_t page = cpu::PageTables::page;
        auto made = kernel.make_space(jobs * (set_bytes + sizeof(Times)) +
                                      tasks * (stack_bytes + page) + 16 * page);
        if (!made) return made.error();
        space = *made;
        board_at = space->take(sizeof(Board));
        uint64_t times_at = space->take(jobs * sizeof(Times));
        uint64_t sets_at = space->take(jobs * set_bytes);
        if (board_at == 0 || times_at == 0 || sets_at == 0)
            return Lacking{"not enough memory for the working sets"};
        *space->kernel<Board>(board_at) = {0,
                                           jobs,
                                           set_bytes,
                                           bench.setting("rounds"),
                                           reinterpret_cast<const volatile uint8_t*>(sets_at),
                                           reinterpret_cast<Times*>(times_at)};
        times = space->kernel<Times>(times_at);
        return {};
    }

    /// One job alone, to know how long undisturbed work takes; the walk before it brings the set
    /// in.
    Result<uint64_t> one_alone() {
        auto made = kernel.make_task(*space, thrash_one_job, {board_at, 0}, stack_bytes);
        if (!made) return made.error();
        first = *made;
        kernel.run();
        kernel.restart(*first, reinterpret_cast<const void*>(thrash_one_job), {board_at, 0});
        kernel.run();
        if (first->ended_by != 0)
            return Error{"a job did not end by itself: signal", first->ended_by};
        return times[0].done - times[0].start;
    }

    Result<void> make_tasks(const void* program, uint64_t tasks) {
        kernel.restart(*first, program, {board_at, 0});
        for (uint64_t i = 1; i < tasks; ++i) {
            auto task = kernel.make_task(*space, program, {board_at, i}, stack_bytes);
            if (!task) return task.error();
        }
        return {};
    }

    Result<void> all_ended() const {
        for (const kernel::Task* task : kernel.tasks())
            if (!task->ended() || task->ended_by != 0)
                return Error{"a task did not end by itself: signal", task->ended_by};
        return {};
    }
};

struct RunSeries {
    measure::Series &total, &job, &service, &work, &switches, &memory;
    RunSeries(Bench& bench, uint64_t jobs)
        : total(bench.series("total", {.counted = true})),
          job(bench.series("job", {}, jobs)),
          service(bench.series("service", {}, jobs)),
          work(bench.series("work",
                            {.unit = "ppm", .better = Better::more, .derived = "share of total"})),
          switches(bench.series("switches", {.unit = "switch"})),
          memory(bench.series("memory", {.unit = "byte"})) {}
};

/// Runs all jobs once and records it. `alone`: what one of them takes alone.
Result<void> run_jobs(Stage& stage, const RunSeries& series, uint64_t jobs, uint64_t alone) {
    const Times* times = stage.times;
    uint64_t switches_before = kernel_state.switches;
    uint64_t entered = measure::begin();
    stage.kernel.run();
    uint64_t took = measure::end() - entered, last = 0;
    // Time 0 is the first job's beginning: what the kernel does in front of it is not a job's.
    uint64_t start = times[0].start;
    Result<void> done = stage.all_ended();
    if (start < entered) done = Error{"the first job was not done"};
    for (uint64_t i = 0; i < jobs; ++i) {
        if (times[i].start < start || times[i].done < times[i].start)
            done = Error{"a job was not done"};
        series.job.record(times[i].done - start);
        series.service.record(times[i].done - times[i].start);
        if (times[i].done > last) last = times[i].done;
    }
    if (last - start > took) done = Error{"a job was done after the last"};
    series.total.record(last - start);
    series.work.record(cpu::mul_div(alone * jobs, 1000000, last - start));
    series.switches.record(kernel_state.switches - switches_before);
    return done;
}

Result<void> body(Bench& bench, const Case& test_case) {
    uint64_t jobs = test_case.number("tasks"), workers = bench.setting("workers");
    bool pool = test_case["policy"] == "pool";
    uint64_t tasks = !pool ? jobs : workers < jobs ? workers : jobs;
    RunSeries series(bench, jobs);

    // From a boundary of large pages on, so that what lies in front of it is not in the figure.
    if (bench.machine.arena.take(1, cpu::PageTables::large_page) == 0)
        return Lacking{"not enough memory for the working sets"};
    uint64_t before = bench.machine.arena.mark();
    Stage stage(bench);
    DOORBELL_TRY(stage.set(bench, jobs, tasks));
    uint64_t alone = DOORBELL_TRY(stage.one_alone());
    DOORBELL_TRY(stage.make_tasks(pool ? reinterpret_cast<const void*>(thrash_worker)
                                       : reinterpret_cast<const void*>(thrash_one_job),
                                  tasks));
    Result<void> done;
    // No warm-up: a second run would be the same as the first.
    uint64_t phase = 0;
    bench.repeat([&](uint64_t) {
        if (++phase < 3) return;
        done = run_jobs(stage, series, jobs, alone);
        series.memory.record(bench.machine.arena.mark() - before);
    });
    return done;
}

ClaimVerdict pool_keeps_work(const Results& results) {
    return judge_series(
        results, "thrash",
        {{"tasks=5000 policy=tasks", "work"},
         {"tasks=5000 policy=pool", "work"},
         {"tasks=10 policy=pool", "work"}},
        [](const Summary& tasks, const Summary& pool, const Summary& few) {
            wire::Text text = because();
            text << "work done of what a job alone gets done: 5000 tasks " << tasks.p50
                 << ", 5000 jobs by the pool " << pool.p50 << ", 10 jobs by the pool " << few.p50
                 << " ppm (" << tasks.evidence << ")";
            if (exact(tasks))
                return undecided(text, "this clock knows no caches, and misses are not a time");
            bool kept = pool.p50 * 10 >= few.p50 * 9, lost = tasks.p50 * 10 < pool.p50 * 9;
            return yes_or_no(kept && lost, text);
        });
}

constexpr Claim claims[] = {
    {"pool-keeps-throughput", "a pool keeps its throughput where 5,000 tasks lose it",
     pool_keeps_work},
    {"pool-misses-less", "caches serve a pool better than 5,000 tasks that do the same work",
     below_by_misses({"tasks=5000 policy=pool", "total"}, {"tasks=5000 policy=tasks", "total"})},
    {"half-done-sooner", "half of 5,000 jobs are done sooner by a pool than by 5,000 tasks",
     below({"tasks=5000 policy=pool", "job"}, {"tasks=5000 policy=tasks", "job"})},
    {"service-is-short",
     "a job that a pool has begun is done in under a hundredth of the time that one of 5,000 tasks "
     "takes",
     below({"tasks=5000 policy=pool", "service"}, {"tasks=5000 policy=tasks", "service"}, 100)},
};

}  // namespace

extern const Lab thrash_lab =
    define_lab({.name = "thrash",
                .question = "What do 5,000 threads on one core do?",
                .needs = "a local APIC timer; 160 MiB of memory for 5,000 tasks",
                .counters = "interrupts l1d_misses l2_misses llc_misses dtlb_misses"},
               cases, settings, claims, body);

}  // namespace doorbell::labs
