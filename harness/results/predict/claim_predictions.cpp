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

    /// Whether any two of the values' intervals overlap; of many values, true.
    bool overlap() const {
        if (entries_.size() != 2) return true;
        const Estimate a = interval(entries_[0]), b = interval(entries_[1]);
        return a.low <= b.high && b.low <= a.high;
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
    Estimate interval(size_t entry) const {
        const SeriesPrediction& p = prediction(entry);
        return p.share ? *p.share : p.costs.in(unit_).all;
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
        p.because += judge.overlap() ? "; the intervals overlap"
                                     : "; by as much as the claim says in a part of the intervals";
    else if (judge.unknowns() > most_unknowns)
        p.because +=
            fmt::format("; at {} corners of the {} intervals", judge.tried(), judge.unknowns());
    return p;
}

/// Claims that compare counts of packets: the exact clock's periods are virtual time, so the costs
/// of a packet (rates.h) decide them, and not what was counted.
class PacketClaims {
  public:
    PacketClaims(const Run& run, const Predictions& predictions)
        : run_(run), rates_(predictions.rates) {}

    /// Nothing where the claim is about something else, or nothing was counted.
    std::optional<ClaimPrediction> judged(const Claim& said) const {
        ClaimPrediction p{said.lab, said.id, said.text, said.holds, Verdict::cannot_say, ""};
        bool counted = said.id == "irq-collapses"               ? collapses(p)
                       : said.id == "hybrid-keeps-peak"         ? keeps_peak(p)
                       : said.id == "interval-saves-interrupts" ? interval(p, 4, Of::interrupts)
                       : said.id == "interval-costs-latency"    ? interval(p, 4, Of::latency)
                                                                : false;
        return counted ? std::optional(p) : std::nullopt;
    }

  private:
    const RatePrediction* rate(const std::string& lab, const std::string& name) const {
        for (const RatePrediction& r : rates_)
            if (r.lab == lab && r.name == name) return &r;
        return nullptr;
    }
    static std::optional<Estimate> part(const RatePrediction& rate, const char* name) {
        for (const RatePrediction::Part& p : rate.parts)
            if (p.name == name) return p.ns;
        return std::nullopt;
    }
    static Estimate or_nothing(const std::optional<Estimate>& cost) {
        return cost.value_or(Estimate{0, 0, 0});
    }

    /// At r packets a second (1 - r R) / D are delivered, with R until one is queued and D its
    /// delivery. The peak is 1 / (R + D); at ten times that rate less than half of it is left where
    /// D < 18 R. A price that is missing could only add to R.
    bool collapses(ClaimPrediction& p) const {
        constexpr double least_of_delivery = 18;
        const RatePrediction* r = rate("livelock", "nothing delivered policy=irq");
        if (r == nullptr) return false;
        auto delivery = part(*r, "its delivery");
        Estimate queued = or_nothing(part(*r, "receiving a packet")) +
                          or_nothing(part(*r, "its input")) + or_nothing(part(*r, "an interrupt"));
        p.because = why_rate_unknown(*r);
        if (!delivery) return true;
        bool all_known = p.because.empty();
        if (delivery->high < least_of_delivery * queued.low)
            p.verdict = Verdict::holds;
        else if (all_known)
            p.verdict = delivery->low >= least_of_delivery * queued.high ? Verdict::does_not_hold
                                                                         : Verdict::open;
        if (!all_known && p.verdict == Verdict::cannot_say) return true;
        std::string missing =
            all_known ? "" : fmt::format(" ({}, which could only add to it)", p.because);
        p.because = fmt::format(
            "a packet costs {}{} until it is queued{}, and its delivery {}: {}",
            all_known ? "" : "at least ",
            all_known ? estimate_text(queued, "ns") : three_digits(queued.low) + " ns", missing,
            estimate_text(*delivery, "ns"),
            p.verdict == Verdict::holds
                ? "at ten times the rate of the peak, receiving leaves too little time for "
                  "deliveries"
                : "at ten times the rate of the peak, deliveries may go on");
        return true;
    }

    /// No peak is higher than a packet's work alone allows. At ten times the load a packet costs
    /// its share of taking packets from the card besides; the others are dropped by the card.
    bool keeps_peak(ClaimPrediction& p) const {
        constexpr double most_beside = 2.0 / 38;  // 38 of 40 packets
        const RatePrediction* r = rate("livelock", "capacity policy=hybrid");
        if (r == nullptr || wastes("policy=hybrid load=10")) return false;
        auto input = part(*r, "its input"), delivery = part(*r, "its delivery");
        p.because = why_rate_unknown(*r);
        if (!r->known() || !input || !delivery) return true;
        Estimate beside =
            or_nothing(part(*r, "receiving a packet")) + or_nothing(part(*r, "an interrupt"));
        Estimate work = *input + *delivery;
        p.verdict = beside.high <= most_beside * work.low ? Verdict::holds : Verdict::open;
        p.because = fmt::format(
            "at ten times the load a packet's work takes {}, and taking it from the card {}: {}",
            estimate_text(work, "ns"), estimate_text(beside, "ns"),
            p.verdict == Verdict::holds ? "less than two packets of 40"
                                        : "that may be more than two packets of 40");
        return true;
    }
    bool wastes(std::string_view test_case) const {
        return std::any_of(run_.series.begin(), run_.series.end(), [&](const Series& s) {
            return s.lab == "livelock" && s.metric == "wasted" && s.test_case.text() == test_case &&
                   s.max != 0;
        });
    }

    enum class Of { interrupts, latency };
    /// An interval in ns, and the packets that come in it.
    struct Interval {
        double ns, packets;
        double busy(double interrupt, double packet) const { return interrupt + packets * packet; }
        /// From one interrupt to the next.
        double between(double interrupt, double packet) const {
            return std::max(ns, busy(interrupt, packet));
        }
        /// The median packet waits half of that, and for half of what is served with it.
        double wait(double interrupt, double packet) const {
            return between(interrupt, packet) / 2 + interrupt + packets * packet / 2;
        }
    };
    std::optional<Interval> interval_of(const std::string& test_case, double us) const {
        for (const Series& s : run_.series)
            if (s.lab == "moderation" && s.metric == "interrupts" &&
                s.test_case.text() == test_case && s.percentile(prediction_middle).value_or(0) != 0)
                return Interval{us * 1000,
                                1000 / static_cast<double>(*s.percentile(prediction_middle))};
        return std::nullopt;
    }
    /// The longer interval needs fewer interrupts, or the packets wait longer, by more than
    /// `factor`, where serving does not take longer than the intervals do.
    bool interval(ClaimPrediction& p, double factor, Of of) const {
        const std::string shorter = "model=e1000e interval=130",
                          longer = "model=e1000e interval=1000";
        const RatePrediction* r = rate("moderation", "cost " + shorter);
        auto a = interval_of(shorter, 130), b = interval_of(longer, 1000);
        if (r == nullptr || !a || !b) return false;
        auto interrupt = part(*r, "an interrupt"), packet = part(*r, "a packet");
        p.because = why_rate_unknown(*r);
        if (!interrupt || !packet || !r->known()) return true;
        bool all = true, none = true;
        for (double i : {interrupt->low, interrupt->high})
            for (double n : {packet->low, packet->high}) {
                bool holds = of == Of::interrupts ? b->between(i, n) > factor * a->between(i, n)
                                                  : b->wait(i, n) > factor * a->wait(i, n);
                all = all && holds;
                none = none && !holds;
            }
        p.verdict = all ? Verdict::holds : none ? Verdict::does_not_hold : Verdict::open;
        p.because = fmt::format(
            "an interrupt costs {}, and a packet that it serves {}; {:.1f} packets come in 130 us, "
            "{:.1f} in 1000 us",
            estimate_text(*interrupt, "ns"), estimate_text(*packet, "ns"), a->packets, b->packets);
        return true;
    }

    static constexpr uint64_t prediction_middle = 50000;
    const Run& run_;
    const std::vector<RatePrediction>& rates_;
};

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
        PacketClaims packets(run, predictions);
        for (const labs::Claim& claim : lab->claims)
            for (const Claim& said : run.claims) {
                if (said.lab != lab->name ||
                    (said.id.empty() ? said.text != claim.text : said.id != claim.id))
                    continue;
                auto p = packets.judged(said);
                if (!p) p = predict_claim(said, lab->name, claim, results, predictions);
                if (p) all.push_back(*p);
            }
    }
    return all;
}

}  // namespace doorbell::harness
