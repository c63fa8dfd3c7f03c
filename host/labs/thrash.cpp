// What do 5,000 threads on one core do to the work, and what does a small pool? Tasks with a
// working set each have the same 5,000 jobs to do in turns; a job walks its task's working set.
// With workers=threads each task is a thread that gives the CPU up after each job; with
// workers=pool two threads take the jobs from a queue.
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <climits>
#include <cstring>
#include <vector>

#include "host/bench.h"
#include "host/lab.h"

namespace doorbell::host {
namespace {

constexpr Case cases[] = {
    "workers=threads tasks=1",    "workers=threads tasks=10",   "workers=threads tasks=100",
    "workers=threads tasks=1000", "workers=threads tasks=5000", "workers=pool tasks=1",
    "workers=pool tasks=10",      "workers=pool tasks=100",     "workers=pool tasks=1000",
    "workers=pool tasks=5000",
};

constexpr uint64_t jobs = 5000;
constexpr size_t pool_size = 2;
constexpr size_t working_set = 16384;
constexpr unsigned passes = 4;

struct Round {
    std::vector<std::vector<char>> sets;
    std::vector<uint64_t> took;  ///< ticks of each job, from its begin to its end
    std::atomic<uint64_t> next{0}, waiting{0}, done{0};
    uint64_t finished = 0;  ///< when the last job was done
    std::atomic<bool> go{false};
    uint64_t tasks = 0;
    bool pool = false;

    void job(uint64_t number) {
        std::vector<char>& set = sets[number % tasks];
        uint64_t t = measure::end();
        for (unsigned pass = 0; pass < passes; ++pass)
            for (size_t at = 0; at < set.size(); at += 64) set[at] = static_cast<char>(set[at] + 1);
        uint64_t end = measure::end();
        took[number] = end - t;
        if (done.fetch_add(1) + 1 == jobs) finished = end;
    }
};

struct Worker {
    Round* round;
    uint64_t number;
};

void* work(void* argument) {
    auto& [round, number] = *static_cast<Worker*>(argument);
    round->waiting.fetch_add(1);
    while (!round->go.load(std::memory_order_acquire)) sched_yield();
    if (round->pool) {
        for (uint64_t n; (n = round->next.fetch_add(1)) < jobs;) round->job(n);
    } else {
        for (uint64_t n = number; n < jobs; n += round->tasks) {
            round->job(n);
            sched_yield();
        }
    }
    return nullptr;
}

class Threads {
  public:
    Threads(Round& round, size_t count) : round_(round), workers_(count) {
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        pthread_attr_setstacksize(&attributes,
                                  std::max<size_t>(static_cast<size_t>(PTHREAD_STACK_MIN), 16384));
        // They inherit the one CPU of the thread that makes them.
        for (size_t i = 0; i < count; ++i) {
            workers_[i] = {&round, i};
            pthread_t thread;
            if (int error = pthread_create(&thread, &attributes, work, &workers_[i]); error != 0) {
                pthread_attr_destroy(&attributes);
                join();
                throw Skip("only " + std::to_string(i) +
                           " threads could be had: " + std::strerror(error));
            }
            threads_.push_back(thread);
        }
        pthread_attr_destroy(&attributes);
        while (round.waiting.load() != count) sched_yield();
    }
    ~Threads() { join(); }
    Threads(const Threads&) = delete;
    void join() {
        round_.go.store(true, std::memory_order_release);
        for (pthread_t thread : threads_) pthread_join(thread, nullptr);
        threads_.clear();
    }

  private:
    Round& round_;
    std::vector<Worker> workers_;
    std::vector<pthread_t> threads_;
};

uint64_t switches() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<uint64_t>(usage.ru_nvcsw + usage.ru_nivcsw);
}

void body(LinuxBench& bench, const Case& test_case) {
    bench.warm_up_at_most(1);
    measure::Series &cost = bench.series("cost"), &job = bench.series("job");
    uint64_t switched = 0, rounds = 0;
    bench.repeat([&] {
        Round round;
        round.tasks = test_case.number("tasks");
        round.pool = test_case["workers"] == "pool";
        round.took.assign(jobs, 0);
        round.sets.assign(round.tasks, std::vector<char>(working_set, 1));
        Threads threads(round, round.pool ? pool_size : static_cast<size_t>(round.tasks));
        uint64_t before = switches();
        uint64_t t = measure::begin();
        threads.join();
        uint64_t ticks = round.finished - t;
        switched += switches() - before;
        ++rounds;
        cost.record(ticks / jobs);
        for (uint64_t took : round.took) job.record(took);
        return ticks;
    });
    bench.count("context switches a round", switched / rounds);
}

uint64_t fewer(const Case&) { return 100; }

}  // namespace

extern const Lab thrash_lab;
constinit const Lab thrash_lab = {
    "thrash",
    "What do 5,000 threads on one core do to the work, and what does a small pool?",
    "5,000 threads within the user's limits",
    cases,
    body,
    fewer,
    true};

}  // namespace doorbell::host
