// The kinds of record, in the order in which a run sends them, and their members; then how the
// image ends. Readers ignore members and kinds that they do not know.
#pragma once

namespace doorbell::wire {

inline constexpr const char* wire_name = "doorbell-wire/1";

// hello      {wire, image (build id), command_line}: the first record of a boot
// machine    {cpu, vendor, family, model, stepping, microcode, hypervisor ("" on bare metal),
//             accel_guess, tsc_hz, tsc_source, tsc_invariant, tsc_check_source, tsc_check_ppm,
//             apic ("xapic"|"x2apic"), lapic_hz, acpi (true|false), memory_bytes,
//             boot ("pvh"|"multiboot2"), smt (true|false|null), page_bytes (of the pages that the
//             labs' memory is in), caches: {l1d, l2, llc} (bytes by CPUID), ...}
// instrument {clock ("exact"|"live"), unit ("insn"|"tick"), evidence, timestamp_overhead,
//             overhead_min, overhead_p50, overhead_p99, timestamp_overhead_mean_milli,
//             timestamp_overhead_error_milli (thousandths; where the clock is coarse),
//             resolution (the clock's step), gap_share_ppm, gap_longest, noise_p99, smi_count,
//             instruction_counting, verdict, because, counters ("model"|"pmu"|"none"),
//             counters_because}: every time in `unit`
// flag       {text}: holds for the whole run
// plan       {cases, samples, seed, labs}: what will be run
// begin      {lab, case}: a case starts
// series     {id, lab, case, metric, unit, evidence, better ("less"|"more"|"neither"),
//             shape ("distribution"|"total"), count, min, max, sum, overhead_removed, [derived],
//             pair (true: each sample held one pair of timestamps),
//             cold: {count, min, p50, max, first}, stages: [name, ...], flags: [text, ...],
//             counters: [{name, value, evidence, stage}, ...] (or in records of their own, below)}
// histogram  {of (series id), part ("all" or a stage's name), min, max, sum (exact, of the whole
//             part), bins: [[lowest value of the bin, count], ...]}: as many records as the bins
//             need; they follow their series
// counters   {of (series id), stage ("": the whole), samples, evidence,
//             values: [[name, sum over samples], ...],
//             pair_cost: {name: what a pair of readings itself counted, taken off each sample},
//             pair_cost_ring3: the same for code in ring 3}: they follow their series
// raw        {of (series id), at (index of the first), values: [...]}: with raw=1
// tally      {lab, case, name, values: [[name, count], ...]}: what a case counted; follows its
//             series
// alive      {lab, case, frames}: a case that waits for the outside is still there
// skip       {lab, case, reason}: not measured, because this machine lacks something
// fail       {lab, case, reason}: something is wrong; series that were sound all the same precede
//             it
// claim      {lab, id, text, holds (true|false|null), because}: after the lab's last case
// error      {text, ...}: a word that was not understood, a refusal
// panic      {vector, name, error_code, rip, ..., registers: {}, control: {}, backtrace: [..],
//             lab, case, phase}
// end        {status ("done"|"refused"|"failed"), records}: the last record of a boot
namespace kind {
inline constexpr const char* hello = "hello";
inline constexpr const char* machine = "machine";
inline constexpr const char* instrument = "instrument";
inline constexpr const char* flag = "flag";
inline constexpr const char* plan = "plan";
inline constexpr const char* begin = "begin";
inline constexpr const char* series = "series";
inline constexpr const char* histogram = "histogram";
inline constexpr const char* counters = "counters";
inline constexpr const char* raw = "raw";
inline constexpr const char* tally = "tally";
inline constexpr const char* alive = "alive";
inline constexpr const char* skip = "skip";
inline constexpr const char* fail = "fail";
inline constexpr const char* claim = "claim";
inline constexpr const char* error = "error";
inline constexpr const char* panic = "panic";
inline constexpr const char* end = "end";
}  // namespace kind

/// What the image writes to isa-debug-exit (port 0xF4): value v ends QEMU with status 2v + 1.
enum class Exit : unsigned char {
    done = 0x10,  ///< QEMU ends with 33
    refused =
        0x11,  ///< 35: a word on the command line was not understood, or the instrument refused
    failed = 0x12,  ///< 37: panic
};

}  // namespace doorbell::wire
