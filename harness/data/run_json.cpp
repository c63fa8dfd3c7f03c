// results.json: the schema doorbell/1, written and read.
#include <fmt/format.h>

#include <stdexcept>

#include "harness/data/run_data.h"
#include "harness/text/members.h"
#include "harness/text/number.h"

namespace doorbell::harness {
namespace {

struct Percentile {
    const char* name;
    uint64_t per_100000;
};
constexpr Percentile percentiles[] = {
    {"p50", 50000}, {"p90", 90000}, {"p99", 99000}, {"p999", 99900}};

Json stage_json(const Stage& stage) {
    Json json = {{"name", stage.name}};
    if (stage.bins.empty()) return json;
    json["count"] = stage.bins.count();
    json["min"] = stage.min;
    for (const Percentile& p : percentiles)
        json[p.name] = stage.bins.percentile(p.per_100000, stage.min, stage.max);
    json["max"] = stage.max;
    json["sum"] = stage.sum;
    json["histogram"] = stage.bins.json();
    return json;
}

/// A series as results.json has it. `tsc_hz` (0: unknown) gives ticks in nanoseconds; instructions
/// have none.
Json series_json(const Series& series, double tsc_hz) {
    Json json = {{"lab", series.lab},
                 {"case", series.test_case.json()},
                 {"metric", series.metric},
                 {"unit", series.unit},
                 {"evidence", series.evidence},
                 {"better", wire::name_of(series.better)},
                 {"shape", wire::name_of(series.shape)},
                 {"count", series.count}};
    if (series.count != 0) {
        json["min"] = series.min;
        for (const Percentile& p : percentiles)
            if (auto value = series.percentile(p.per_100000)) json[p.name] = *value;
        json["max"] = series.max;
        json["mean"] = series.mean();
        json["sum"] = series.sum;
    }
    if (!series.derived.empty()) json["derived"] = series.derived;
    if (series.overhead_removed) json["overhead_removed"] = *series.overhead_removed;
    if (series.unit == "tick" && tsc_hz > 0 && series.count != 0) {
        double ns = 1e9 / tsc_hz;
        Json& in_ns = json["ns"] = {{"min", static_cast<double>(series.min) * ns}};
        for (const Percentile& p : percentiles)
            if (auto value = series.percentile(p.per_100000))
                in_ns[p.name] = static_cast<double>(*value) * ns;
        in_ns["max"] = static_cast<double>(series.max) * ns;
        in_ns["mean"] = series.mean() * ns;
    }
    json["histogram"] = series.bins.json();
    if (!series.cold.is_null()) json["cold"] = series.cold;
    json["stages"] = Json::array();
    for (const Stage& stage : series.stages) json["stages"].push_back(stage_json(stage));
    json["counters"] = Json::array();
    for (const Counter& counter : series.counters) {
        Json one = {
            {"name", counter.name}, {"value", counter.value}, {"evidence", counter.evidence}};
        if (!counter.stage.empty()) one["stage"] = counter.stage;
        if (counter.samples != 0) one["samples"] = counter.samples;
        json["counters"].push_back(std::move(one));
    }
    json["flags"] = series.flags;
    if (!series.raw_file.empty()) json["raw"] = series.raw_file;
    return json;
}

Series series_from(const Json& json) {
    Series series = Series::described_by(json);
    series.count = number_of(json, "count");
    series.min = number_of(json, "min");
    series.max = number_of(json, "max");
    series.sum = number_of(json, "sum");
    if (!member(json, "overhead_removed").is_null())
        series.overhead_removed = number_of(json, "overhead_removed");
    series.bins = Bins::from(member(json, "histogram"));
    for (const Json& stage : list_of(json, "stages"))
        series.stages.push_back({text_of(stage, "name"), Bins::from(member(stage, "histogram")),
                                 number_of(stage, "min"), number_of(stage, "max"),
                                 number_of(stage, "sum")});
    for (const Json& counter : list_of(json, "counters")) {
        const Json& value = member(counter, "value");
        if (!value.is_number()) throw std::runtime_error("a counter's value is not a number");
        series.counters.push_back({text_of(counter, "name"), value, text_of(counter, "evidence"),
                                   text_of(counter, "stage"), number_of(counter, "samples")});
    }
    series.flags = texts_of(json, "flags");
    series.cold = member(json, "cold");
    series.raw_file = text_of(json, "raw");
    return series;
}

Json ends_json(const std::vector<CaseEnd>& ends) {
    Json list = Json::array();
    for (const CaseEnd& end : ends)
        list.push_back({{"lab", end.lab}, {"case", end.test_case.json()}, {"reason", end.reason}});
    return list;
}

std::vector<CaseEnd> ends_from(const Json& list) {
    std::vector<CaseEnd> ends;
    for (const Json& end : list)
        ends.push_back(
            {text_of(end, "lab"), CaseKeys::from(member(end, "case")), text_of(end, "reason")});
    return ends;
}

}  // namespace

Json Run::json() const {
    Json json = {{"schema", results_schema}, {"complete", complete}};
    if (!failure.empty()) json["failure"] = failure;
    json["machine"] = machine;
    json["instrument"] = instrument;
    if (!digest.empty()) json["digest"] = digest;
    json["flags"] = flags;
    if (!errors.empty()) json["errors"] = errors;
    const Json& hz = member(machine, "tsc_hz");
    double tsc_hz = hz.is_number() ? hz.get<double>() : 0;
    json["series"] = Json::array();
    for (const Series& one : series) json["series"].push_back(series_json(one, tsc_hz));
    for (const Tally& tally : tallies) {
        Json values = Json::object();
        for (const auto& [name, count] : tally.values) values[name] = count;
        json["tallies"].push_back({{"lab", tally.lab},
                                   {"case", tally.test_case.json()},
                                   {"name", tally.name},
                                   {"values", values}});
    }
    json["claims"] = Json::array();
    for (const Claim& claim : claims) {
        Json one = {{"lab", claim.lab},
                    {"text", claim.text},
                    {"holds", claim.holds ? Json(*claim.holds) : Json()},
                    {"because", claim.because}};
        if (!claim.id.empty()) one["id"] = claim.id;
        json["claims"].push_back(std::move(one));
    }
    json["failed"] = ends_json(failed);
    json["skipped"] = ends_json(skipped);
    json["wire"] = {{"lost", wire.lost}, {"damaged", wire.damaged}, {"repeated", wire.repeated}};
    if (!wire.notes.empty()) json["wire"]["notes"] = wire.notes;
    if (!panic.is_null()) json["panic"] = panic;
    return json;
}

Series Series::described_by(const Json& json) {
    Series series;
    series.lab = text_of(json, "lab");
    series.test_case = CaseKeys::from(member(json, "case"));
    series.metric = text_of(json, "metric");
    series.unit = text_of(json, "unit");
    series.evidence = text_of(json, "evidence");
    series.read_as(text_of(json, "better"), text_of(json, "shape"));
    series.derived = text_of(json, "derived");
    return series;
}

Run Run::from(const Json& json) {
    expect_schema(json, results_schema);
    Run run;
    const Json& complete = member(json, "complete");
    run.complete = complete.is_boolean() && complete.get<bool>();
    run.failure = text_of(json, "failure");
    if (member(json, "machine").is_object()) run.machine = json["machine"];
    if (member(json, "instrument").is_object()) run.instrument = json["instrument"];
    run.digest = text_of(json, "digest");
    run.flags = texts_of(json, "flags");
    run.errors = texts_of(json, "errors");
    for (const Json& one : list_of(json, "series")) {
        if (!one.is_object()) throw std::runtime_error("a series is not an object");
        run.series.push_back(series_from(one));
    }
    for (const Json& one : list_of(json, "tallies")) {
        Tally tally{
            text_of(one, "lab"), CaseKeys::from(member(one, "case")), text_of(one, "name"), {}};
        for (const auto& [name, count] : member(one, "values").items())
            tally.values.emplace_back(name, whole_number(count, "a tally's count"));
        run.tallies.push_back(std::move(tally));
    }
    for (const Json& claim : list_of(json, "claims")) {
        const Json& holds = member(claim, "holds");
        run.claims.push_back({text_of(claim, "lab"), text_of(claim, "text"),
                              holds.is_boolean() ? std::optional(holds.get<bool>()) : std::nullopt,
                              text_of(claim, "because"), text_of(claim, "id")});
    }
    run.failed = ends_from(list_of(json, "failed"));
    run.skipped = ends_from(list_of(json, "skipped"));
    if (const Json& wire = member(json, "wire"); wire.is_object()) {
        run.wire.lost = number_of(wire, "lost");
        run.wire.damaged = number_of(wire, "damaged");
        run.wire.repeated = number_of(wire, "repeated");
        run.wire.notes = texts_of(wire, "notes");
    }
    run.panic = member(json, "panic");
    return run;
}

}  // namespace doorbell::harness
