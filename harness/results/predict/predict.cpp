#include "harness/results/predict/predict.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "harness/results/figures.h"
#include "harness/results/predict/claim_predictions.h"
#include "harness/results/predict/derived.h"

namespace doorbell::harness {
namespace {

constexpr PredictionUnit prediction_units[] = {PredictionUnit::cycles, PredictionUnit::ns,
                                               PredictionUnit::clock};
constexpr uint64_t prediction_median = 50000;

void add_counts(Counts& to, const Counts& more, double factor) {
    for (const auto& [name, n] : more) to[name] += n * factor;
}

void scale(Cost& cost, double factor) {
    cost.all = cost.all * factor;
    for (CostPart& part : cost.parts) part = {part.name, part.count * factor, part.cost * factor};
}

class SeriesPredictor {
  public:
    SeriesPredictor(const Run& run, const Profile& profile) : run_(run), profile_(profile) {}

    SeriesPrediction predict(const Series& series) const {
        SeriesPrediction p;
        p.lab = series.lab;
        p.test_case = series.test_case;
        p.metric = series.metric;
        p.unit = series.unit;
        p.evidence = series.evidence;
        if (auto median = series.percentile(prediction_median))
            p.exact = static_cast<double>(*median);
        std::optional<Derivation> derived;
        if (!series.derived.empty()) {
            derived = derivation_of(series.derived, series.test_case);
            if (!derived) {
                p.why_not =
                    fmt::format("this version does not know what \"{}\" means", series.derived);
                return p;
            }
        }
        if (derived && derived->is_share) {
            share(series, *derived, p);
        } else if (derived) {
            p.costs = derived_costs(series, *derived, p.why_not);
        } else {
            p.costs = own_costs(series, p);
        }
        return p;
    }

  private:
    Costs costs_of(const Counts& counts, const Circumstances& circumstances) const {
        Costs costs;
        costs.counts = counts;
        for (PredictionUnit unit : prediction_units)
            costs.in(unit) = cost_of(counts, circumstances, Prices(profile_, unit));
        return costs;
    }

    /// What the series' own counts cost; its stages go to `p`.
    Costs own_costs(const Series& series, SeriesPrediction& p) const {
        Circumstances circumstances = circumstances_of(series);
        for (const Stage& stage : series.stages) {
            auto counts = stage_counts(series, stage.name);
            if (!counts) {
                if (stage.max == 0) continue;  // it takes no time
                if (p.why_not.empty() && !counts_of(series, ""))
                    p.why_not = no_counts(series, stage.name);
                continue;
            }
            p.stages.push_back({stage.name, costs_of(*counts, circumstances)});
        }
        if (auto counts = counts_of(series, "")) {
            if (series.derived.empty()) check_extent(series, *counts, p.why_not);
            return costs_of(*counts, circumstances);
        }
        if (series.stages.empty()) p.why_not = no_counts(series, "");
        Costs sum;
        for (const StagePrediction& stage : p.stages) {
            add_counts(sum.counts, stage.costs.counts, 1);
            for (PredictionUnit unit : prediction_units) sum.in(unit).add(stage.costs.in(unit));
        }
        return sum;
    }

    /// The counts of a stage. What lies between the event and the first instruction that is counted
    /// belongs to the first stage: an INT n itself, and the miss of a poll on the line that a card
    /// has just written.
    static std::optional<Counts> stage_counts(const Series& series, const std::string& stage) {
        auto counts = counts_of(series, stage);
        auto first = std::find_if(series.stages.begin(), series.stages.end(), [&](const Stage& s) {
            return counts_of(series, s.name).has_value();
        });
        if (!counts || first == series.stages.end() || first->name != stage) return counts;
        Circumstances c = circumstances_of(series);
        if (c.by_int && !counts_an_int(series)) (*counts)["int"] = 1;
        bool reads = count_of(*counts, "mmio_reads") > 0,
             misses = count_of(*counts, "l1d_misses") > 0;
        if (c.polls && c.card && !reads && !misses) (*counts)["device_line"] = 1;
        return counts;
    }

    static bool counts_an_int(const Series& series) {
        return std::any_of(series.counters.begin(), series.counters.end(), [](const Counter& c) {
            return c.name == "int" && c.value.get<double>() != 0;
        });
    }

    /// Before there was `derived`, some labs counted many events and recorded one: such counts are
    /// not a sample's. A clock that counts instructions tells them apart.
    static void check_extent(const Series& series, const Counts& counts, std::string& why_not) {
        constexpr double around = 16;  // instructions of the timestamps
        double instructions = count_of(counts, "instructions");
        if (series.unit != "insn" || instructions <= 1.5 * series.mean() + around) return;
        why_not = fmt::format(
            "its counts are of {:.0f} instructions, a sample is {:.0f}: the run does not say how "
            "it follows from them",
            instructions, series.mean());
    }

    std::string no_counts(const Series& series, const std::string& stage) const {
        bool any = std::any_of(run_.series.begin(), run_.series.end(),
                               [](const Series& s) { return !s.counters.empty(); });
        if (!any) return "the run has no counts (doorbell run --model on)";
        return fmt::format("nothing was counted in {}{}{}", series.metric, stage.empty() ? "" : ":",
                           stage);
    }

    const Series* of_case(const Series& series, const std::string& metric) const {
        for (const Series& s : run_.series)
            if (s.lab == series.lab && s.test_case == series.test_case && s.metric == metric)
                return &s;
        return nullptr;
    }

    /// What is predicted of another series of the case, or of this one's own counts. `depth` ends
    /// derivations that go round.
    Costs base_costs(const Series& series, const std::string& metric, const std::string& stage,
                     std::string& why_not, int depth) const {
        const Series* other = metric == series.metric ? &series : of_case(series, metric);
        if (other == nullptr) {
            why_not = fmt::format("the case has no series {}", metric);
            return {};
        }
        if (!stage.empty()) {
            auto counts = stage_counts(*other, stage);
            if (counts) return costs_of(*counts, circumstances_of(*other));
            why_not = no_counts(*other, stage);
            return {};
        }
        if (other != &series && !other->derived.empty() && depth < 4) {
            auto derived = derivation_of(other->derived, other->test_case);
            if (derived && !derived->is_share)
                return derived_costs(*other, *derived, why_not, depth + 1);
        }
        SeriesPrediction p;
        Costs costs = own_costs(*other, p);
        why_not = p.why_not;
        return costs;
    }

    Costs derived_costs(const Series& series, const Derivation& derived, std::string& why_not,
                        int depth = 0) const {
        Costs costs = base_costs(series, derived.first, derived.stage, why_not, depth);
        if (!derived.less.empty() && why_not.empty()) {
            Costs less = base_costs(series, derived.less, "", why_not, depth);
            for (PredictionUnit unit : prediction_units)
                costs.in(unit) = difference_of(costs.in(unit), less.in(unit));
            add_counts(costs.counts, less.counts, -1);
        }
        if (derived.divisor != 1 && derived.less.empty() && derived.stage.empty())
            take_off_notes(series, derived.divisor, costs);
        for (auto& [name, n] : costs.counts) n /= derived.divisor;
        for (PredictionUnit unit : prediction_units) scale(costs.in(unit), 1 / derived.divisor);
        return costs;
    }

    /// What a whole has in instructions beyond `parts` of the series' own value is plain code
    /// around them (making the notes that a bag holds), which is not in the value. Only a clock
    /// that counts instructions tells.
    void take_off_notes(const Series& series, double parts, Costs& costs) const {
        auto value = series.percentile(prediction_median);
        if (series.unit != "insn" || !value) return;
        double around =
            count_of(costs.counts, "instructions") - parts * static_cast<double>(*value);
        // The value is rounded to a whole instruction.
        if (around < parts) return;
        costs.counts["instructions"] -= around;
        for (PredictionUnit unit : prediction_units) {
            auto each = Prices(profile_, unit).find("instruction");
            Cost& cost = costs.in(unit);
            if (!each || !cost.known()) continue;
            for (CostPart& part : cost.parts)
                if (part.name == "instructions") {
                    part.count -= around;
                    part.cost = not_negative({part.cost.value - each->value * around,
                                              part.cost.low - each->low * around,
                                              part.cost.high - each->high * around});
                }
            cost.sum_up();
        }
    }

    /// Work that is nothing but instructions: the same share of the whole's instructions, of a
    /// whole that takes longer than they do.
    void share(const Series& series, const Derivation& derived, SeriesPrediction& p) const {
        p.costs = base_costs(series, derived.first, "", p.why_not, 0);
        if (!p.why_not.empty() || !p.exact) return;
        for (PredictionUnit unit : prediction_units) {
            const Cost& whole = p.costs.in(unit);
            if (!whole.known()) continue;
            Estimate core, rest;
            for (const CostPart& part : whole.parts)
                (part.name == "instructions" ? core : rest) =
                    (part.name == "instructions" ? core : rest) + part.cost;
            auto of_whole = [&](double c, double r) {
                return c + r > 0 ? *p.exact * c / (c + r) : 0;
            };
            p.share = Estimate{of_whole(core.value, rest.value), of_whole(core.low, rest.high),
                               of_whole(core.high, rest.low)};
            return;
        }
    }

    const Run& run_;
    const Profile& profile_;
};

/// Adds the model's error to what is modelled.
void widen_all(Costs& costs) {
    if (!costs.counts.contains("path_steps")) return;
    for (PredictionUnit unit : {PredictionUnit::cycles, PredictionUnit::ns})
        widen(costs.in(unit), model_error);
}

/// The price behind a part of a cost.
std::string price_of_part(const std::string& part) {
    if (part.starts_with("scattered-") || part.starts_with("streamed-")) return "load-" + part;
    return part.starts_with("store-") ? "store-scattered-" + part.substr(6) : part;
}

std::vector<std::pair<std::string, std::string>> rules_used(
    const Predictions& all, const std::vector<std::string>& more_parts, const Profile& profile) {
    std::map<std::string, std::string> rules;
    auto note = [&](const std::string& part) {
        std::string price = price_of_part(part), rule = rule_of_price(price);
        if (!rule.empty() && profile.find(price) == nullptr) rules[price] = rule;
    };
    for (const SeriesPrediction& s : all.series)
        for (PredictionUnit unit : prediction_units)
            for (const CostPart& part : s.costs.in(unit).parts) note(part.name);
    for (const std::string& part : more_parts) note(part);
    return {rules.begin(), rules.end()};
}

}  // namespace

std::vector<std::string> Costs::missing() const {
    if (known()) return {};
    // The unit that lacks the fewest.
    const Cost* best = &ns;
    for (const Cost* cost : {&cycles, &clock})
        if (cost->missing.size() < best->missing.size()) best = cost;
    return best->missing;
}

std::string SeriesPrediction::name() const {
    return fmt::format("{} {} {}", lab, test_case.text(), metric);
}

const Estimate* SeriesPrediction::best() const {
    if (!known()) return nullptr;
    if (share) return &*share;
    return costs.ns.known()       ? &costs.ns.all
           : costs.cycles.known() ? &costs.cycles.all
                                  : &costs.clock.all;
}

const char* SeriesPrediction::best_unit() const {
    return share ? "ppm" : costs.ns.known() ? "ns" : costs.cycles.known() ? "cycles" : "clock";
}

const SeriesPrediction* Predictions::find(const Series& wanted) const {
    for (const SeriesPrediction& p : series)
        if (p.lab == wanted.lab && p.test_case == wanted.test_case && p.metric == wanted.metric)
            return &p;
    return nullptr;
}

const ClaimPrediction* Predictions::find(const Claim& claim) const {
    for (const ClaimPrediction& p : claims)
        if (p.lab == claim.lab && p.key() == claim.key()) return &p;
    return nullptr;
}

SeriesPrediction predict_series(const Run& run, const Series& series, const Profile& profile) {
    return SeriesPredictor(run, profile).predict(series);
}

Predictions predict(const StoredRun& stored, const Profile& profile) {
    Predictions all;
    all.run = stored.name;
    all.digest = stored.run.digest;
    all.profile = profile.name;
    all.profile_evidence = profile.evidence;
    bool instructions = std::any_of(profile.prices.begin(), profile.prices.end(),
                                    [](const Price& p) { return p.insn.has_value(); });
    all.clock_unit = instructions ? "insn" : "tick";
    SeriesPredictor predictor(stored.run, profile);
    for (const Series& series : stored.run.series)
        if (series.count != 0 && (is_time(series.unit) || series.derived.starts_with("share of ")))
            all.series.push_back(predictor.predict(series));
    for (SeriesPrediction& s : all.series) {
        widen_all(s.costs);
        for (StagePrediction& stage : s.stages) widen_all(stage.costs);
    }
    PacketPredictions packets = predict_packets(stored.run, profile);
    all.rates = std::move(packets.rates);
    for (SeriesPrediction& s : packets.shares) all.series.push_back(std::move(s));
    all.rules = rules_used(all, packets.cost_parts, profile);
    all.claims = predict_claims(stored.run, all);
    return all;
}

}  // namespace doorbell::harness
