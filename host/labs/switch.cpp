// What does a task switch cost? Two tasks hand one CPU to each other; one switch is
// half a round trip. The hidden part: how long a working set takes to walk after the other task
// walked its own.
#include <linux/futex.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <optional>
#include <vector>

#include "host/bench.h"
#include "host/lab.h"
#include "host/partner.h"

namespace doorbell::host {
namespace {

constexpr Case cases[] = {
    "by=sched_yield who=thread",
    "by=sched_yield who=process",
    "by=sched_yield who=thread policy=fifo",
    "by=sched_yield who=process policy=fifo",
    "by=pipe who=thread",
    "by=pipe who=process",
    "by=eventfd who=thread",
    "by=eventfd who=process",
    "by=futex who=thread",
    "by=futex who=process",
    "by=pipe who=process set=4096",
    "by=pipe who=process set=16384",
    "by=pipe who=process set=65536",
    "by=pipe who=process set=262144",
    "by=pipe who=process set=1048576",
    "by=pipe who=process set=4194304",
    "by=pipe who=process set=16777216",
};

/// A token between two tasks: pass it on, and wait until it comes back.
class Baton {
  public:
    virtual ~Baton() = default;
    virtual void pass(unsigned to) = 0;
    virtual void await(unsigned me) = 0;
};

class PipeBaton : public Baton {
  public:
    PipeBaton() {
        for (auto& ends : ends_) {
            int fds[2];
            if (pipe(fds) != 0) skip_errno("pipe");
            ends[0] = File(fds[0]);
            ends[1] = File(fds[1]);
        }
    }
    void pass(unsigned to) override {
        char byte = 0;
        (void)!write(*ends_[to][1], &byte, 1);
    }
    void await(unsigned me) override {
        char byte;
        (void)!read(*ends_[me][0], &byte, 1);
    }

  private:
    File ends_[2][2];
};

class EventBaton : public Baton {
  public:
    EventBaton() {
        for (File& event : events_) {
            event = File(eventfd(0, EFD_CLOEXEC));
            if (*event < 0) skip_errno("eventfd");
        }
    }
    void pass(unsigned to) override {
        uint64_t one = 1;
        (void)!write(*events_[to], &one, sizeof one);
    }
    void await(unsigned me) override {
        uint64_t count;
        (void)!read(*events_[me], &count, sizeof count);
    }

  private:
    File events_[2];
};

class FutexBaton : public Baton {
  public:
    void pass(unsigned to) override {
        words_->word[to].store(1, std::memory_order_release);
        syscall(SYS_futex, &words_->word[to], FUTEX_WAKE, 1, nullptr, nullptr, 0);
    }
    void await(unsigned me) override {
        std::atomic<uint32_t>& word = words_->word[me];
        while (word.load(std::memory_order_acquire) == 0)
            syscall(SYS_futex, &word, FUTEX_WAIT, 0, nullptr, nullptr, 0);
        word.store(0, std::memory_order_relaxed);
    }

  private:
    struct Words {
        std::atomic<uint32_t> word[2];
    };
    Shared<Words> words_;
};

std::unique_ptr<Baton> baton_of(std::string_view by) {
    if (by == "pipe") return std::make_unique<PipeBaton>();
    if (by == "eventfd") return std::make_unique<EventBaton>();
    return std::make_unique<FutexBaton>();
}

struct Control {
    std::atomic<uint32_t> stop, ready;
    std::atomic<uint64_t> turns;  ///< of the partner
};

/// Memory that is walked line by line, in an order that no prefetcher predicts.
class WorkingSet {
  public:
    WorkingSet(size_t bytes, measure::Random& random) : lines_(bytes / sizeof(Line)) {
        std::vector<uint32_t> order(lines_.size());
        for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<uint32_t>(i);
        for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
        for (size_t i = 0; i < order.size(); ++i)
            lines_[order[i]].next = order[(i + 1) % order.size()];
    }
    /// Reads and writes each line once.
    void walk() {
        uint32_t at = 0;
        for (size_t i = 0; i < lines_.size(); ++i) {
            Line& line = lines_[at];
            ++line.visits;
            at = line.next;
        }
        asm volatile("" : : "r"(at) : "memory");
    }

  private:
    struct alignas(64) Line {
        uint32_t next = 0;
        uint32_t visits = 0;
    };
    std::vector<Line> lines_;
};

/// Half of a round trip that took `ticks`, less what the timestamps cost.
uint64_t half_of(uint64_t ticks, const LinuxBench& bench) {
    uint64_t overhead = bench.instrument.overhead;
    return (ticks > overhead ? ticks - overhead : 0) / 2;
}

/// sched_yield gives no guarantee: a round trip counts if the partner had exactly one turn.
void measure_yield(LinuxBench& bench, As who) {
    Shared<Control> control;
    Partner partner(who, bench.cpu(0), [&] {
        control->ready = 1;
        while (control->stop.load(std::memory_order_relaxed) == 0) {
            control->turns.fetch_add(1, std::memory_order_relaxed);
            sched_yield();
        }
    });
    measure::Series& cost = bench.series("cost", {.less_overhead = false});
    uint64_t idle_yields = 0;
    auto stop = [&] { control->stop = 1; };
    try {
        while (control->ready == 0) sched_yield();
        bench.repeat([&] {
            for (unsigned tries = 0; tries < 100000; ++tries) {
                uint64_t turns = control->turns.load(std::memory_order_relaxed);
                uint64_t t = measure::begin();
                sched_yield();
                uint64_t ticks = measure::end() - t;
                if (control->turns.load(std::memory_order_relaxed) == turns + 1) {
                    uint64_t half = half_of(ticks, bench);
                    cost.record(half);
                    return half;
                }
                ++idle_yields;
            }
            throw Skip(
                "sched_yield() does not hand the CPU to the other task, 100,000 times in a row");
        });
    } catch (...) {
        stop();
        throw;
    }
    stop();
    if (idle_yields != 0)
        bench.count("yields without exactly one turn of the other task (not counted)", idle_yields);
}

template <class RoundTrip>
void measure_cost(LinuxBench& bench, const RoundTrip& round_trip) {
    measure::Series& cost = bench.series("cost");
    bench.repeat([&] {
        uint64_t t = measure::begin();
        round_trip();
        uint64_t half = half_of(measure::end() - t, bench);
        cost.record(half);
        return half;
    });
}

/// The additional cost of a walk through `set` bytes after a switch.
template <class RoundTrip>
void measure_refill(LinuxBench& bench, const RoundTrip& round_trip, size_t set) {
    measure::Random own_order(bench.random.next());
    WorkingSet own(set, own_order);
    measure::Series &after = bench.series("walk-after-switch", {.less_overhead = true}),
                    &without = bench.series("walk-without-switch", {.less_overhead = true}),
                    &refill = bench.series("refill");
    auto walk = [&] {
        uint64_t t = measure::begin();
        own.walk();
        return measure::end() - t;
    };
    bench.repeat([&] {
        own.walk();
        uint64_t warm = walk();
        round_trip();
        uint64_t cold = walk();
        without.record(warm);
        after.record(cold);
        refill.record(cold > warm ? cold - warm : 0);
        return cold;
    });
}

void measure_baton(LinuxBench& bench, std::string_view by, As who, size_t set) {
    std::unique_ptr<Baton> baton = baton_of(by);
    Shared<Control> control;
    measure::Random order(bench.random.next());
    Partner partner(who, bench.cpu(0), [&] {
        WorkingSet mine(set, order);
        for (;;) {
            baton->await(1);
            if (control->stop.load(std::memory_order_relaxed) != 0) return;
            mine.walk();
            baton->pass(0);
        }
    });
    auto round_trip = [&] {
        baton->pass(1);
        baton->await(0);
    };
    auto stop = [&] {
        control->stop = 1;
        baton->pass(1);
    };
    try {
        if (set == 0)
            measure_cost(bench, round_trip);
        else
            measure_refill(bench, round_trip, set);
    } catch (...) {
        stop();
        throw;
    }
    stop();
}

void body(LinuxBench& bench, const Case& test_case) {
    As who = as_of(test_case["who"]);
    std::optional<RealTime> real_time;  // a partner inherits it
    if (test_case["policy"] == "fifo") real_time.emplace();
    if (test_case["by"] == "sched_yield") return measure_yield(bench, who);
    measure_baton(bench, test_case["by"], who, test_case.number("set"));
}

uint64_t fewer(const Case& test_case) {
    return test_case.number("set") >= 1048576 ? 20 : test_case.number("set") >= 65536 ? 5 : 1;
}

}  // namespace

extern const Lab switch_lab;
constinit const Lab switch_lab = {
    "switch",  "What does changing the driver cost, and what does the next one find cold?",
    "nothing", cases,
    body,      fewer};

}  // namespace doorbell::host
