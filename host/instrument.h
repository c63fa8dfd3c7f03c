// What this Linux and its CPU are, how good the clock is, and what disturbs it: the image's
// self-statement, as far as a program can make it.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "firmware/measure/mean.h"
#include "firmware/wire/record.h"

namespace doorbell::host {

struct LinuxInstrument {
    const char* clock = "live";      ///< "exact" or "live"
    const char* unit = "tick";       ///< "insn" (exact) or "tick" (of the TSC)
    const char* evidence = "rough";  ///< "exact", "measured" or "rough"
    bool counts_instructions = false;

    uint64_t tsc_hz = 0;
    const char* tsc_source = "";
    bool tsc_invariant = false;
    std::string hypervisor;  ///< CPUID's signature; "" on bare metal

    // In `unit`.
    uint64_t overhead = 0;  ///< of a begin()/end() pair: the least; the mean in a coarse clock
    uint64_t overhead_min = 0, overhead_p50 = 0, overhead_p99 = 0;
    measure::Mean overhead_mean;  ///< of the same pairs; unknown unless the clock is coarse
    uint64_t resolution = 0;      ///< the clock's step: firmware/measure/resolution.h
    uint64_t thousand_nops = 0, call_cost = 0, noise_p99 = 0;
    uint64_t gap_scan = 0, gap_lost = 0, gap_longest = 0, gaps = 0, gap_share_ppm = 0;
    uint64_t steal_ppm = 0;  ///< of the gap scan's time, taken by the hypervisor (/proc/stat)
    bool steal_known = false;

    const char* verdict = "refused";
    std::string because;
    /// What makes this host noisy, in sentences.
    std::vector<std::string> noise;

    /// Whether the clock skips values, so that one difference is wrong by up to a step.
    bool coarse() const { return resolution > 1; }
    /// What is taken off each sample that holds one pair: the least, so that nothing is below 0 and
    /// cut off there. From a mean of such samples overhead_mean less this goes, too.
    uint64_t overhead_a_sample() const { return overhead_min; }
};

/// How this Linux's settings affect figures measured on `cpu`, in sentences; `root` is "/" except
/// in tests.
std::vector<std::string> noise_of_settings(int cpu, const std::filesystem::path& root = "/");

/// Measures on the CPU `cpu`, on which the caller already runs.
LinuxInstrument observe(int cpu);

void emit_machine(wire::Sender& sender, const LinuxInstrument& in);
/// `counters`: what counts here ("perf", "none"), and a sentence with what does not, and why.
void emit_instrument(wire::Sender& sender, const LinuxInstrument& in, const char* counters,
                     const std::string& counters_because);

}  // namespace doorbell::host
