#include "harness/results/compare/predicted_changes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "harness/results/figures.h"
#include "harness/results/predict/predict_text.h"
#include "harness/results/table/table.h"
#include "harness/system/failure.h"

namespace doorbell::harness {
namespace {

Predictions needed_predictions(const StoredRun& stored, const char* which) {
    auto p = stored_predictions(stored);
    if (!p)
        throw UsageError(
            fmt::format("--predicted: {} has no predictions: doorbell predict {} --profile NAME",
                        which, stored.folder.empty() ? "RUN" : stored.folder.string()));
    return *p;
}

/// In the first unit that both know; false where there is none.
bool in_one_unit(const SeriesPrediction& a, const SeriesPrediction& b,
                 const std::string& clock_unit, PredictedChange& change) {
    if (!a.known() || !b.known()) return false;
    if (a.share && b.share) {
        change.unit = "ppm";
        change.a = *a.share;
        change.b = *b.share;
        return true;
    }
    if (a.share || b.share) return false;
    for (const auto& [unit, name] :
         {std::pair{PredictionUnit::ns, "ns"}, std::pair{PredictionUnit::cycles, "cycles"},
          std::pair{PredictionUnit::clock, clock_unit.c_str()}})
        if (a.costs.in(unit).known() && b.costs.in(unit).known()) {
            change.unit = name;
            change.a = a.costs.in(unit).all;
            change.b = b.costs.in(unit).all;
            return true;
        }
    return false;
}

}  // namespace

PredictedComparison compare_predicted(const StoredRun& run_a, const StoredRun& run_b) {
    Predictions a = needed_predictions(run_a, "A"), b = needed_predictions(run_b, "B");
    if (a.profile != b.profile)
        throw UsageError(
            fmt::format("--predicted: A is predicted on {}, B on {}; predict both on "
                        "one profile",
                        a.profile, b.profile));
    PredictedComparison c;
    c.profile = a.profile;
    for (const SeriesPrediction& in_a : a.series) {
        auto in_b = std::find_if(b.series.begin(), b.series.end(), [&](const SeriesPrediction& s) {
            return s.lab == in_a.lab && s.test_case == in_a.test_case && s.metric == in_a.metric;
        });
        PredictedChange change;
        change.name = in_a.name();
        if (in_b == b.series.end() || !in_one_unit(in_a, *in_b, a.clock_unit, change)) {
            if (in_a.known()) c.only_in_a.push_back(in_a.name());
            continue;
        }
        double difference = change.b.value - change.a.value;
        if (std::abs(difference) <= 1e-9 * std::abs(change.a.value)) {
            ++c.same;
            continue;
        }
        change.worse = (difference > 0) != (change.unit == "ppm");
        c.changes.push_back(std::move(change));
    }
    std::stable_sort(c.changes.begin(), c.changes.end(),
                     [](const PredictedChange& x, const PredictedChange& y) {
                         return std::abs(x.share()) > std::abs(y.share());
                     });
    return c;
}

std::vector<std::string> beyond_predicted_gate(const PredictedComparison& c, double share) {
    std::vector<std::string> worse;
    for (const PredictedChange& change : c.changes)
        if (change.worse && std::abs(change.share()) > share)
            worse.push_back(fmt::format("{}: predicted {} on {}, it was {} ({})", change.name,
                                        estimate_text(change.b, change.unit.c_str()), c.profile,
                                        estimate_text(change.a, change.unit.c_str()),
                                        signed_percent(change.share())));
    for (const std::string& name : c.only_in_a)
        worse.push_back(name + ": predicted in A and not in B");
    return worse;
}

std::string predicted_comparison_text(const PredictedComparison& c) {
    std::string text =
        fmt::format("predicted on {}: {} equal, {} changed\n", c.profile, c.same, c.changes.size());
    if (!c.changes.empty()) {
        std::vector<Cells> rows{{"series", "A", "B", "change"}};
        for (const PredictedChange& change : c.changes)
            rows.push_back({change.name, estimate_text(change.a, change.unit.c_str()),
                            estimate_text(change.b, change.unit.c_str()),
                            signed_percent(change.share())});
        text += in_columns(rows, 1);
    }
    for (const std::string& name : c.only_in_a)
        text += wrapped("  only in A: ", name + " is predicted there");
    return text;
}

Json predicted_comparison_json(const PredictedComparison& c) {
    auto estimate = [](const Estimate& e) {
        return Json{{"value", e.value}, {"low", e.low}, {"high", e.high}};
    };
    Json json = {{"profile", c.profile}, {"equal", c.same}, {"changes", Json::array()}};
    for (const PredictedChange& change : c.changes)
        json["changes"].push_back({{"series", change.name},
                                   {"unit", change.unit},
                                   {"a", estimate(change.a)},
                                   {"b", estimate(change.b)},
                                   {"worse", change.worse}});
    json["only_in_a"] = c.only_in_a;
    return json;
}

}  // namespace doorbell::harness
