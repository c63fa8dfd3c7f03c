// A run in the formats of other tools.
#pragma once
#include <string>
#include <vector>

#include "harness/results/stored_run.h"

namespace doorbell::harness {

/// Google Benchmark's JSON. A series is one run of a benchmark named lab/key:value/.../metric/unit,
/// with its mean as the time and aggregates for median, p99 and the like. Ticks become ns by the
/// TSC's frequency; that format has no unit for instructions: they keep their number under "ns"
/// (one instruction is one nanosecond of the machine's virtual time), and their unit is in the name
/// and in the member "unit".
std::string export_gbench(const StoredRun& stored, const std::vector<const Series*>& series);

/// HdrHistogram's percentile distribution as text, of one series.
std::string export_hgrm(const Series& series);

/// One row a bin: run, lab, case, metric, unit, evidence, part (all, or a stage), bin_low,
/// bin_high, count.
std::string export_csv(const StoredRun& stored, const std::vector<const Series*>& series);

/// JUnit XML: one suite a lab; its test cases are the claims and the failed, skipped and measured
/// cases.
std::string export_junit(const StoredRun& stored);

}  // namespace doorbell::harness
