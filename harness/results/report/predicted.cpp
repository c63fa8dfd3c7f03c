#include "harness/results/report/predicted.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>

#include "harness/results/figures.h"
#include "harness/results/predict/predict_text.h"
#include "harness/results/predict/predicted_verdict.h"
#include "harness/system/failure.h"

namespace doorbell::harness {
namespace {

/// Parts with colours of their own; what is left is one part more.
constexpr size_t most_parts = 7;
constexpr size_t most_compared = 60;

/// All ways of waiting for the contest's event that are predicted.
std::vector<const SeriesPrediction*> ways_of_waiting(const PredictedRun& run,
                                                     const SeriesPrediction& irq) {
    std::vector<const SeriesPrediction*> ways;
    for (const SeriesPrediction& p : run.predictions->series) {
        bool same = p.lab == irq.lab && p.metric == irq.metric && !p.test_case["wait"].empty() &&
                    p.known() && p.costs.ns.known() &&
                    p.test_case.pairs().size() == irq.test_case.pairs().size();
        for (const auto& [key, value] : irq.test_case.pairs())
            same = same && (key == "wait" || p.test_case[key] == value);
        if (same) ways.push_back(&p);
    }
    return ways;
}

/// The parts of all bars, the greatest first.
std::vector<std::string> parts_in_order(const std::vector<const SeriesPrediction*>& ways) {
    std::vector<std::pair<std::string, double>> parts;
    for (const SeriesPrediction* p : ways)
        for (const CostPart& part : p->costs.ns.parts) {
            auto at = std::find_if(parts.begin(), parts.end(),
                                   [&](const auto& one) { return one.first == part.name; });
            if (at == parts.end()) at = parts.insert(parts.end(), {part.name, 0});
            at->second = std::max(at->second, part.cost.value);
        }
    std::stable_sort(parts.begin(), parts.end(),
                     [](const auto& a, const auto& b) { return a.second > b.second; });
    std::vector<std::string> names;
    for (const auto& [name, most] : parts)
        if (most > 0) names.push_back(name);
    return names;
}

/// A part of a cost for readers who do not know the names of prices; others keep their names.
std::string part_in_words(const std::string& part) {
    constexpr std::pair<const char*, const char*> words[] = {
        {"interrupt-entry", "interrupt: delivery and entry"},
        {"interrupt-entry-ring3", "interrupt: delivery and entry out of ring 3"},
        {"interrupt-entry-hlt", "interrupt: delivery and waking from HLT"},
        {"interrupt-entry-mwait", "interrupt: delivery and waking from MWAIT"},
        {"msi-delivery", "the card's message (MSI)"},
        {"mispredict", "mispredicted branches"},
        {"late-branch", "branches that wait for a load"},
    };
    constexpr std::pair<const char*, const char*> accesses[] = {
        {"chained-", "dependent loads"},   {"scattered-", "independent loads"},
        {"streamed-", "prefetched loads"}, {"store-", "stores"},
        {"fetch-", "instruction fetch"},
    };
    for (const auto& [name, said] : words)
        if (part == name) return said;
    for (const auto& [access, said] : accesses)
        if (std::string_view name = access; part.starts_with(name)) {
            std::string level = part.substr(name.size());
            for (char& c : level) c = static_cast<char>(std::toupper(c));
            return fmt::format("{}, from {}", said, level == "MEMORY" ? "memory" : level);
        }
    return part;
}

/// What a picture shows of a prediction: three digits, as the text has them.
double shown(double value) {
    if (value <= 0) return 0;
    double last_digit = std::pow(10, std::floor(std::log10(value)) - 2);
    return std::round(value / last_digit) * last_digit;
}

}  // namespace

PredictedRun predicted_run(const StoredRun& stored) {
    PredictedRun run{&stored, stored_predictions(stored), std::nullopt};
    if (!run.predictions || run.predictions->against.is_null()) return run;
    try {
        run.against = Against::from(run.predictions->against);
    } catch (const std::exception& trouble) {
        throw UsageError(fmt::format(
            "{} is damaged: {}", (stored.folder / "predictions.json").string(), trouble.what()));
    }
    return run;
}

std::optional<Chart> predicted_picture(const PredictedRun& run) {
    if (!run.predictions) return std::nullopt;
    PredictedContest p = predicted_contest(run.stored->run, *run.predictions);
    if (p.irq == nullptr || !p.why_not.empty()) return std::nullopt;
    auto ways = ways_of_waiting(run, *p.irq);
    auto parts = parts_in_order(ways);
    Chart chart;
    chart.title = fmt::format("{} {}: predicted ns on {}, by polling or by interrupt", p.irq->lab,
                              p.irq->metric, run.predictions->profile);
    chart.spec = {{"kind", "stages"},       {"unit", "ns, predicted"}, {"x", "ns, predicted"},
                  {"names", Json::array()}, {"whole", Json::array()},  {"lines", Json::array()}};
    size_t lines = std::min(parts.size(), most_parts);
    bool rest = parts.size() > most_parts;
    for (size_t i = 0; i < lines + (rest ? 1 : 0); ++i)
        chart.spec["lines"].push_back({{"name", i < lines ? part_in_words(parts[i]) : "the rest"},
                                       {"colour", i},
                                       {"points", Json::array()}});
    for (const SeriesPrediction* way : ways) {
        std::string name(way->test_case["wait"]);
        chart.spec["names"].push_back(name);
        chart.spec["whole"].push_back(shown(way->costs.ns.all.value));
        std::vector<double> values(chart.spec["lines"].size(), 0);
        for (const CostPart& part : way->costs.ns.parts) {
            auto at = static_cast<size_t>(std::find(parts.begin(), parts.end(), part.name) -
                                          parts.begin());
            if (at < parts.size()) values[std::min(at, values.size() - 1)] += part.cost.value;
        }
        for (size_t i = 0; i < values.size(); ++i)
            chart.spec["lines"][i]["points"].push_back(shown(values[i]));
        chart.summary += fmt::format("{}{}: {}", chart.summary.empty() ? "" : "; ", name,
                                     estimate_text(way->costs.ns.all, "ns"));
        chart.remarks.push_back(
            fmt::format("{}: {}", name, estimate_text(way->costs.ns.all, "ns")));
    }
    return chart;
}

std::optional<Chart> against_picture(const PredictedRun& run) {
    if (!run.against) return std::nullopt;
    const Against& a = *run.against;
    Chart chart;
    chart.title = fmt::format("Predicted on {} beside measured in {}", a.profile, a.measured_run);
    Json predicted = {{"name", "predicted"}, {"colour", 0}, {"points", Json::array()}},
         measured = {{"name", "measured"}, {"colour", 1}, {"points", Json::array()}};
    Json names = Json::array();
    for (const ComparedBody& b : a.bodies) {
        if (names.size() == most_compared || b.unit != a.bodies.front().unit) continue;
        names.push_back(b.name());
        predicted["points"].push_back(shown(b.predicted.value));
        measured["points"].push_back(shown(b.measured));
    }
    chart.spec = {{"kind", "bars"},
                  {"unit", a.bodies.front().unit},
                  {"x", a.bodies.front().unit},
                  {"names", names},
                  {"lines", Json::array({predicted, measured})}};
    chart.summary = fmt::format("{} series, geometric mean of the error {}", a.bodies.size(),
                                percent(a.geomean_error));
    chart.remarks.push_back(fmt::format(
        "{} series: geometric mean of the error {}; within 10 % {}, within 25 % {}; measured value "
        "inside its interval {}.",
        a.bodies.size(), percent(a.geomean_error), percent(a.within_10), percent(a.within_25),
        percent(a.inside_interval)));
    chart.remarks.push_back(
        fmt::format("For comparison, at their best scales: KCachegrind's formula {}, iai's {}.",
                    percent(a.kcachegrind.geomean_error), percent(a.iai.geomean_error)));
    if (names.size() < a.bodies.size())
        chart.remarks.push_back(fmt::format(
            "{} of them are drawn; the others are in another unit or too many.", names.size()));
    return chart;
}

}  // namespace doorbell::harness
