// A process, identified so that a later one with the same number is not mistaken for it.
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <string>

namespace doorbell::harness {

struct ProcessName {
    pid_t id = 0;
    uint64_t start = 0;  ///< in clock ticks since the boot: field 22 of /proc/PID/stat, proc(5)
    std::string boot;    ///< /proc/sys/kernel/random/boot_id: the kernel's own name for this boot
};

ProcessName this_process();

/// Whether that process lives, on this machine and since this boot. False where /proc cannot tell.
bool is_alive(const ProcessName& process);

}  // namespace doorbell::harness
