// How does a Linux process learn of a signal, and what becomes of its work when it is told to stop?
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <optional>

#include "host/bench.h"
#include "host/clock.h"
#include "host/lab.h"
#include "host/partner.h"

namespace doorbell::host {
namespace {

// running: the process sends to itself. blocked: to another process on the same CPU, which sleeps
// until then.
constexpr Case cases[] = {
    "signal=SIGUSR1 by=kill to=handler target=running",
    "signal=SIGUSR1 by=sigqueue to=handler target=running",
    "signal=SIGUSR1 by=kill to=signalfd target=running",
    "signal=SIGUSR1 by=kill to=handler target=blocked",
    "signal=SIGUSR1 by=sigqueue to=handler target=blocked",
    "signal=SIGUSR1 by=kill to=signalfd target=blocked",
    "signal=SIGTERM drain=none",
    "signal=SIGTERM drain=handler",
    "signal=SIGTERM drain=signalfd",
    "signal=SIGKILL drain=handler",
};

/// How long to wait for the other process: longer than a loaded machine suspends it.
constexpr uint64_t timeout_s = 20;
[[noreturn]] void no_answer(const char* who) {
    throw Wrong(std::string(who) + " within " + std::to_string(timeout_s) + " s");
}

/// What a handler records; shared, so that the sender reads it too.
struct Event {
    std::atomic<uint64_t> known;  ///< 0: not yet
    std::atomic<uint32_t> ready, stop;
};
Event* event = nullptr;

void on_signal(int) { event->known.store(measure::end(), std::memory_order_relaxed); }
void on_siginfo(int, siginfo_t*, void*) { on_signal(0); }

/// Installs a handler, or blocks the signal, and puts back what was there.
class Reception {
  public:
    Reception(int number, bool handler, bool siginfo) : number_(number) {
        struct sigaction action{};
        if (siginfo) {
            action.sa_sigaction = on_siginfo;
            action.sa_flags = SA_SIGINFO;
        } else {
            action.sa_handler = on_signal;
        }
        sigaction(number, &action, &old_action_);
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, number);
        sigprocmask(handler ? SIG_UNBLOCK : SIG_BLOCK, &set, &old_mask_);
    }
    ~Reception() {
        sigaction(number_, &old_action_, nullptr);
        sigprocmask(SIG_SETMASK, &old_mask_, nullptr);
    }
    Reception(const Reception&) = delete;

  private:
    int number_;
    struct sigaction old_action_{};
    sigset_t old_mask_{};
};

File open_signalfd(int number) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, number);
    File file(signalfd(-1, &set, SFD_CLOEXEC));
    if (*file < 0) skip_errno("signalfd");
    return file;
}

bool read_signalfd(const File& file) {
    signalfd_siginfo info;
    return read(*file, &info, sizeof info) == sizeof info;
}

void send(pid_t to, bool queue) {
    if (queue)
        sigqueue(to, SIGUSR1, sigval{});
    else
        kill(to, SIGUSR1);
}

void to_itself(LinuxBench& bench, bool queue, bool handler) {
    Shared<Event> shared;
    event = &*shared;
    Reception reception(SIGUSR1, handler, queue);
    std::optional<File> file;
    if (!handler) file = open_signalfd(SIGUSR1);
    measure::Series& latency = bench.series("latency");
    pid_t self = getpid();
    bench.repeat([&] {
        shared->known = 0;
        uint64_t t = measure::begin();
        send(self, queue);
        uint64_t known;
        if (handler) {
            // Linux delivers to the sender itself before kill() returns (kill(2), "Notes").
            known = shared->known;
            if (known == 0) throw Wrong("the signal was not delivered before kill() returned");
        } else {
            read_signalfd(*file);
            known = measure::end();
        }
        uint64_t ticks = known - t;
        latency.record(ticks);
        return ticks;
    });
    event = nullptr;
}

void to_sleeper(LinuxBench& bench, bool queue, bool handler) {
    Shared<Event> shared;
    event = &*shared;
    Partner partner(As::process, bench.cpu(0), [&] {
        std::optional<File> file;
        sigset_t waiting;
        sigemptyset(&waiting);
        // Blocked except while it sleeps: a signal that comes earlier is not lost.
        Reception reception(SIGUSR1, false, queue);
        if (!handler) file = open_signalfd(SIGUSR1);
        shared->ready = 1;
        while (shared->stop == 0) {
            if (handler) {
                sigsuspend(&waiting);
            } else if (read_signalfd(*file)) {
                shared->known = measure::end();
            }
        }
    });
    measure::Series& latency = bench.series("latency");
    auto stop = [&] {
        shared->stop = 1;
        kill(partner.pid(), SIGUSR1);
    };
    uint64_t timeout = timeout_s * bench.instrument.tsc_hz;
    try {
        for (uint64_t t = measure::end(); shared->ready == 0;) {
            if (measure::end() - t > timeout) no_answer("the sleeper did not start");
            sched_yield();
        }
        bench.repeat([&] {
            // It shares this CPU: after a yield or two it sleeps again. A short sleep makes sure.
            timespec pause{0, 20'000};
            clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, nullptr);
            shared->known = 0;
            uint64_t t = measure::begin(), known;
            send(partner.pid(), queue);
            while ((known = shared->known.load(std::memory_order_relaxed)) == 0) {
                if (measure::end() - t > timeout) no_answer("the sleeper did not answer");
                sched_yield();
            }
            uint64_t ticks = known - t;
            latency.record(ticks);
            return ticks;
        });
    } catch (...) {
        stop();
        event = nullptr;
        throw;
    }
    stop();
    event = nullptr;
}

// The drain: a process commits batches to a log until it is told to stop. It begins a batch, writes
// its records one by one, and commits it. A batch that is begun and not committed when the process
// ends is torn.

constexpr uint64_t batch_records = 64;
struct Log {
    std::atomic<uint64_t> begun, committed, records;
    std::atomic<uint64_t> accepted;  ///< records that the process reported as taken
    std::atomic<uint32_t> ready;
};
volatile sig_atomic_t asked_to_stop = 0;
void on_term(int) { asked_to_stop = 1; }

void worker(Log& log, std::string_view drain) {
    std::optional<File> file;
    asked_to_stop = 0;
    if (drain == "handler") {
        struct sigaction action{};
        action.sa_handler = on_term;
        sigaction(SIGTERM, &action, nullptr);
    } else if (drain == "signalfd") {
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGTERM);
        sigprocmask(SIG_BLOCK, &set, nullptr);
        file = File(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    }
    log.ready = 1;
    while (asked_to_stop == 0 && !(file && read_signalfd(*file))) {
        log.begun.fetch_add(1);
        for (uint64_t i = 0; i < batch_records; ++i) {
            log.accepted.fetch_add(1);
            for (int k = 0; k < 20; ++k) asm volatile("" : : : "memory");
            log.records.fetch_add(1);
        }
        log.committed.fetch_add(1);
    }
}

void measure_drain(LinuxBench& bench, int number, std::string_view drain) {
    measure::Series &latency = bench.series("latency"),
                    &committed = bench.series(
                        "committed",
                        {.unit = "batch", .better = Better::more, .shape = Shape::total}),
                    &torn = bench.series("torn", {.unit = "batch", .shape = Shape::total}),
                    &lost = bench.series("lost", {.unit = "record", .shape = Shape::total});
    bench.repeat([&] {
        Shared<Log> log;
        Partner partner(As::process, bench.cpu(1), [&] { worker(*log, drain); });
        uint64_t t = measure::end();
        while (log->ready == 0) {
            if (measure::end() - t > timeout_s * bench.instrument.tsc_hz)
                no_answer("the worker did not start");
            sched_yield();
        }
        // At a point of its work that the seed chooses.
        uint64_t wait =
            bench.instrument.tsc_hz / 20000 + bench.random.below(bench.instrument.tsc_hz / 5000);
        for (uint64_t now = measure::end(); measure::end() - now < wait;)
            if (!bench.two_cpus()) sched_yield();
        uint64_t sent = measure::begin();
        kill(partner.pid(), number);
        partner.join();
        uint64_t ticks = measure::end() - sent;
        latency.record(ticks);
        committed.record(log->committed);
        torn.record(log->begun - log->committed);
        // Taken, but not in a committed batch.
        lost.record(log->accepted - log->committed * batch_records);
        return ticks;
    });
}

void body(LinuxBench& bench, const Case& test_case) {
    if (!test_case["drain"].empty())
        return measure_drain(bench, test_case["signal"] == "SIGKILL" ? SIGKILL : SIGTERM,
                             test_case["drain"]);
    bool queue = test_case["by"] == "sigqueue", handler = test_case["to"] == "handler";
    if (test_case["target"] == "running")
        to_itself(bench, queue, handler);
    else
        to_sleeper(bench, queue, handler);
}

uint64_t fewer(const Case& test_case) { return test_case["drain"].empty() ? 1 : 10; }

}  // namespace

extern const Lab signals_lab;
constinit const Lab signals_lab = {"signals",
                                   "How does a Linux process learn of a signal, and what becomes "
                                   "of its work when it is told to stop?",
                                   "nothing",
                                   cases,
                                   body,
                                   fewer};

}  // namespace doorbell::host
