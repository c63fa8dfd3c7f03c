// Linux's performance events (perf_event_open(2)) around a piece of work: instructions, cycles,
// cache events and context switches of one thread, counted together. An unavailable event is
// absent, with the reason and what would make it available.
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace doorbell::host {

/// One counter after the work.
struct PerfCount {
    std::string name;
    std::optional<uint64_t> value;
    std::string absent;  ///< why there is no value
};

class PerfGroup {
  public:
    /// Opens the available events for thread `thread` (0: the calling one; a vCPU's thread by its
    /// id), wherever it runs, kernel and user mode alike; with `children` also the threads and
    /// processes that it makes from here on. Counts nothing yet.
    explicit PerfGroup(pid_t thread = 0, bool children = false);
    ~PerfGroup();
    PerfGroup(const PerfGroup&) = delete;
    PerfGroup& operator=(const PerfGroup&) = delete;

    void start();
    /// Ends the window: what was counted since start(), in a fixed order.
    std::vector<PerfCount> stop();
    /// Whether any event of the processor's PMU is available.
    bool has_pmu() const;
    /// Why the PMU's events are absent, in one sentence; "" where there are some.
    std::string why_no_pmu() const;

  private:
    struct Event {
        const char* name;
        uint32_t type;
        uint64_t config;
        bool hardware;
        int file = -1;
        std::string absent = {};
        uint64_t before[3] = {};
    };
    std::vector<Event> events_;
};

/// What an errno of perf_event_open means here, and what to change; `root`: "/" except in tests.
std::string perf_reason(int error, bool hardware, const std::filesystem::path& root = "/");

/// Why the kernel has no PMU, and what would change that, by the flags in /proc/cpuinfo below
/// `root`.
std::string no_pmu_reason(const std::filesystem::path& root = "/");

}  // namespace doorbell::host
