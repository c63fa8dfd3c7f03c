#include "host/counters/tune.h"

#include <fstream>

namespace doorbell::host {

namespace fs = std::filesystem;

Tuned tune(Settings& settings, const std::vector<int>& cpus, const fs::path& root) {
    Tuned tuned;
    auto want = [&](const fs::path& file, const std::string& value) {
        std::error_code ignored;
        if (!fs::exists(root / file, ignored)) return;  // this kernel has no such setting
        std::string before;
        std::getline(std::ifstream(root / file) >> std::ws, before);
        if (before == value) return;
        std::string trouble = settings.set(root / file, value);
        if (trouble.empty())
            tuned.changed.push_back("/" + file.string() + ": " + before + " -> " + value);
        else
            tuned.refused.push_back(trouble);
    };
    for (int cpu : cpus)
        want("sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/cpufreq/scaling_governor",
             "performance");
    want("sys/devices/system/cpu/intel_pstate/no_turbo", "1");
    want("sys/devices/system/cpu/cpufreq/boost", "0");
    // The watchdog occupies one of the PMU's counters.
    want("proc/sys/kernel/nmi_watchdog", "0");
    return tuned;
}

}  // namespace doorbell::host
