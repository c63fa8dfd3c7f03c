#include "host/instrument.h"

#include <cpuid.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <vector>

#include "firmware/measure/emit.h"
#include "firmware/measure/histogram.h"
#include "firmware/measure/timed_body.h"
#include "firmware/measure/timestamp.h"
#include "firmware/measure/verdict.h"
#include "firmware/measure/yardstick.h"
#include "firmware/wire/words.h"

namespace doorbell::host {
namespace {

using measure::Histogram;

[[gnu::noinline]] void empty_call() { asm volatile(""); }

void time_call(Histogram& h, uint64_t n) { measure::time_body(h, n, empty_call); }

std::string first_line(const std::filesystem::path& file) {
    std::ifstream in(file);
    std::string line;
    std::getline(in, line);
    return line;
}

/// Whether Linux's list of CPUs ("0-3,8") holds `cpu`.
bool lists(const std::string& list, int cpu) {
    std::istringstream parts(list);
    for (std::string part; std::getline(parts, part, ',');) {
        int first = 0, last = 0;
        int numbers = std::sscanf(part.c_str(), "%d-%d", &first, &last);
        if (cpu == first || (numbers == 2 && cpu > first && cpu <= last)) return numbers >= 1;
    }
    return false;
}

/// Time stolen by a hypervisor from `cpu`, in clock ticks of 1/100 s; nothing where Linux does not
/// tell.
bool read_steal(int cpu, uint64_t& steal) {
    std::ifstream in("/proc/stat");
    std::string name = "cpu" + std::to_string(cpu);
    for (std::string line; std::getline(in, line);) {
        std::istringstream words(line);
        std::string first;
        words >> first;
        if (first != name) continue;
        uint64_t value[8] = {};
        for (uint64_t& v : value)
            if (!(words >> v)) return false;
        steal = value[7];
        return true;
    }
    return false;
}

std::string hypervisor_signature() {
    unsigned a, b, c, d;
    if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c >> 31 & 1) == 0) return {};
    __cpuid(0x40000000, a, b, c, d);
    char text[13] = {};
    std::memcpy(text, &b, 4);
    std::memcpy(text + 4, &c, 4);
    std::memcpy(text + 8, &d, 4);
    return text;
}

uint64_t now_ns() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC_RAW, &t);
    return static_cast<uint64_t>(t.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(t.tv_nsec);
}

/// SDM vol. 2A, CPUID leaf 15H; 0: unknown.
uint64_t crystal_hz() {
    unsigned a, b, c, d;
    if (__get_cpuid_max(0, nullptr) < 0x15) return 0;
    __cpuid(0x15, a, b, c, d);
    return a != 0 && b != 0 ? static_cast<uint64_t>(c) * b / a : 0;
}

/// Counted against CLOCK_MONOTONIC_RAW for a fifth of a second.
uint64_t counted_hz() {
    auto pair = [](uint64_t& tsc, uint64_t& ns) {
        uint64_t least = ~0ull;
        for (int i = 0; i < 20; ++i) {
            uint64_t before = measure::end(), t = now_ns(), after = measure::end();
            if (after - before >= least) continue;
            least = after - before;
            tsc = before + (after - before) / 2;
            ns = t;
        }
    };
    uint64_t tsc0 = 0, ns0 = 0, tsc1 = 0, ns1 = 0;
    pair(tsc0, ns0);
    while (now_ns() - ns0 < 200'000'000) {
    }
    pair(tsc1, ns1);
    return static_cast<uint64_t>(static_cast<unsigned __int128>(tsc1 - tsc0) * 1'000'000'000 /
                                 (ns1 - ns0));
}

/// The kernel has checked its clock: prefer it where CPUID disagrees.
void find_frequency(LinuxInstrument& in, measure::Observed& seen) {
    uint64_t crystal = crystal_hz(), counted = counted_hz();
    uint64_t apart = crystal > counted ? crystal - counted : counted - crystal;
    bool agree = crystal == 0 || apart <= counted / 1000;
    in.tsc_hz = crystal != 0 && agree ? crystal : counted;
    in.tsc_source = crystal != 0 && agree ? "CPUID.15H" : "CLOCK_MONOTONIC_RAW";
    seen.rate_sources = 2;
    seen.rate_agree = agree ? 2 : 1;
}

/// By the image's rules, except those about interrupts, which a program cannot measure.
void judge(LinuxInstrument& in, measure::Observed& seen) {
    if (in.counts_instructions) {
        in.verdict = "exact";
        in.because = "1000 NOPs are 1000 ticks in an emulator: this clock counts instructions";
        return;
    }
    seen.thousand_nops = in.thousand_nops;
    seen.call_cost = in.call_cost;
    seen.interrupt_cost = ~0ull;
    seen.resolution = in.resolution;
    seen.gap_share_ppm = in.gap_share_ppm;
    seen.tcg = in.hypervisor == "TCGTCGTCGTCG";
    seen.invariant = in.tsc_invariant;
    measure::Judgement j = measure::judge(seen);
    in.evidence = measure::name_of(j.evidence);
    in.verdict = measure::name_of(j.verdict);
    in.because = j.because;
}

void look_for_noise(LinuxInstrument& in, int cpu) {
    if (in.counts_instructions)
        return;  // the kernel's own work is part of the count, and the same in every run
    if (in.gap_share_ppm > 1000)
        in.noise.push_back("noisy host: " + std::to_string(in.gap_share_ppm) + " ppm of CPU " +
                           std::to_string(cpu) +
                           "'s time went elsewhere while the clock was watched, the longest gap " +
                           std::to_string(in.gap_longest * 1'000'000 / in.tsc_hz) + " us");
    if (in.steal_known && in.steal_ppm > 1000)
        in.noise.push_back("noisy host: the hypervisor stole " + std::to_string(in.steal_ppm) +
                           " ppm of CPU " + std::to_string(cpu));
    for (std::string& text : noise_of_settings(cpu)) in.noise.push_back(std::move(text));
    if (!in.hypervisor.empty())
        in.noise.push_back(
            "a virtual machine (" + in.hypervisor +
            "): governor, turbo and SMT are the host's affair and not seen from here");
}

}  // namespace

std::vector<std::string> noise_of_settings(int cpu, const std::filesystem::path& root) {
    std::vector<std::string> noise;
    std::filesystem::path cpus = root / "sys/devices/system/cpu",
                          own = cpus / ("cpu" + std::to_string(cpu));
    std::string governor = first_line(own / "cpufreq/scaling_governor");
    if (!governor.empty() && governor != "performance")
        noise.push_back("frequency governor is " + governor + ", not performance");
    if (first_line(cpus / "intel_pstate/no_turbo") == "0" ||
        first_line(cpus / "cpufreq/boost") == "1")
        noise.push_back("turbo is on: cycles and ticks differ from moment to moment");
    std::string siblings = first_line(own / "topology/thread_siblings_list");
    if (siblings.find_first_of(",-") != siblings.npos)
        noise.push_back("SMT: CPU " + std::to_string(cpu) + " shares its core (siblings " +
                        siblings + ")");
    if (!lists(first_line(cpus / "isolated"), cpu))
        noise.push_back("CPU " + std::to_string(cpu) +
                        " is not isolated: the labs share it with everything else");
    return noise;
}

LinuxInstrument observe(int cpu) {
    LinuxInstrument in;
    in.hypervisor = hypervisor_signature();
    unsigned a, b, c, d;
    in.tsc_invariant = __get_cpuid(0x80000007, &a, &b, &c, &d) != 0 && (d >> 8 & 1) != 0;

    auto overhead = std::make_unique<Histogram>(), body = std::make_unique<Histogram>();
    measure::observe_pair(in, *overhead);
    in.call_cost = measure::typical(in, *body, time_call);
    in.thousand_nops = measure::typical(in, *body, measure::time_nops);
    in.noise_p99 = body->percentile(99000) - body->percentile(50000);
    measure::Observed seen;
    seen.pair = measure::spread_of(*overhead);
    seen.nops = measure::spread_of(*body);

    // A tick of the kernel may fall into a sample in a hundred; the others are identical.
    bool same = in.overhead_min == in.overhead_p99 && body->min() == body->percentile(90000);
    in.counts_instructions = in.hypervisor == "TCGTCGTCGTCG" && same && in.thousand_nops == 1000;
    if (in.counts_instructions) {
        in.clock = "exact";
        in.unit = "insn";
        in.evidence = "exact";
        in.tsc_hz = 1'000'000'000;
        in.tsc_source = "QEMU -icount shift=0";
    } else {
        find_frequency(in, seen);
    }

    uint64_t steal0 = 0, steal1 = 0;
    in.steal_known = read_steal(cpu, steal0);
    measure::observe_gaps(in, in.counts_instructions ? in.tsc_hz / 1000 : in.tsc_hz / 5);
    if (in.steal_known && read_steal(cpu, steal1)) {
        double seconds = static_cast<double>(in.gap_scan) / static_cast<double>(in.tsc_hz);
        double stolen =
            static_cast<double>(steal1 - steal0) / static_cast<double>(sysconf(_SC_CLK_TCK));
        in.steal_ppm = static_cast<uint64_t>(1e6 * stolen / seconds);
    }
    judge(in, seen);
    look_for_noise(in, cpu);
    return in;
}

void emit_machine(wire::Sender& sender, const LinuxInstrument& in) {
    utsname name{};
    uname(&name);
    std::string model;
    std::ifstream cpuinfo("/proc/cpuinfo");
    for (std::string line; model.empty() && std::getline(cpuinfo, line);)
        if (line.starts_with("model name") && line.find(": ") != line.npos)
            model = line.substr(line.find(": ") + 2);
    wire::Json& j = sender.begin(wire::kind::machine);
    j.member("cpu", std::string_view(model)).member("hypervisor", std::string_view(in.hypervisor));
    j.member("tsc_hz", in.tsc_hz)
        .member("tsc_source", in.tsc_source)
        .member("tsc_invariant", in.tsc_invariant);
    j.member("os", name.sysname)
        .member("os_release", name.release)
        .member("os_version", name.version);
    j.member("cpus", sysconf(_SC_NPROCESSORS_ONLN));
    j.member("memory_bytes", static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) *
                                 static_cast<uint64_t>(sysconf(_SC_PAGESIZE)));
    j.member("clocksource",
             std::string_view(
                 first_line("/sys/devices/system/clocksource/clocksource0/current_clocksource")));
    std::string smt = first_line("/sys/devices/system/cpu/smt/active");
    if (smt.empty())
        j.key("smt").null();
    else
        j.member("smt", smt == "1");
    // What the loads' memory asks for: labs/prices.cpp flags what it did not get.
    std::string large = first_line("/sys/kernel/mm/transparent_hugepage/enabled");
    bool given = !large.empty() && large.find("[never]") == large.npos;
    j.member("page_bytes", given ? 2u << 20 : 4096u);
    j.key("caches").object();
    for (const auto& [name, which] : {std::pair{"l1d", _SC_LEVEL1_DCACHE_SIZE},
                                      {"l2", _SC_LEVEL2_CACHE_SIZE},
                                      {"llc", _SC_LEVEL3_CACHE_SIZE}})
        if (long bytes = sysconf(which); bytes > 0) j.member(name, static_cast<uint64_t>(bytes));
    j.end();
    sender.send();
}

void emit_instrument(wire::Sender& sender, const LinuxInstrument& in, const char* counters,
                     const std::string& counters_because) {
    wire::Json& j = sender.begin(wire::kind::instrument);
    measure::put_clock(j, in, in.verdict, in.because);
    if (in.steal_known)
        j.member("steal_ppm", in.steal_ppm);
    else
        j.key("steal_ppm").null();
    j.key("smi_count").null();
    j.member("counters", counters).member("counters_because", std::string_view(counters_because));
    sender.send();
    for (const std::string& text : in.noise) {
        sender.begin(wire::kind::flag).member("text", std::string_view(text));
        sender.send();
    }
}

}  // namespace doorbell::host
