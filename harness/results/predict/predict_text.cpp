#include "harness/results/predict/predict_text.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "harness/data/case_list.h"
#include "harness/results/figures.h"
#include "harness/results/table/table.h"

namespace doorbell::harness {
namespace {

std::string interval_cell(const Cost& cost) {
    if (!cost.known()) return "-";
    const Estimate& e = cost.all;
    if (e.low == e.high) return three_digits(e.value);
    return fmt::format("{} ({} to {})", three_digits(e.value), three_digits(e.low),
                       three_digits(e.high));
}

/// "1.2 card-read 250 ns (200 to 300)" a part.
std::string parts_text(const Costs& costs, const std::string& clock_unit) {
    for (const auto& [unit, name] :
         {std::pair{PredictionUnit::ns, "ns"}, std::pair{PredictionUnit::cycles, "cycles"},
          std::pair{PredictionUnit::clock, clock_unit.c_str()}}) {
        const Cost& cost = costs.in(unit);
        if (!cost.known()) continue;
        std::string text;
        for (const CostPart& part : cost.parts)
            text += fmt::format("{}{} {}: {}", text.empty() ? "" : "; ", three_digits(part.count),
                                part.name, estimate_text(part.cost, name));
        return text.empty() ? "nothing" : text;
    }
    return "missing: " + fmt::format("{}", fmt::join(costs.missing(), ", "));
}

class PredictionTable {
  public:
    PredictionTable(const Predictions& all, bool full) : all_(all), full_(full) {}

    std::string lab(const std::string& lab) const {
        bool clock = any(lab, PredictionUnit::clock) && !any(lab, PredictionUnit::ns) &&
                     !any(lab, PredictionUnit::cycles);
        std::vector<Cells> rows{{"case", "counted"}};
        if (clock)
            rows[0].push_back("predicted " + all_.clock_unit);
        else
            rows[0].insert(rows[0].end(), {"predicted ns", "predicted cycles"});
        // Series without a prediction share a line by what is missing.
        std::vector<std::pair<std::string, std::vector<CaseKeys>>> unknown;
        std::string parts;
        for (const SeriesPrediction& s : all_.series) {
            if (s.lab != lab) continue;
            if (!s.known()) {
                add(unknown, reason_of(s), s.test_case);
                continue;
            }
            rows.push_back(row_of(s, clock));
            if (full_) parts += parts_of(s);
        }
        std::string text = "\n" + lab + "\n";
        if (rows.size() > 1) text += in_columns(rows, 1);
        text += parts;
        text += rates_of(lab);
        for (const auto& [why, cases] : unknown)
            text += wrapped("  not predicted: ", folded_text(cases) + ": " + why);
        for (const ClaimPrediction& c : all_.claims)
            if (c.lab == lab)
                text += wrapped(fmt::format("  {}: ", word(c.verdict)),
                                c.text + " (" + c.because + ")");
        return text;
    }

  private:
    bool any(const std::string& lab, PredictionUnit unit) const {
        return std::any_of(all_.series.begin(), all_.series.end(), [&](const SeriesPrediction& s) {
            return s.lab == lab && s.why_not.empty() && !s.share && s.costs.in(unit).known();
        });
    }
    static void add(std::vector<std::pair<std::string, std::vector<CaseKeys>>>& list,
                    const std::string& why, const CaseKeys& test_case) {
        auto at = std::find_if(list.begin(), list.end(),
                               [&](const auto& one) { return one.first == why; });
        if (at == list.end()) at = list.insert(list.end(), {why, {}});
        if (std::find(at->second.begin(), at->second.end(), test_case) == at->second.end())
            at->second.push_back(test_case);
    }
    static std::string reason_of(const SeriesPrediction& s) {
        std::string what = s.metric + ": ";
        if (!s.why_not.empty()) return what + s.why_not;
        std::vector<std::string> missing = s.costs.missing();
        return what + fmt::format("the profile has no price {}", fmt::join(missing, ", "));
    }
    static std::string name_cell(const SeriesPrediction& s) {
        std::string text = s.test_case.text();
        return text.empty() ? s.metric : s.metric == "latency" ? text : text + ", " + s.metric;
    }
    Cells row_of(const SeriesPrediction& s, bool clock) const {
        Cells row{name_cell(s), s.exact ? figure(*s.exact) + " " + s.unit : "-"};
        if (s.share) {
            row.push_back(fmt::format("{} ppm ({} to {})", three_digits(s.share->value),
                                      three_digits(s.share->low), three_digits(s.share->high)));
            if (!clock) row.emplace_back("-");
        } else if (clock) {
            row.push_back(interval_cell(s.costs.clock));
        } else {
            row.insert(row.end(), {interval_cell(s.costs.ns), interval_cell(s.costs.cycles)});
        }
        return row;
    }
    /// The rates of packets, each beside what the exact clock has.
    std::string rates_of(const std::string& lab) const {
        std::vector<Cells> rows{{"packets", "exact clock", "predicted"}};
        std::string parts, unknown;
        for (const RatePrediction& r : all_.rates) {
            if (r.lab != lab) continue;
            rows.push_back(
                {r.name, r.counted ? rate_text({*r.counted, *r.counted, *r.counted}, r.unit) : "-",
                 rate_text(r)});
            if (std::string why = why_rate_unknown(r); !why.empty())
                unknown += wrapped("  not predicted: ", r.name + ": " + why);
            if (!full_) continue;
            std::string of;
            for (const RatePrediction::Part& part : r.parts)
                of += fmt::format("; {} {}", part.name, estimate_text(part.ns, "ns"));
            parts += wrapped("  " + r.name + ": ", r.sentence + of);
        }
        return rows.size() == 1 ? std::string() : in_columns(rows, 1) + parts + unknown;
    }
    std::string parts_of(const SeriesPrediction& s) const {
        std::string text;
        if (s.share) return text;
        text += wrapped("  " + name_cell(s) + ": ", parts_text(s.costs, all_.clock_unit));
        for (const StagePrediction& stage : s.stages)
            text += wrapped("    " + stage.name + ": ", parts_text(stage.costs, all_.clock_unit));
        return text;
    }

    const Predictions& all_;
    bool full_;
};

}  // namespace

std::string three_digits(double value) {
    double size = std::abs(value);
    if (size == 0) return "0";
    return figure(value, std::pow(10.0, std::floor(std::log10(size) + 1e-12) - 2));
}

std::string estimate_text(const Estimate& e, const char* unit) {
    if (e.low == e.high) return fmt::format("{} {}", three_digits(e.value), unit);
    return fmt::format("{} {} ({} to {})", three_digits(e.value), unit, three_digits(e.low),
                       three_digits(e.high));
}

std::string rate_text(const Estimate& rate, const std::string& unit) {
    if (std::isinf(rate.value)) return "never";
    if (!std::isinf(rate.high)) return estimate_text(rate, unit.c_str());
    return fmt::format("{} {} ({} or more, or never)", three_digits(rate.value), unit,
                       three_digits(rate.low));
}

std::string rate_text(const RatePrediction& r) {
    if (r.value) return rate_text(*r.value, r.unit);
    auto limit = [&](const char* word, double at) {
        return std::isinf(at) ? std::string("-")
                              : fmt::format("{} {} {}", word, three_digits(at), r.unit);
    };
    return r.at_most    ? limit("at most", *r.at_most)
           : r.at_least ? limit("at least", *r.at_least)
                        : "-";
}

std::string why_rate_unknown(const RatePrediction& rate) {
    if (!rate.why_not.empty() || rate.missing.empty()) return rate.why_not;
    return fmt::format("the profile has no price {}", fmt::join(rate.missing, ", "));
}

std::string claim_prediction_text(const ClaimPrediction& claim, const std::string& profile) {
    return fmt::format("predicted on {}: {} ({})", profile, word(claim.verdict), claim.because);
}

std::string predictions_text(const Predictions& all, const std::vector<std::string>& labs,
                             bool full) {
    std::string text =
        wrapped("", fmt::format("{} on profile {} ({}): the middle of what a sample costs, and the "
                                "interval that the prices leave open. Evidence: predicted.",
                                all.run, all.profile, all.profile_evidence));
    std::vector<std::string> seen;
    auto wanted = [&](const std::string& lab) {
        return labs.empty() || std::find(labs.begin(), labs.end(), lab) != labs.end();
    };
    for (const SeriesPrediction& s : all.series)
        if (wanted(s.lab) && std::find(seen.begin(), seen.end(), s.lab) == seen.end())
            seen.push_back(s.lab);
    PredictionTable table(all, full);
    for (const std::string& lab : seen) text += table.lab(lab);
    for (const auto& [price, rule] : all.rules)
        text += (&rule == &all.rules.front().second ? "\n" : "") +
                wrapped("price by rule: ", price + ": " + rule);
    std::map<ClaimPrediction::Verdict, size_t> verdicts;
    for (const ClaimPrediction& c : all.claims)
        if (wanted(c.lab)) ++verdicts[c.verdict];
    std::string counts;
    for (const auto& [verdict, n] : verdicts)
        counts += fmt::format("{}{} {}", counts.empty() ? "" : ", ", n, word(verdict));
    if (!counts.empty()) text += "\n" + wrapped("claims, predicted: ", counts);
    return text;
}

}  // namespace doorbell::harness
