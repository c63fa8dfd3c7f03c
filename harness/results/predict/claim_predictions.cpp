#include "harness/results/predict/claim_predictions.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "harness/results/figures.h"
#include "harness/results/predict/corners.h"
#include "harness/results/predict/predict_text.h"
#include "labs/catalogue.h"
#include "labs/kit/results.h"

namespace doorbell::harness {
namespace {

using labs::ClaimVerdict;
using Verdict = ClaimPrediction::Verdict;

/// A sentence names no more values than these.
constexpr size_t most_values = 4;

bool is_time_series(const Series& s) {
    return is_time(s.unit) || s.derived.starts_with("share of ");
}

/// A lab's series as a judge reads them: times as predicted, all else as it was counted.
class PredictedResults {
  public:
    PredictedResults(const Run& run, const std::string& lab, const Predictions& predictions) {
        size_t figures = 0;
        for (const Series& s : run.series) {
            if (s.lab != lab || s.count == 0) continue;
            const SeriesPrediction* predicted = predictions.find(s);
            if (predicted != nullptr ? !predicted->known() : is_time_series(s)) {
                absent_.push_back(&s);
                continue;
            }
            entries_.push_back({&s, s.test_case.text(), predicted});
            figures += s.counters.size();
        }
        figures_.resize(figures);
        summaries_.resize(entries_.size());
        size_t next = 0;
        for (size_t i = 0; i < entries_.size(); ++i) {
            const Series& s = *entries_[i].series;
            size_t first = next;
            for (const Counter& c : s.counters)
                if (c.value.is_number())
                    figures_[next++] = {c.name.c_str(), c.stage.c_str(), c.evidence.c_str(),
                                        static_cast<uint64_t>(c.value.get<double>()), c.samples};
            summaries_[i] = summary_of(entries_[i]);
            summaries_[i].figures = {figures_.data() + first, next - first};
        }
    }

    struct Entry {
        const Series* series;
        std::string test_case;
        const SeriesPrediction* predicted;  ///< null: it is passed on as it was counted
    };
    const std::vector<Entry>& entries() const { return entries_; }
    /// Sets the predicted value of an entry.
    void set(size_t entry, double value) {
        labs::Summary& s = summaries_[entry];
        s.min = s.p50 = s.p99 = s.max = static_cast<uint64_t>(std::llround(std::max(value, 0.0)));
        s.sum = s.p50 * s.count;
    }
    void set_unit(size_t entry, const char* unit) { summaries_[entry].unit = unit; }
    labs::Results results() {
        labs::Results all(memory_for(), {});
        for (const labs::Summary& s : summaries_) all.add(s);
        return all;
    }
    size_t entry_of(std::string_view test_case, std::string_view metric) const {
        for (size_t i = 0; i < entries_.size(); ++i)
            if (entries_[i].test_case == test_case && entries_[i].series->metric == metric)
                return i;
        return entries_.size();
    }
    /// The time of that name that nothing is predicted of, or null.
    const Series* absent(std::string_view test_case, std::string_view metric) const {
        for (const Series* s : absent_)
            if (s->test_case.text() == test_case && s->metric == metric) return s;
        return nullptr;
    }

  private:
    std::span<labs::Summary> memory_for() {
        memory_.resize(summaries_.size());
        return memory_;
    }
    static labs::Summary summary_of(const Entry& entry) {
        const Series& s = *entry.series;
        labs::Summary summary;
        summary.lab = s.lab.c_str();
        summary.test_case = entry.test_case;
        summary.metric = s.metric.c_str();
        summary.unit = s.unit.c_str();
        summary.evidence = entry.predicted != nullptr ? predicted_evidence : s.evidence.c_str();
        summary.unstable = entry.predicted == nullptr && s.unstable();
        summary.count = s.count;
        summary.min = s.min;
        summary.max = s.max;
        summary.sum = s.sum;
        summary.p50 = s.percentile(50000).value_or(0);
        summary.p99 = s.percentile(99000).value_or(0);
        return summary;
    }

    std::vector<Entry> entries_;
    std::vector<const Series*> absent_;
    std::vector<labs::Figure> figures_;
    std::vector<labs::Summary> summaries_, memory_;
};

/// What a judge looked at.
struct Looked {
    const PredictedResults* all;
    std::vector<size_t> predicted;      ///< entries
    std::vector<const Series*> absent;  ///< times without a prediction
    static void at(void* context, std::string_view, std::string_view test_case,
                   std::string_view metric, const labs::Summary* found) {
        auto& looked = *static_cast<Looked*>(context);
        auto add = [](auto& list, auto what) {
            if (std::find(list.begin(), list.end(), what) == list.end()) list.push_back(what);
        };
        if (found == nullptr) {
            if (const Series* s = looked.all->absent(test_case, metric)) add(looked.absent, s);
            return;
        }
        size_t entry = looked.all->entry_of(test_case, metric);
        if (looked.all->entries()[entry].predicted != nullptr) add(looked.predicted, entry);
    }
};

/// Something that is low or high: the price of a kind of event, or a series' own part.
using Unknowns = std::vector<std::string>;

class ClaimJudge {
  public:
    ClaimJudge(PredictedResults& results, const char* lab, const labs::Claim& claim)
        : results_(results), lab_(lab), claim_(claim) {}

    /// Looks at the middles first: what the judge looks at, and whether it can say anything.
    ClaimVerdict at_middle(Looked& looked) {
        // What it looks at may depend on what it finds: until nothing new comes.
        for (size_t seen = ~size_t{0}; seen != looked.predicted.size() + looked.absent.size();) {
            seen = looked.predicted.size() + looked.absent.size();
            choose_unit(looked.predicted);
            for (size_t entry : looked.predicted) results_.set(entry, middle(entry));
            labs::Results all = results_.results();
            all.observe(Looked::at, &looked);
            verdict_ = claim_.judge(all, lab_);
            because_ = verdict_.because;
        }
        entries_ = looked.predicted;
        return verdict_;
    }
    const std::string& because() const { return because_; }
    size_t tried() const { return tried_; }
    size_t unknowns() const { return unknowns_.size(); }
    /// The values that were compared, with their intervals; of many, the judge's own sentence.
    std::string values() const {
        if (entries_.size() > most_values) return because_;
        std::string text;
        for (size_t entry : entries_) {
            const SeriesPrediction& p = prediction(entry);
            text += fmt::format("{}{} {} {}", text.empty() ? "" : "; ",
                                results_.entries()[entry].test_case, p.metric,
                                p.share ? estimate_text(*p.share, "ppm")
                                        : estimate_text(p.costs.in(unit_).all, name_of_unit()));
        }
        return text;
    }

    /// In each unit that all values are known in: what is decided in one is true in the other. The
    /// core's frequency widens what is known in cycles when it is in ns, and the other way round.
    Verdict at_corners() {
        Verdict verdict = Verdict::open;
        for (PredictionUnit unit :
             {PredictionUnit::ns, PredictionUnit::cycles, PredictionUnit::clock}) {
            if (verdict != Verdict::open || !known_in(unit, entries_)) continue;
            unit_ = unit;
            verdict = at_corners_of_unit();
        }
        if (verdict == Verdict::open) choose_unit(entries_);
        return verdict;
    }

  private:
    bool known_in(PredictionUnit unit, const std::vector<size_t>& entries) const {
        return std::all_of(entries.begin(), entries.end(), [&](size_t entry) {
            return prediction(entry).share || prediction(entry).costs.in(unit).known();
        });
    }
    Verdict at_corners_of_unit() {
        unknowns_.clear();
        tried_ = 0;
        find_unknowns();
        bool all = true, none = true;
        for (const std::vector<bool>& corner : corners_of(unknowns_.size())) {
            for (size_t entry : entries_) results_.set(entry, at(entry, corner));
            auto holds = claim_.judge(results_.results(), lab_).holds;
            all = all && holds == ClaimVerdict::Holds::yes;
            none = none && holds == ClaimVerdict::Holds::no;
            ++tried_;
        }
        return all ? Verdict::holds : none ? Verdict::does_not_hold : Verdict::open;
    }
    const SeriesPrediction& prediction(size_t entry) const {
        return *results_.entries()[entry].predicted;
    }
    /// One unit for all times that are compared.
    void choose_unit(const std::vector<size_t>& entries) {
        unit_ = PredictionUnit::ns;
        for (PredictionUnit unit :
             {PredictionUnit::clock, PredictionUnit::cycles, PredictionUnit::ns})
            if (known_in(unit, entries)) unit_ = unit;
        for (size_t entry : entries)
            if (!prediction(entry).share)
                results_.set_unit(entry, unit_ == PredictionUnit::ns       ? "ps"
                                         : unit_ == PredictionUnit::cycles ? "millicycle"
                                                                           : "millitick");
    }
    const char* name_of_unit() const {
        return unit_ == PredictionUnit::ns       ? "ns"
               : unit_ == PredictionUnit::cycles ? "cycles"
                                                 : "ticks";
    }
    double middle(size_t entry) const {
        const SeriesPrediction& p = prediction(entry);
        return p.share ? p.share->value : p.costs.in(unit_).all.value * 1000;
    }
    std::string unknown_of(size_t entry, const std::string& part) const {
        return is_own_part(part) || part.empty() ? fmt::format("{} of {}", part, entry) : part;
    }
    void find_unknowns() {
        auto add = [&](const std::string& name, const Estimate& e) {
            if (e.low != e.high &&
                std::find(unknowns_.begin(), unknowns_.end(), name) == unknowns_.end())
                unknowns_.push_back(name);
        };
        for (size_t entry : entries_) {
            const SeriesPrediction& p = prediction(entry);
            if (p.share) {
                add(unknown_of(entry, ""), *p.share);
                continue;
            }
            for (const CostPart& part : p.costs.in(unit_).parts) {
                bool own = is_own_part(part.name);
                add(own ? unknown_of(entry, "instructions") : part.name, part.cost);
            }
        }
    }
    bool is_high(const std::string& unknown, const std::vector<bool>& corner) const {
        auto found = std::find(unknowns_.begin(), unknowns_.end(), unknown);
        return found != unknowns_.end() && corner[static_cast<size_t>(found - unknowns_.begin())];
    }
    double at(size_t entry, const std::vector<bool>& corner) const {
        const SeriesPrediction& p = prediction(entry);
        if (p.share) return is_high(unknown_of(entry, ""), corner) ? p.share->high : p.share->low;
        double sum = 0;
        for (const CostPart& part : p.costs.in(unit_).parts) {
            bool high = is_high(
                is_own_part(part.name) ? unknown_of(entry, "instructions") : part.name, corner);
            // A part that is taken off is large where its price is low.
            sum += high == (part.count >= 0) ? part.cost.high : part.cost.low;
        }
        return sum * 1000;
    }

    PredictedResults& results_;
    const char* lab_;
    const labs::Claim& claim_;
    ClaimVerdict verdict_;
    std::string because_;
    std::vector<size_t> entries_;
    Unknowns unknowns_;
    PredictionUnit unit_ = PredictionUnit::ns;
    size_t tried_ = 0;
};

/// Why nothing is predicted of the series that the judge looked for.
std::string what_is_missing(const std::vector<const Series*>& absent,
                            const Predictions& predictions) {
    std::string text;
    for (const Series* s : absent) {
        const SeriesPrediction* p = predictions.find(*s);
        std::string why = p == nullptr ? "nothing was counted" : p->why_not;
        if (p != nullptr && why.empty()) {
            for (const std::string& price : p->costs.missing())
                why += (why.empty() ? "" : ", ") + price;
            why = "the profile has no price " + why;
        }
        text += fmt::format("{}{} {}: {}", text.empty() ? "" : "; ", s->test_case.text(), s->metric,
                            why);
    }
    return text;
}

std::optional<ClaimPrediction> predict_claim(const Claim& said, const char* lab,
                                             const labs::Claim& claim, PredictedResults& results,
                                             const Predictions& predictions) {
    ClaimPrediction p{said.lab, said.id, said.text, said.holds, Verdict::cannot_say, ""};
    Looked looked{&results, {}, {}};
    ClaimJudge judge(results, lab, claim);
    auto middle = judge.at_middle(looked);
    bool is_open = !said.holds.has_value();
    if (looked.predicted.empty() && looked.absent.empty()) {
        // It is not about times: no price says more than the run did.
        p.because = said.because;
        return is_open ? std::optional(p) : std::nullopt;
    }
    // What the run has counted out is not missed.
    if (!looked.absent.empty() && !is_open) return std::nullopt;
    if (!looked.absent.empty()) {
        p.because = what_is_missing(looked.absent, predictions);
        return p;
    }
    p.because = judge.because();
    if (middle.holds == ClaimVerdict::Holds::cannot_say)
        return is_open ? std::optional(p) : std::nullopt;
    p.verdict = judge.at_corners();
    p.because = judge.values();
    if (p.verdict == Verdict::open)
        p.because += "; the intervals overlap";
    else if (judge.unknowns() > most_unknowns)
        p.because +=
            fmt::format("; at {} corners of the {} intervals", judge.tried(), judge.unknowns());
    return p;
}

}  // namespace

const char* word(ClaimPrediction::Verdict verdict) {
    switch (verdict) {
        case Verdict::holds:
            return "holds";
        case Verdict::does_not_hold:
            return "does not hold";
        case Verdict::open:
            return "open";
        case Verdict::cannot_say:
            break;
    }
    return "cannot say";
}

std::vector<ClaimPrediction> predict_claims(const Run& run, const Predictions& predictions) {
    std::vector<ClaimPrediction> all;
    for (const labs::Lab* lab : labs::catalogue()) {
        bool any = std::any_of(run.claims.begin(), run.claims.end(),
                               [&](const Claim& c) { return c.lab == lab->name; });
        if (!any) continue;
        PredictedResults results(run, lab->name, predictions);
        for (const labs::Claim& claim : lab->claims)
            for (const Claim& said : run.claims) {
                if (said.lab != lab->name ||
                    (said.id.empty() ? said.text != claim.text : said.id != claim.id))
                    continue;
                if (auto p = predict_claim(said, lab->name, claim, results, predictions))
                    all.push_back(*p);
            }
    }
    return all;
}

}  // namespace doorbell::harness
