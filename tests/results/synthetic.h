// Synthetic runs: what a machine would have sent.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <random>
#include <sstream>
#include <string>

#include "firmware/measure/histogram.h"
#include "harness/data/digest.h"
#include "harness/results/stored_run.h"
#include "tests/scratch.h"

namespace doorbell::test {

using namespace doorbell::harness;

inline void fill(Series& series, const std::vector<uint64_t>& values) {
    std::map<uint64_t, uint64_t> bins;
    series.min = ~0ull;
    for (uint64_t value : values) {
        ++bins[measure::Histogram::lowest_of(measure::Histogram::bin_of(value))];
        series.min = std::min(series.min, value);
        series.max = std::max(series.max, value);
        series.sum += value;
    }
    series.count = values.size();
    for (const auto& [value, count] : bins) series.bins.add(value, count);
}

inline Series series_of(const std::string& lab, const std::string& test_case,
                        const std::string& metric, const std::vector<uint64_t>& values,
                        const std::string& unit = "insn", const std::string& evidence = "exact") {
    Series series;
    series.lab = lab;
    series.test_case = CaseKeys::from_text(test_case);
    series.metric = metric;
    series.unit = unit;
    series.evidence = evidence;
    series.read_as("", "");
    fill(series, values);
    return series;
}

inline Stage stage_of(const std::string& name, const std::vector<uint64_t>& values) {
    Series all;
    fill(all, values);
    Stage stage;
    stage.name = name;
    stage.bins = all.bins;
    stage.min = all.min;
    stage.max = all.max;
    stage.sum = all.sum;
    return stage;
}

/// Right-skewed times around `median`, as latencies are.
inline std::vector<uint64_t> latencies(std::mt19937_64& random, size_t count, double median,
                                       double spread = 0.1) {
    std::lognormal_distribution<double> of(std::log(median), spread);
    std::vector<uint64_t> values(count);
    for (uint64_t& value : values) value = static_cast<uint64_t>(std::llround(of(random)));
    return values;
}

inline StoredRun run_of(std::vector<Series> series, const std::string& clock = "exact") {
    StoredRun stored;
    stored.name = "synthetic";
    stored.run.complete = true;
    stored.run.machine = {{"clock", clock},
                          {"type", "q35"},
                          {"accel", "tcg"},
                          {"cpu", "a CPU"},
                          {"tsc_hz", 1000000000}};
    stored.run.instrument = {{"clock", clock},
                             {"unit", clock == "exact" ? "insn" : "tick"},
                             {"resolution", 1},
                             {"verdict", "exact"},
                             {"because", "it says so"}};
    stored.run.series = std::move(series);
    stored.run.digest = digest(stored.run);
    stored.manifest = {{"schema", "doorbell-manifest/1"},
                       {"status", "complete"},
                       {"clock", clock},
                       {"machine", "q35"},
                       {"model", "off"},
                       {"samples", 100},
                       {"seed", 1}};
    return stored;
}

/// Saves the run as a folder of `scratch`.
inline fs::path save(const Scratch& scratch, const std::string& name, const StoredRun& stored) {
    scratch.write(name + "/results.json", stored.run.json().dump(2));
    scratch.write(name + "/manifest.json", stored.manifest.dump(2));
    return scratch / name;
}

inline Outcome doorbell(const Scratch& scratch, const std::string& words) {
    return shell(scratch, DOORBELL_COMMAND " " + words);
}

}  // namespace doorbell::test
