#include "harness/results/export.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "firmware/measure/histogram.h"
#include "harness/data/run_data.h"
#include "harness/results/predict/predict_text.h"
#include "harness/system/escape.h"
#include "harness/text/number.h"

namespace doorbell::harness {
namespace {

using Shape = measure::Histogram;

uint64_t highest_in_bin(uint64_t lowest, uint64_t max) {
    uint64_t highest = Shape::highest_of(Shape::bin_of(std::min(lowest, Shape::top_value)));
    return highest == Shape::top_value || highest > max ? std::max(lowest, max) : highest;
}

std::string benchmark_name(const Series& series) {
    std::string name = series.lab;
    for (const auto& [key, value] : series.test_case.pairs()) name += "/" + key + ":" + value;
    return name + "/" + series.metric + "/" + series.unit;
}

/// The format's time unit for a unit, and the factor; nothing where the unit is not a time.
std::optional<std::pair<const char*, double>> time_of(const std::string& unit, double tsc_hz) {
    if (unit == "insn") return std::pair{"ns", 1.0};
    if (unit == "tick" && tsc_hz > 0) return std::pair{"ns", 1e9 / tsc_hz};
    for (const char* same : {"ns", "us", "ms", "s"})
        if (unit == same) return std::pair{same, 1.0};
    return std::nullopt;
}

std::string quoted(const std::string& raw) {
    std::string text = one_line(raw);
    if (text.find_first_of(",\"\r\n") == text.npos) return text;
    std::string all = "\"";
    for (char c : text) all += c == '"' ? std::string("\"\"") : std::string(1, c);
    return all + "\"";
}

double deviation(const Series& series) {
    double sum = 0, mean = series.mean();
    for (const auto& [value, count] : series.bins.pairs()) {
        double apart = middle_of_bin(value, series.min, series.max) - mean;
        sum += apart * apart * static_cast<double>(count);
    }
    return std::sqrt(sum / static_cast<double>(series.count));
}

struct Suite {
    std::string lab, cases;
    size_t tests = 0, failures = 0, skipped = 0;
};

}  // namespace

std::string export_gbench(const StoredRun& stored, const std::vector<const Series*>& series) {
    const Json& machine = stored.run.machine;
    double tsc_hz = number_in(machine, "tsc_hz");
    Json host = stored.manifest.is_object() && stored.manifest.contains("host")
                    ? stored.manifest["host"]
                    : Json::object();
    Json document = {{"context",
                      {{"date", word_of(stored.manifest, "time")},
                       {"host_name", word_of(host, "system")},
                       {"executable", "doorbell"},
                       {"num_cpus", 1},
                       {"mhz_per_cpu", whole_part(tsc_hz / 1e6)},
                       {"cpu_scaling_enabled", false},
                       {"caches", Json::array()},
                       {"load_avg", Json::array()},
                       {"library_build_type", "release"},
                       {"doorbell_run", stored.name},
                       {"doorbell_clock", word_of(machine, "clock")},
                       {"doorbell_digest", stored.run.digest}}},
                     {"benchmarks", Json::array()}};
    size_t family = 0;
    for (const Series* one : series) {
        auto unit = time_of(one->unit, tsc_hz);
        if (!unit || one->count == 0) continue;
        std::string name = benchmark_name(*one);
        auto entry = [&](const std::string& aggregate, double value) {
            Json json = {{"name", aggregate.empty() ? name : name + "_" + aggregate},
                         {"family_index", family},
                         {"per_family_instance_index", 0},
                         {"run_name", name},
                         {"run_type", aggregate.empty() ? "iteration" : "aggregate"},
                         {"repetitions", 1}};
            if (aggregate.empty())
                json["repetition_index"] = 0;
            else
                json["aggregate_name"] = aggregate, json["aggregate_unit"] = "time";
            json["threads"] = 1;
            json["iterations"] = one->count;
            json["real_time"] = value * unit->second;
            json["cpu_time"] = value * unit->second;
            json["time_unit"] = unit->first;
            json["unit"] = one->unit;
            json["evidence"] = one->evidence;
            document["benchmarks"].push_back(std::move(json));
        };
        entry("", one->mean());
        document["benchmarks"].back()["min"] = one->min;
        document["benchmarks"].back()["max"] = one->max;
        if (one->whole()) {
            entry("mean", one->mean());
            entry("median", static_cast<double>(*one->percentile(50000)));
            entry("stddev", deviation(*one));
            for (auto [label, p] : {std::pair{"p90", 90000}, {"p99", 99000}, {"p999", 99900}})
                entry(label, static_cast<double>(*one->percentile(p)));
        }
        ++family;
    }
    return json_document(document);
}

// The layout is that of HdrHistogram's outputPercentileDistribution: five steps for each halving of
// the distance to 100 %, one line for each value reached, the last one without its infinite fourth
// column.
std::string export_hgrm(const Series& series) {
    std::string text = fmt::format("{:>12} {:>14} {:>10} {:>14}\n\n", "Value", "Percentile",
                                   "TotalCount", "1/(1-Percentile)");
    constexpr double steps_a_half = 5;
    double total = static_cast<double>(series.count), next = 0;
    uint64_t seen = 0;
    for (const auto& [lowest, count] : series.bins.pairs()) {
        seen += count;
        double value = static_cast<double>(highest_in_bin(lowest, series.max)),
               reached = static_cast<double>(seen) / total;
        // A bin has a line for each step that it reaches; the last bin has one, and one for 100 %.
        while (reached >= next) {
            text += fmt::format("{:>12.3f} {:>2.12f} {:>10} {:>14.2f}\n", value, next, seen,
                                1 / (1 - next));
            next += 1 / (steps_a_half * std::pow(2.0, std::floor(std::log2(1 / (1 - next))) + 1));
            if (seen == series.count) break;
        }
        if (seen == series.count)
            text += fmt::format("{:>12.3f} {:>2.12f} {:>10}\n", value, 1.0, seen);
    }
    double mean = series.count == 0 ? 0 : series.mean(),
           spread = series.count == 0 ? 0 : deviation(series);
    // The number of buckets of 2048 sub-buckets each, doubling in width, up to the largest value.
    unsigned buckets = std::max(
        1, static_cast<int>(std::bit_width(series.max)) - static_cast<int>(Shape::sub_bits) + 1);
    text += fmt::format("#[Mean    = {:>12.3f}, StdDeviation   = {:>12.3f}]\n", mean, spread);
    text += fmt::format("#[Max     = {:>12.3f}, Total count    = {:>12}]\n",
                        static_cast<double>(series.max), series.count);
    text +=
        fmt::format("#[Buckets = {:>12}, SubBuckets     = {:>12}]\n", buckets, Shape::sub_count);
    return text;
}

std::string export_csv(const StoredRun& stored, const std::vector<const Series*>& series) {
    std::string text = "run,lab,case,metric,unit,evidence,part,bin_low,bin_high,count\n";
    for (const Series* one : series) {
        std::string head = fmt::format("{},{},{},{},{},{},", quoted(stored.name), quoted(one->lab),
                                       quoted(one->test_case.text()), quoted(one->metric),
                                       quoted(one->unit), quoted(one->evidence));
        auto add = [&](const std::string& part, const Bins& bins, uint64_t max) {
            for (const auto& [lowest, count] : bins.pairs())
                text += fmt::format("{}{},{},{},{}\n", head, quoted(part), lowest,
                                    highest_in_bin(lowest, max), count);
        };
        add("all", one->bins, one->max);
        for (const Stage& stage : one->stages)
            add(stage.name, stage.bins, stage.max != 0 ? stage.max : Shape::top_value - 1);
    }
    return text;
}

namespace {

/// The suites of a JUnit file: one for each lab.
class Suites {
  public:
    Suite& of(const std::string& lab) {
        auto at = std::find_if(suites_.begin(), suites_.end(),
                               [&](const Suite& s) { return s.lab == lab; });
        return at != suites_.end() ? *at : suites_.emplace_back(Suite{lab, {}});
    }
    /// A test case, with the elements inside it.
    void add(const std::string& lab, const std::string& name, const std::string& inside) {
        Suite& s = of(lab);
        ++s.tests;
        s.cases += fmt::format("    <testcase classname=\"doorbell.{}\" name=\"{}\"", escaped(lab),
                               escaped(name));
        s.cases += inside.empty() ? "/>\n" : ">" + inside + "</testcase>\n";
    }
    void add_failed(const std::string& lab, const std::string& name, const std::string& reason) {
        ++of(lab).failures;
        add(lab, name, fmt::format("<failure message=\"{}\"/>", escaped(reason)));
    }
    void add_skipped(const std::string& lab, const std::string& name, const std::string& reason) {
        ++of(lab).skipped;
        add(lab, name, fmt::format("<skipped message=\"{}\"/>", escaped(reason)));
    }
    std::string text(const std::string& name) const {
        size_t tests = 0, failures = 0, skipped = 0;
        std::string inside;
        for (const Suite& s : suites_) {
            tests += s.tests;
            failures += s.failures;
            skipped += s.skipped;
            inside += fmt::format(
                "  <testsuite name=\"doorbell.{}\" tests=\"{}\" failures=\"{}\" errors=\"0\" "
                "skipped=\"{}\">\n{}  </testsuite>\n",
                escaped(s.lab), s.tests, s.failures, s.skipped, s.cases);
        }
        return fmt::format(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"{}\" tests=\"{}\" "
            "failures=\"{}\" errors=\"0\" skipped=\"{}\">\n{}</testsuites>\n",
            escaped(name), tests, failures, skipped, inside);
    }

  private:
    std::vector<Suite> suites_;
};

void add_series(const Series& series, Suites& suites) {
    std::string p50 = series.percentile(50000)
                          ? fmt::format("median {} {} ({})", *series.percentile(50000), series.unit,
                                        series.evidence)
                          : "no percentiles arrived";
    suites.add(series.lab, "case: " + series.test_case.text() + " " + series.metric,
               fmt::format("<system-out>{}, {} samples</system-out>", escaped(p50), series.count));
}

void add_claim(const Claim& claim, const std::optional<Predictions>& predictions, Suites& suites) {
    // The name stays when the claim's wording changes; the wording is in the output.
    std::string inside, words = claim.id.empty() ? "" : claim.text;
    if (!claim.holds) {
        ++suites.of(claim.lab).skipped;
        inside = fmt::format("<skipped message=\"cannot say: {}\"/>", escaped(claim.because));
    } else if (!*claim.holds) {
        ++suites.of(claim.lab).failures;
        inside = fmt::format("<failure message=\"refuted: {}\"/>", escaped(claim.because));
    } else {
        words += (words.empty() ? "" : ": ") + claim.because;
    }
    if (const ClaimPrediction* p = predictions ? predictions->find(claim) : nullptr)
        words += (words.empty() ? "" : "; ") + claim_prediction_text(*p, predictions->profile);
    if (!words.empty()) inside += fmt::format("<system-out>{}</system-out>", escaped(words));
    suites.add(claim.lab, "claim: " + claim.key(), inside);
}

}  // namespace

std::string export_junit(const StoredRun& stored) {
    Suites suites;
    for (const Series& series : stored.run.series) add_series(series, suites);
    std::optional<Predictions> predictions = stored_predictions(stored);
    for (const Claim& claim : stored.run.claims) add_claim(claim, predictions, suites);
    for (const CaseEnd& fail : stored.run.failed)
        suites.add_failed(fail.lab, "case: " + fail.test_case.text(), fail.reason);
    for (const CaseEnd& skip : stored.run.skipped)
        suites.add_skipped(skip.lab, "case: " + skip.test_case.text(), skip.reason);
    if (!stored.run.complete)
        suites.add_failed("run", "complete",
                          stored.notes.empty() ? "incomplete" : stored.notes.front());
    return suites.text(stored.name);
}

}  // namespace doorbell::harness
