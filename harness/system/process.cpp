#include "harness/system/process.h"

#include <unistd.h>

#include <fstream>
#include <sstream>

namespace doorbell::harness {
namespace {

/// 0 where there is no such process.
uint64_t start_of(pid_t id) {
    std::ifstream in("/proc/" + std::to_string(id) + "/stat");
    std::string text;
    std::getline(in, text, '\0');
    // The second field is the program's name in parentheses, which may hold anything.
    size_t name_end = text.rfind(')');
    if (name_end == text.npos) return 0;
    std::istringstream fields(text.substr(name_end + 1));
    std::string state, skipped;
    fields >> state;
    if (state == "Z" || state == "X") return 0;
    for (int field = 4; field < 22; ++field) fields >> skipped;
    uint64_t start = 0;
    fields >> start;
    return start;
}

std::string boot_name() {
    std::ifstream in("/proc/sys/kernel/random/boot_id");
    std::string name;
    std::getline(in, name);
    return name;
}

}  // namespace

ProcessName this_process() { return {getpid(), start_of(getpid()), boot_name()}; }

bool is_alive(const ProcessName& process) {
    return process.id > 0 && process.start != 0 && process.boot == boot_name() &&
           start_of(process.id) == process.start;
}

}  // namespace doorbell::harness
