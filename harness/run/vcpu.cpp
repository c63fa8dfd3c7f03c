#include "harness/run/vcpu.h"

#include <charconv>
#include <fstream>

#include "firmware/wire/words.h"

namespace doorbell::harness {

namespace fs = std::filesystem;

std::optional<pid_t> vcpu_thread(pid_t qemu, const fs::path& proc) {
    std::error_code error;
    for (fs::directory_iterator at(proc / std::to_string(qemu) / "task", error), end;
         !error && at != end; at.increment(error)) {
        std::ifstream in(at->path() / "comm");
        std::string name, number = at->path().filename().string();
        std::getline(in, name);
        pid_t thread = 0;
        if (name == "CPU 0/KVM" &&
            std::from_chars(number.data(), number.data() + number.size(), thread).ec == std::errc())
            return thread;
    }
    return std::nullopt;
}

void VcpuCounters::close() {
    if (open_) cases_.back().counts = group_->stop();
    open_ = false;
}

void VcpuCounters::record(const std::string& kind, const Json& record) {
    if (kind != wire::kind::begin && kind != wire::kind::claim && kind != wire::kind::end) return;
    close();
    if (kind != wire::kind::begin || qemu_ == 0 || !trouble_.empty()) return;
    if (group_ == nullptr) {
        std::optional<pid_t> thread = vcpu_thread(qemu_);
        if (!thread) {
            trouble_ = "QEMU has no thread of the name \"CPU 0/KVM\"";
            return;
        }
        group_ = std::make_unique<host::PerfGroup>(*thread);
    }
    auto lab = record.find("lab"), test_case = record.find("case");
    if (lab == record.end() || !lab->is_string() || test_case == record.end()) return;
    cases_.push_back({lab->get<std::string>(), CaseKeys::from(*test_case), {}});
    open_ = true;
    group_->start();
}

void VcpuCounters::add_to(Run& run) {
    close();
    for (const Counted& one : cases_)
        for (Series& series : run.series) {
            if (series.lab != one.lab || !(series.test_case == one.test_case)) continue;
            for (const host::PerfCount& count : one.counts) {
                if (count.value)
                    series.counters.push_back({"vcpu_" + count.name, *count.value, "measured"});
                else if (trouble_.empty())
                    trouble_ = count.absent;
            }
            break;
        }
    if (!trouble_.empty())
        run.flags.push_back("not all counters of the vCPU's thread: " + trouble_);
}

}  // namespace doorbell::harness
