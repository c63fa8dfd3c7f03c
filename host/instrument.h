// What this Linux and its CPU are, how good the clock is, and what disturbs it: the image's
// self-statement, as far as a program can make it.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "firmware/measure/clock_statement.h"
#include "firmware/wire/record.h"

namespace doorbell::host {

struct LinuxInstrument : measure::ClockStatement {
    uint64_t tsc_hz = 0;
    const char* tsc_source = "";
    bool tsc_invariant = false;
    std::string hypervisor;  ///< CPUID's signature; "" on bare metal

    uint64_t steal_ppm = 0;  ///< of the gap scan's time, taken by the hypervisor (/proc/stat)
    bool steal_known = false;

    const char* verdict = "refused";
    std::string because;
    /// What makes this host noisy, in sentences.
    std::vector<std::string> noise;
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
