// Counters on the thread that is the guest's processor, where QEMU runs on KVM: perf events of it,
// case by case. A case lasts here from the arrival of its begin record to that of the next; the
// counts include guest and host alike.
#pragma once
#include <sys/types.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "harness/data/run_data.h"
#include "host/counters/perf_group.h"

namespace doorbell::harness {

/// The thread of QEMU's process that is its first vCPU, by the name that `-name debug-threads=on`
/// gives it.
std::optional<pid_t> vcpu_thread(pid_t qemu, const std::filesystem::path& proc = "/proc");

class VcpuCounters {
  public:
    /// QEMU is running; its threads may not be there yet.
    void started(pid_t qemu) { qemu_ = qemu; }
    /// Each record, when it arrives.
    void record(const std::string& kind, const Json& record);
    /// Puts the counts into each case's first series, as "vcpu_..."; a flag gives the reason where
    /// there are none.
    void add_to(Run& run);

  private:
    struct Counted {
        std::string lab;
        CaseKeys test_case;
        std::vector<host::PerfCount> counts;
    };
    void close();

    pid_t qemu_ = 0;
    std::unique_ptr<host::PerfGroup> group_;
    std::string trouble_;
    bool open_ = false;
    std::vector<Counted> cases_;
};

}  // namespace doorbell::harness
