// A run as data: what results.json (schema doorbell/1) holds, read and written.
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "firmware/wire/reading.h"
#include "harness/text/json.h"

namespace doorbell::harness {

inline constexpr const char* results_schema = "doorbell/1";

/// One point of a lab's parameters, keys in the order of the lab's table.
class CaseKeys {
  public:
    CaseKeys() = default;
    /// From the wire: "key=value key=value", or an object; from results.json: an object. A word
    /// without '=' is a key without a value.
    static CaseKeys from(const Json& text_or_object);
    static CaseKeys from_text(std::string_view text);
    Json json() const;
    std::string text() const;  ///< "key=value key=value"
    /// The value of `key`, or "".
    std::string_view operator[](std::string_view key) const;
    const std::vector<std::pair<std::string, std::string>>& pairs() const& { return pairs_; }
    /// By value for a temporary, so that a loop over its pairs keeps them alive.
    std::vector<std::pair<std::string, std::string>> pairs() && { return std::move(pairs_); }
    bool operator==(const CaseKeys&) const = default;

  private:
    std::vector<std::pair<std::string, std::string>> pairs_;
};

/// Bins of a histogram: (lowest value of the bin, count), ascending. firmware/measure/histogram.h
/// defines what a bin spans.
class Bins {
  public:
    /// Adds `count` values to the bin that begins at `value`.
    void add(uint64_t value, uint64_t count);
    uint64_t count() const { return count_; }
    bool empty() const { return bins_.empty(); }
    /// The value at or below which `per_100000` of 100,000 values lie, as
    /// measure::Histogram::percentile finds it. Undefined when empty.
    uint64_t percentile(uint64_t per_100000, uint64_t min, uint64_t max) const;
    uint64_t lowest() const { return bins_.front().first; }  ///< lowest value of the first bin
    uint64_t highest() const;                                ///< highest value of the last bin
    const std::vector<std::pair<uint64_t, uint64_t>>& pairs() const { return bins_; }
    Json json() const;
    static Bins from(const Json& pairs);

  private:
    std::vector<std::pair<uint64_t, uint64_t>> bins_;
    uint64_t count_ = 0;
};

/// A named stretch of one event's path.
struct Stage {
    std::string name;
    Bins bins;
    uint64_t min = 0, max = 0,
             sum = 0;  ///< exact where the image sent them, else from the bins; sum is 0 otherwise
};

/// A count that goes with a series.
struct Counter {
    std::string name;
    Json value;              ///< a number: the sum over `samples`
    std::string evidence;    ///< exact, measured, modelled, rough
    std::string stage = {};  ///< the stretch that it was counted in; "": the whole
    uint64_t samples = 0;    ///< 0: unknown
};

/// The samples of one metric of one case.
struct Series {
    std::string lab;
    CaseKeys test_case;
    std::string metric;
    std::string unit;
    std::string evidence;
    wire::Better better = wire::Better::less;
    wire::Shape shape = wire::Shape::distribution;
    uint64_t count = 0;
    uint64_t min = 0, max = 0;                 ///< exact; meaningless where count is 0
    uint64_t sum = 0;                          ///< exact modulo 2^64
    std::optional<uint64_t> overhead_removed;  ///< taken off each sample, in `unit`
    std::string derived;  ///< how its values follow from other series of its case; "": they do not
    Bins bins;            ///< all samples
    std::vector<Stage> stages;
    std::vector<Counter> counters;
    std::vector<std::string> flags;
    Json cold;                  ///< {count, min, p50, max, first} of the warm-up samples, or null
    std::vector<uint64_t> raw;  ///< with --raw, in the order of measuring
    std::string
        raw_file;  ///< where they are, relative to the run's folder; "" where there are none

    /// Whether the bins hold all samples: only then are there percentiles.
    bool whole() const { return count != 0 && bins.count() == count; }
    /// A percentile, or nothing where the histogram did not arrive whole.
    std::optional<uint64_t> percentile(uint64_t per_100000) const;
    double mean() const { return static_cast<double>(sum) / static_cast<double>(count); }
    /// A series with what a record and results.json say alike of it: its names, unit, evidence, and
    /// how it is read. Throws std::runtime_error where a member is of the wrong kind.
    static Series described_by(const Json& json);
    /// Sets `better` and `shape` from a record's or results.json's members of these names. Runs of
    /// older images lack them: there the metric and the unit decide.
    void read_as(const std::string& better_name, const std::string& shape_name);
    /// Whether a flag says that this series differs from run to run ("unstable" or "unstable:
    /// why").
    bool unstable() const;
    /// The series' name for people: lab, case and metric.
    std::string name() const;
};

/// What was counted in a case besides its samples.
struct Tally {
    std::string lab;
    CaseKeys test_case;
    std::string name;  ///< what was counted: "frames", "requests"
    std::vector<std::pair<std::string, uint64_t>> values;
};

/// A sentence of a lab, and whether the samples support it.
struct Claim {
    std::string lab;
    std::string text;
    std::optional<bool> holds;  ///< nothing: the samples cannot say
    std::string because;
    std::string id = {};  ///< unique in the lab; "" in runs from before there were ids
    /// The key for looking it up: its id, or its text in an old run.
    const std::string& key() const { return id.empty() ? text : id; }
};

/// A case without figures, and why: skipped, because this machine lacks something, or failed,
/// because something is wrong.
struct CaseEnd {
    std::string lab;
    CaseKeys test_case;
    std::string reason;
    /// For people: lab and case.
    std::string name() const;
};

/// What went wrong on the wire.
struct WireFaults {
    uint64_t lost = 0;               ///< records that never came
    uint64_t damaged = 0;            ///< lines that began like a record and were not one
    uint64_t repeated = 0;           ///< records that came twice and were counted once
    std::vector<std::string> notes;  ///< the first few, as text
    bool any_missing() const { return lost != 0 || damaged != 0; }
};

/// One run.
struct Run {
    bool complete = false;
    std::string failure;  ///< why it is not complete; "" where it is
    Json machine = Json::object();
    Json instrument = Json::object();
    std::string digest;               ///< "" where no series is exact
    std::vector<std::string> flags;   ///< of the whole run
    std::vector<std::string> errors;  ///< what the image reported as not understood or refused
    std::vector<Series> series;
    std::vector<Tally> tallies;
    std::vector<Claim> claims;
    std::vector<CaseEnd> skipped;
    std::vector<CaseEnd> failed;  ///< a complete run may have some: each names what is wrong
    WireFaults wire;
    Json panic;  ///< the panic record, or null

    /// The document results.json. Unavailable percentiles are left out.
    Json json() const;
    /// Reads results.json. Unknown members are ignored, missing ones are empty; throws
    /// std::runtime_error for another schema or a member of the wrong type.
    static Run from(const Json& document);
};

/// Reads results.json of a run: `path` is the run's folder or the file. Throws std::runtime_error
/// with a sentence that names the file.
Run read_run(const std::filesystem::path& path);

/// Reads manifest.json of a run's folder. Throws like read_run().
Json read_manifest(const std::filesystem::path& folder);

}  // namespace doorbell::harness
