// doorbell doctor: what this machine can and cannot measure, and what to change.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "harness/commands/commands.h"
#include "harness/machine/kvm.h"
#include "harness/results/table/table.h"
#include "harness/run/options.h"
#include "harness/run/qemu_run.h"
#include "harness/system/ending.h"
#include "harness/system/escape.h"
#include "harness/system/output.h"
#include "host/counters/pcm.h"
#include "host/counters/perf_group.h"
#include "host/counters/settings.h"

namespace doorbell::harness {

namespace fs = std::filesystem;
namespace po = boost::program_options;

namespace {

struct Finding {
    enum class State { good, bad, unknown };
    std::string what;
    State state;
    std::string found;
    std::string change;  ///< what to do about it; "" for nothing
};
using State = Finding::State;

std::string first_line(const fs::path& file) {
    std::ifstream in(file);
    std::string line;
    std::getline(in, line);
    return line;
}

std::string cpu_flags(const fs::path& root) {
    std::ifstream in(root / "proc/cpuinfo");
    for (std::string line; std::getline(in, line);)
        if (line.starts_with("flags")) return line + " ";
    return {};
}

Finding qemu(const std::string& path) {
    try {
        return {"QEMU", State::good, check_qemu(path) + ": the exact clock, on every machine type",
                ""};
    } catch (const Interrupted&) {
        throw;
    } catch (const NoQemu& failure) {
        return {"QEMU", State::bad, failure.what(),
                "apt-get install qemu-system-x86 (7.2 or newer)"};
    } catch (const Failure& failure) {
        return {"QEMU", State::bad, failure.what(), ""};
    }
}

Finding image() {
    fs::path path = image_path("");
    if (fs::is_regular_file(path)) return {"image", State::good, text_of_path(path), ""};
    return {"image", State::bad, "there is none at " + text_of_path(path), "make"};
}

Finding kvm(const fs::path& root) {
    Kvm kvm = look_for_kvm(root);
    if (kvm.usable)
        return {"KVM", State::good, kvm.because + ": --clock live --accel kvm measures", ""};
    return {"KVM", State::bad, kvm.because,
            "measure in the exact clock, or on a machine with virtualization; emulation's time is "
            "rough"};
}

/// The kernel's own finding about the counter outweighs CPUID: a
/// clocksource watchdog, firmware or a resync may have rejected it.
Finding tsc(const fs::path& root) {
    const char* what = "time stamp counter";
    const char* change =
        "ticks do not measure time here: fix the frequency, or use another machine";
    std::string flags = cpu_flags(root);
    bool constant = flags.find(" constant_tsc ") != flags.npos,
         nonstop = flags.find(" nonstop_tsc ") != flags.npos;
    if (!constant || !nonstop)
        return {what, State::bad,
                fmt::format("not invariant: {}{}", constant ? "" : "no constant_tsc ",
                            nonstop ? "" : "no nonstop_tsc"),
                change};
    fs::path sources = root / "sys/devices/system/clocksource/clocksource0";
    std::string current = first_line(sources / "current_clocksource"),
                available = " " + first_line(sources / "available_clocksource") + " ";
    const std::string invariant = "invariant (constant_tsc, nonstop_tsc)";
    const bool rejected = current == "acpi_pm" || current == "hpet" || current == "pit" ||
                          current.ends_with("jiffies");
    // Any other clock (tsc, a hypervisor's) is derived from the counter.
    if (!rejected) return {what, State::good, invariant, ""};
    if (available.find(" tsc ") == available.npos)
        return {what, State::bad,
                fmt::format("promised {}, but the kernel has rejected it: its clock is {}, and tsc "
                            "is not available",
                            invariant, current),
                "dmesg | grep -i tsc says why (unstable, firmware, sockets out of step)"};
    return {what, State::bad,
            fmt::format("promised {}, but the kernel's clock is {}, although tsc is available",
                        invariant, current),
            "echo tsc > /sys/devices/system/clocksource/clocksource0/current_clocksource, unless "
            "dmesg | grep -i tsc says that it is unstable"};
}

Finding governor(const fs::path& root) {
    std::string name = first_line(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
    if (name.empty())
        return {"frequency governor", State::unknown,
                "the kernel offers none (a virtual machine, or no cpufreq driver)", ""};
    if (name == "performance") return {"frequency governor", State::good, name, ""};
    return {"frequency governor", State::bad, name,
            "echo performance | tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"};
}

Finding turbo(const fs::path& root) {
    std::string intel = first_line(root / "sys/devices/system/cpu/intel_pstate/no_turbo");
    std::string boost = first_line(root / "sys/devices/system/cpu/cpufreq/boost");
    if (intel.empty() && boost.empty())
        return {"turbo", State::unknown, "the kernel does not say", ""};
    bool off = intel.empty() ? boost == "0" : intel == "1";
    if (off) return {"turbo", State::good, "off", ""};
    return {"turbo", State::bad, "on: cycles and ticks differ from moment to moment",
            intel.empty() ? "echo 0 > /sys/devices/system/cpu/cpufreq/boost"
                          : "echo 1 > /sys/devices/system/cpu/intel_pstate/no_turbo"};
}

Finding smt(const fs::path& root) {
    std::string control = first_line(root / "sys/devices/system/cpu/smt/control");
    if (control.empty()) return {"SMT", State::unknown, "the kernel does not say", ""};
    if (first_line(root / "sys/devices/system/cpu/smt/active") != "1")
        return {"SMT", State::good, "not active (" + control + ")", ""};
    return {"SMT", State::bad, "active: a sibling thread shares the core",
            "echo off > /sys/devices/system/cpu/smt/control"};
}

/// Splits a reason of host/counters at its first ": " into the finding and its remedy.
Finding reasoned(const std::string& what, const std::string& why, const std::string& otherwise) {
    size_t colon = why.find(": ");
    return {what, State::bad, why.substr(0, colon),
            colon == why.npos ? otherwise : why.substr(colon + 2)};
}

Finding pmu(const fs::path& root) {
    std::string flags = cpu_flags(root);
    for (const char* flag : {"arch_perfmon", "perfctr_core"})
        if (flags.find(std::string(" ") + flag + " ") != flags.npos)
            return {"PMU", State::good, std::string("CPUID shows one (") + flag + ")", ""};
    return reasoned("PMU", host::no_pmu_reason(root), "");
}

Finding paranoid(const fs::path& root) {
    std::string level = first_line(root / "proc/sys/kernel/perf_event_paranoid");
    if (level.empty())
        return {"perf_event_paranoid", State::bad,
                "there is none: the kernel is built without performance events",
                "a kernel with CONFIG_PERF_EVENTS"};
    if (geteuid() == 0)
        return {"perf_event_paranoid", State::good, level + ", and root may count all the same",
                ""};
    if (std::atoi(level.c_str()) <= 1) return {"perf_event_paranoid", State::good, level, ""};
    return {"perf_event_paranoid", State::bad,
            level + ": this user may not count what the kernel does",
            "sysctl kernel.perf_event_paranoid=1, or be root"};
}

Finding perf() {
    host::PerfGroup events;
    std::string counted;
    events.start();
    for (const host::PerfCount& c : events.stop())
        if (c.absent.empty()) counted += (counted.empty() ? "" : ", ") + c.name;
    if (events.has_pmu()) return {"perf events", State::good, counted, ""};
    Finding finding = reasoned("perf events", events.why_no_pmu(), "");
    finding.found = (counted.empty() ? "none" : "only " + counted) + ": " + finding.found;
    return finding;
}

Finding pcm(const fs::path& root) {
    host::PcmState state = host::look_for_pcm(root);
    return {"Intel PCM", state.usable ? State::good : State::bad, state.because, state.change};
}

Finding settings(const fs::path& root) {
    fs::path journal = host::settings_journal(root);
    std::ifstream in(journal);
    std::string owner, line, files;
    std::getline(in, owner);
    owner.resize(std::min(owner.find(' '), owner.size()));
    while (std::getline(in, line))
        files += (files.empty() ? "" : ", ") + line.substr(0, line.find('\t'));
    if (files.empty()) return {"host settings", State::good, "none is left changed by a run", ""};
    if (fs::exists("/proc/" + owner))
        return {"host settings", State::unknown,
                "changed by a run of process " + owner + ": " + files, ""};
    return {"host settings", State::bad, "left changed by a run that was killed: " + files,
            "doorbell host, which puts them back when it starts"};
}

Finding model() {
    fs::path plugin = beside_command("doorbell-model.so");
    if (fs::is_regular_file(plugin))
        return {"cache model", State::good, "doorbell run loads it in the exact clock", ""};
    return {"cache model", State::bad, "there is none at " + text_of_path(plugin), "make"};
}

Finding isolation(const fs::path& root) {
    std::string isolated = first_line(root / "sys/devices/system/cpu/isolated");
    if (!isolated.empty()) return {"isolated CPUs", State::good, isolated, ""};
    return {"isolated CPUs", State::bad,
            "none: the Linux labs share their CPU with everything else",
            "boot with isolcpus=N nohz_full=N rcu_nocbs=N"};
}

Finding msr(const fs::path& root) {
    fs::path file = root / "dev/cpu/0/msr";
    if (access(file.c_str(), R_OK) == 0)
        return {"MSRs", State::good, "/dev/cpu/0/msr can be read", ""};
    bool there = fs::exists(file);
    return {"MSRs", State::bad,
            there ? "/dev/cpu/0/msr cannot be read by this user" : "there is no /dev/cpu/0/msr",
            there ? "be root" : "modprobe msr (for the SMI count and PCM)"};
}

const char* word(State state) {
    return state == State::good ? "ok" : state == State::bad ? "no" : "?";
}

po::options_description doctor_options() {
    po::options_description options("Options", 100);
    options.add_options()("json", po::bool_switch(), "as JSON")(
        "qemu", po::value<std::string>()->default_value("qemu-system-x86_64"),
        "the QEMU to look at")  //
        ("root", po::value<std::string>()->default_value("/"),
         "where /proc, /sys, /dev and programs are looked for (for tests)");
    return options;
}

int run_doctor(const po::variables_map& map) {
    fs::path root = map["root"].as<std::string>();
    std::vector<Finding> findings{qemu(map["qemu"].as<std::string>()),
                                  image(),
                                  kvm(root),
                                  tsc(root),
                                  governor(root),
                                  turbo(root),
                                  smt(root),
                                  pmu(root),
                                  paranoid(root),
                                  perf(),
                                  pcm(root),
                                  model(),
                                  isolation(root),
                                  msr(root),
                                  settings(root)};
    bool exact = findings[0].state == State::good && findings[1].state == State::good;
    std::string summary = !exact ? "cannot run the image in QEMU: see the lines above"
                          : findings[2].state == State::good
                              ? "exact clock: yes; live clock: measured, with --accel kvm"
                              : "exact clock: yes; live clock: rough only (emulation)";
    if (map["json"].as<bool>()) {
        Json all = Json::array();
        for (const Finding& one : findings)
            all.push_back(
                {{"what", one.what},
                 {"ok", one.state == State::unknown ? Json() : Json(one.state == State::good)},
                 {"found", one.found},
                 {"change", one.change}});
        write_out(json_document({{"findings", all}, {"summary", summary}}));
        return 0;
    }
    for (const Finding& one : findings) {
        say("{}", wrapped(fmt::format("{:<3} {:<19} ", word(one.state), one.what), one.found));
        if (!one.change.empty()) say("{}", wrapped(std::string(24, ' ') + "-> ", one.change));
    }
    say("\n{}", wrapped("here: ", summary));
    return 0;
}

}  // namespace

const Command doctor_command = {
    .name = "doctor",
    .words = "",
    .summary = "show what this machine can measure, and what to change",
    .help = "What this machine can and cannot measure, and what to change.",
    .options = doctor_options,
    .run = run_doctor};

}  // namespace doorbell::harness
