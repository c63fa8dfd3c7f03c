#include "host/counters/perf_group.h"

#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

namespace doorbell::host {

namespace fs = std::filesystem;

namespace {

constexpr uint64_t cache(uint64_t index, uint64_t result) {
    return index | PERF_COUNT_HW_CACHE_OP_READ << 8 | result << 16;
}

std::string first_word(const fs::path& file) {
    std::ifstream in(file);
    std::string word;
    in >> word;
    return word;
}

/// value, time enabled, time running.
bool read_event(int file, uint64_t (&values)[3]) {
    return read(file, values, sizeof values) == static_cast<ssize_t>(sizeof values);
}

}  // namespace

std::string no_pmu_reason(const fs::path& root) {
    std::ifstream in(root / "proc/cpuinfo");
    std::string flags;
    for (std::string line; flags.empty() && std::getline(in, line);)
        if (line.starts_with("flags")) flags = line + " ";
    auto has = [&](const char* flag) {
        return flags.find(std::string(" ") + flag + " ") != flags.npos;
    };
    // Intel's leaf 0AH, AMD's core counter extensions.
    if (has("arch_perfmon") || has("perfctr_core"))
        return "CPUID shows a PMU, but this kernel has no driver for it: look for \"Performance "
               "Events\" in dmesg, and boot without nopmu";
    if (has("hypervisor"))
        return "the hypervisor shows this virtual machine no PMU: switch its vPMU on (QEMU and "
               "KVM: -cpu host,pmu=on; VMware: vpmc.enable; Hyper-V: "
               "Set-VMProcessor -Perfmon; Xen: vpmu=on)";
    return "CPUID shows no PMU: the firmware hides it, or this processor has none";
}

std::string perf_reason(int error, bool hardware, const fs::path& root) {
    switch (error) {
        case EACCES:
        case EPERM:
            return "not allowed (perf_event_paranoid = " +
                   first_word(root / "proc/sys/kernel/perf_event_paranoid") +
                   "): sysctl kernel.perf_event_paranoid=1, or be root";
        case ENOENT:
        case ENODEV:
        case EOPNOTSUPP:
            return hardware ? no_pmu_reason(root) : "the kernel has no such event";
        case ENOSYS:
            return "the kernel is built without performance events";
        case EMFILE:
            return "too many open files (ulimit -n)";
        default:
            return std::string("perf_event_open: ") + std::strerror(error);
    }
}

constexpr uint64_t miss = PERF_COUNT_HW_CACHE_RESULT_MISS;

PerfGroup::PerfGroup(pid_t thread, bool children)
    : events_{
          {"instructions", PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS, true},
          {"cycles", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES, true},
          {"l1d_misses", PERF_TYPE_HW_CACHE, cache(PERF_COUNT_HW_CACHE_L1D, miss), true},
          {"llc_misses", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_MISSES, true},
          {"dtlb_misses", PERF_TYPE_HW_CACHE, cache(PERF_COUNT_HW_CACHE_DTLB, miss), true},
          {"branch_misses", PERF_TYPE_HARDWARE, PERF_COUNT_HW_BRANCH_MISSES, true},
          {"context_switches", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CONTEXT_SWITCHES, false},
          {"migrations", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_MIGRATIONS, false},
          {"page_faults", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS, false},
      } {
    // The processor's events are one group: they count at the same times or not at all.
    int leader = -1;
    for (Event& e : events_) {
        perf_event_attr attr{};
        attr.size = sizeof attr;
        attr.type = e.type;
        attr.config = e.config;
        attr.disabled = leader < 0 || !e.hardware;
        attr.inherit = children;
        attr.exclude_hv = 1;
        attr.read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING;
        int group = e.hardware ? leader : -1;
        e.file = static_cast<int>(
            syscall(SYS_perf_event_open, &attr, thread, -1, group, PERF_FLAG_FD_CLOEXEC));
        if (e.file < 0 && group >= 0 && errno == EINVAL) {
            // Does not fit into the group: it is counted separately, multiplexed with the others.
            attr.disabled = 1;
            e.file = static_cast<int>(
                syscall(SYS_perf_event_open, &attr, thread, -1, -1, PERF_FLAG_FD_CLOEXEC));
        }
        if (e.file < 0)
            e.absent = perf_reason(errno, e.hardware);
        else if (e.hardware && leader < 0)
            leader = e.file;
    }
}

PerfGroup::~PerfGroup() {
    for (Event& e : events_)
        if (e.file >= 0) close(e.file);
}

void PerfGroup::start() {
    for (Event& e : events_)
        if (e.file >= 0 && !read_event(e.file, e.before)) std::memset(e.before, 0, sizeof e.before);
    for (Event& e : events_)
        if (e.file >= 0) ioctl(e.file, PERF_EVENT_IOC_ENABLE, 0);
}

std::vector<PerfCount> PerfGroup::stop() {
    for (Event& e : events_)
        if (e.file >= 0) ioctl(e.file, PERF_EVENT_IOC_DISABLE, 0);
    std::vector<PerfCount> counts;
    for (Event& e : events_) {
        PerfCount count{e.name, std::nullopt, e.absent};
        uint64_t now[3];
        if (e.file >= 0 && !read_event(e.file, now)) {
            count.absent = "the kernel dropped the event from its group: too few counters";
        } else if (e.file >= 0) {
            uint64_t value = now[0] - e.before[0], enabled = now[1] - e.before[1],
                     running = now[2] - e.before[2];
            // A count over part of the time would be an estimate; drop it.
            if (running < enabled)
                count.absent = "no counter was free " +
                               std::string(running == 0 ? "" : "all the time ") +
                               "(another user of the PMU, or the NMI watchdog: --tune)";
            else
                count.value = value;
        }
        counts.push_back(std::move(count));
    }
    return counts;
}

bool PerfGroup::has_pmu() const {
    for (const Event& e : events_)
        if (e.hardware && e.file >= 0) return true;
    return false;
}

std::string PerfGroup::why_no_pmu() const {
    return has_pmu() ? std::string() : events_.front().absent;
}

}  // namespace doorbell::host
