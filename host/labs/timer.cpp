// When a deadline passes, how soon does a Linux program know it? The deadline is an instant of
// CLOCK_MONOTONIC, counted in ticks of the TSC from a reading of both clocks; `latency` runs from
// there to the first timestamp of the code that knows it.
#include <sys/timerfd.h>
#include <unistd.h>

#include <optional>

#include "host/bench.h"
#include "host/clock.h"
#include "host/lab.h"
#include "host/partner.h"

namespace doorbell::host {
namespace {

constexpr Case cases[] = {
    "source=nanosleep policy=other", "source=nanosleep policy=fifo", "source=timerfd policy=other",
    "source=timerfd policy=fifo",    "source=rdtsc policy=other",    "source=rdtsc policy=fifo",
    "source=vdso policy=other",      "source=vdso policy=fifo",
};

/// The distance of a deadline; the seed adds up to a quarter, so that no phase is favoured.
constexpr uint64_t spacing_ns = 200'000;

class Deadlines {
  public:
    explicit Deadlines(LinuxBench& bench)
        : bench_(bench), spacing_(bench.setting("spacing", spacing_ns)) {}
    /// Sets the next one.
    void next() {
        Instant now = instant();
        ns = now.ns + spacing_ + bench_.random.below(spacing_ / 4 + 1);
        tick = now.tick_at(ns, bench_.instrument.tsc_hz);
    }
    uint64_t ns = 0, tick = 0;

  private:
    LinuxBench& bench_;
    uint64_t spacing_;
};

/// `wait(deadline)` returns the first timestamp after the wait.
template <class Wait>
void measure_waits(LinuxBench& bench, Wait&& wait) {
    measure::Series& latency = bench.series("latency");
    Deadlines deadline(bench);
    uint64_t early = 0;
    bench.repeat([&] {
        deadline.next();
        uint64_t known = wait(deadline);
        // The two clocks' rates differ by a few ppm: being early by that much is not an error.
        uint64_t late = known >= deadline.tick ? known - deadline.tick : (++early, 0);
        latency.record(late);
        return late;
    });
    if (early != 0)
        bench.count("known before the deadline (the clocks' difference), taken as 0", early);
}

void body(LinuxBench& bench, const Case& test_case) {
    std::optional<RealTime> real_time;
    if (test_case["policy"] == "fifo") real_time.emplace();
    std::string_view source = test_case["source"];
    if (source == "nanosleep") {
        measure_waits(bench, [](const Deadlines& deadline) {
            timespec at = timespec_of(deadline.ns);
            while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, nullptr) != 0) {
            }
            return measure::end();
        });
    } else if (source == "timerfd") {
        File timer(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
        if (*timer < 0) skip_errno("timerfd_create");
        measure_waits(bench, [&](const Deadlines& deadline) {
            itimerspec at{{}, timespec_of(deadline.ns)};
            timerfd_settime(*timer, TFD_TIMER_ABSTIME, &at, nullptr);
            uint64_t expirations;
            if (read(*timer, &expirations, sizeof expirations) != sizeof expirations)
                wrong_errno("reading a timerfd");
            return measure::end();
        });
    } else if (source == "rdtsc") {
        measure_waits(bench, [](const Deadlines& deadline) {
            uint64_t now;
            do now = measure::end();
            while (now < deadline.tick);
            return now;
        });
    } else {
        measure_waits(bench, [](const Deadlines& deadline) {
            while (monotonic_ns() < deadline.ns) {
            }
            return measure::end();
        });
    }
}

}  // namespace

extern const Lab timer_lab;
constinit const Lab timer_lab = {"timer",
                                 "When a deadline passes, how soon does a Linux program know?",
                                 "SCHED_FIFO: CAP_SYS_NICE", cases, body};

}  // namespace doorbell::host
