#include "harness/data/digest.h"

#include <fmt/format.h>

#include <algorithm>

#include "harness/system/sha256.h"

namespace doorbell::harness {
namespace {

constexpr const char* form_name = "doorbell-digest/1\n";

std::string line_of(const Series& series) {
    // Sorted, unlike Json's members.
    nlohmann::json keys = nlohmann::json::object();
    for (const auto& [key, value] : series.test_case.pairs()) keys[key] = value;
    bool some = series.count != 0;
    nlohmann::json stages = nlohmann::json::array();
    for (const Stage& stage : series.stages)
        stages.push_back(nlohmann::json::array(
            {stage.name, stage.min, stage.max, stage.sum, nlohmann::json(stage.bins.json())}));
    std::vector<nlohmann::json> counters;
    for (const Counter& counter : series.counters)
        if (counter.evidence == "exact" || counter.evidence == "modelled") {
            counters.push_back(nlohmann::json::array(
                {counter.name, nlohmann::json(counter.value), counter.evidence}));
            if (!counter.stage.empty()) counters.back().push_back(counter.stage);
        }
    std::sort(counters.begin(), counters.end(),
              [](const auto& a, const auto& b) { return a.dump() < b.dump(); });
    nlohmann::json line = nlohmann::json::array(
        {series.lab, keys, series.metric, series.unit, series.count, some ? series.min : 0,
         some ? series.max : 0, some ? series.sum : 0, nlohmann::json(series.bins.json()), stages,
         nlohmann::json(counters)});
    return line.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace

std::string canonical_form(const Run& run) {
    std::vector<std::string> lines;
    for (const Series& series : run.series)
        if (series.evidence == "exact" && !series.unstable()) lines.push_back(line_of(series));
    std::sort(lines.begin(), lines.end());
    std::string form = form_name;
    for (const std::string& line : lines) form += line;
    return form;
}

std::string digest(const Run& run) {
    std::string form = canonical_form(run);
    return form == form_name ? std::string() : "sha256:" + sha256(form);
}

}  // namespace doorbell::harness
