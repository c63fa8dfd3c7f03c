#include "harness/results/compare/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "harness/data/digest.h"
#include "harness/results/compare/claims.h"
#include "harness/results/figures.h"
#include "harness/system/failure.h"

namespace doorbell::harness {
namespace {

/// Probability that a comparison of two whole runs reports a change where there is none.
constexpr double alpha = 0.005;
constexpr double confidence = 0.95;
/// Smaller shares are not changes, however certain: the placement of code and data alone can make
/// two runs of one program differ that much.
constexpr double floor_share = 0.01;
/// Rough figures move with the host's load, so that only a factor of two is evidence of a change.
constexpr double rough_factor = 2;
constexpr uint64_t least_for_median = 20;
constexpr uint64_t least_for_p99 = 1000;

std::string key_of(const Series& series) {
    std::vector<std::string> words;
    for (const auto& [key, value] : series.test_case.pairs()) words.push_back(key + "=" + value);
    std::sort(words.begin(), words.end());
    std::string text = series.lab + "|" + series.metric;
    for (const std::string& one : words) text += "|" + one;
    return text;
}

bool counted(const Series& series) { return series.evidence == "exact" && !series.unstable(); }

using Pair = std::pair<const Series*, const Series*>;

bool is_of(const CaseEnd& end, const std::string& lab, const CaseKeys& test_case) {
    auto sorted = [](const CaseKeys& keys) {
        auto pairs = keys.pairs();
        std::sort(pairs.begin(), pairs.end());
        return pairs;
    };
    return end.lab == lab && sorted(end.test_case) == sorted(test_case);
}

/// The case's entry among `ends`, or null.
const CaseEnd* find(const std::vector<CaseEnd>& ends, const std::string& lab,
                    const CaseKeys& test_case) {
    auto at = std::find_if(ends.begin(), ends.end(),
                           [&](const CaseEnd& end) { return is_of(end, lab, test_case); });
    return at == ends.end() ? nullptr : &*at;
}

std::vector<Pair> pairs_of(const StoredRun& a, const StoredRun& b,
                           std::vector<Missing>* only_a = nullptr,
                           std::vector<std::string>* only_b = nullptr) {
    std::map<std::string, const Series*> in_b;
    for (const Series& series : b.run.series) in_b.emplace(key_of(series), &series);
    std::vector<Pair> pairs;
    for (const Series& series : a.run.series) {
        auto found = in_b.find(key_of(series));
        if (found == in_b.end()) {
            if (only_a != nullptr) only_a->push_back(missing_from(b.run, series));
            continue;
        }
        pairs.emplace_back(&series, found->second);
        in_b.erase(found);
    }
    if (only_b != nullptr)
        for (const Series& series : b.run.series)
            if (in_b.contains(key_of(series))) only_b->push_back(series.name());
    return pairs;
}

/// The verdict on a change from a to b.
void call(FigureChange& figure, wire::Better better) {
    bool rises = figure.interval.difference > 0;
    figure.worse = better != wire::Better::neither && rises == (better == wire::Better::less);
    figure.word = better == wire::Better::neither ? Word::different
                  : figure.worse                  ? Word::slower
                                                  : Word::faster;
}

FigureChange counted_change(const char* what, double a, double b, wire::Better better) {
    FigureChange change{.what = what, .a = a, .b = b, .interval = {b - a, b - a, b - a}};
    if (a != b) call(change, better);
    return change;
}

/// The stages' means, and the share of the whole's difference in each of them.
std::vector<CounterChange> counter_changes(const Series& a, const Series& b) {
    std::vector<CounterChange> changes;
    auto see = [&](const Series& series, std::optional<double> CounterChange::* side) {
        for (const Counter& c : series.counters) {
            if (c.evidence != "exact" && c.evidence != "modelled") continue;
            auto at = std::find_if(changes.begin(), changes.end(), [&](const CounterChange& x) {
                return x.name == c.name && x.stage == c.stage;
            });
            if (at == changes.end()) at = changes.insert(at, {c.name, c.stage, c.evidence});
            (*at).*side =
                c.value.get<double>() / static_cast<double>(std::max<uint64_t>(c.samples, 1));
        }
    };
    see(a, &CounterChange::a);
    see(b, &CounterChange::b);
    std::erase_if(changes, [](const CounterChange& x) { return x.a == x.b; });
    return changes;
}

std::vector<StageChange> stage_changes(const Series& a, const Series& b) {
    std::vector<StageChange> changes;
    double whole = b.mean() - a.mean();
    for (const Stage& stage : a.stages) {
        auto other = std::find_if(b.stages.begin(), b.stages.end(),
                                  [&](const Stage& s) { return s.name == stage.name; });
        if (other == b.stages.end() || stage.bins.empty() || other->bins.empty()) continue;
        StageChange change{stage.name, sum_of(stage) / static_cast<double>(stage.bins.count()),
                           sum_of(*other) / static_cast<double>(other->bins.count())};
        if (change.a == change.b) continue;
        change.share = whole == 0 ? 0 : (change.b - change.a) / whole;
        changes.push_back(change);
    }
    std::stable_sort(changes.begin(), changes.end(),
                     [](const StageChange& x, const StageChange& y) {
                         return std::abs(x.b - x.a) > std::abs(y.b - y.a);
                     });
    return changes;
}

/// One measured figure whose test waits for the correction.
struct Pending {
    size_t series, figure;
};

class Comparer {
  public:
    Comparer(const StoredRun& a, const StoredRun& b, const CompareOptions& options)
        : a_(a), b_(b), options_(options) {}

    Comparison run() {
        std::vector<Pair> pairs = pairs_of(a_, b_, &result_.only_in_a, &result_.only_in_b);
        for (const auto& [a, b] : pairs) add(*a, *b);
        for (const CaseEnd& fail : failed_only_in(b_.run, a_.run))
            if (known_to_a(fail)) result_.failed_in_b.push_back(fail);
        judge();
        std::stable_sort(result_.series.begin(), result_.series.end(),
                         [](const SeriesChange& x, const SeriesChange& y) {
                             if (x.changed() != y.changed()) return x.changed();
                             return x.changed() && x.size() > y.size();
                         });
        return std::move(result_);
    }

  private:
    bool known_to_a(const CaseEnd& end) const {
        return find(a_.run.skipped, end.lab, end.test_case) != nullptr ||
               std::any_of(a_.run.series.begin(), a_.run.series.end(), [&](const Series& series) {
                   return is_of(end, series.lab, series.test_case);
               });
    }

    void add(const Series& a, const Series& b) {
        SeriesChange change{.lab = a.lab,
                            .test_case = a.test_case.text(),
                            .metric = a.metric,
                            .unit = a.unit,
                            .evidence = a.evidence};
        change.counted = counted(a) && counted(b);
        better_.push_back(a.better);
        change.identical = identical(a, b);
        resolutions_.push_back(std::max(resolution_of(a_.run, a), resolution_of(b_.run, b)));
        bool some = a.whole() && b.whole();
        if (!some) {
            FigureChange none{.what = "median", .word = Word::too_few};
            none.note =
                a.count == 0 || b.count == 0 ? "no samples" : "the histogram did not arrive whole";
            none.lost = a.whole() && !b.whole();
            change.figures.push_back(none);
        } else if (change.counted) {
            auto of = [](const Series& series, uint64_t p) {
                return static_cast<double>(*series.percentile(p));
            };
            change.figures.push_back(
                counted_change("median", of(a, 50000), of(b, 50000), a.better));
            change.figures.push_back(counted_change("p99", of(a, 99000), of(b, 99000), a.better));
            change.figures.push_back(counted_change("mean", a.mean(), b.mean(), a.better));
            change.stages = stage_changes(a, b);
            change.counters = counter_changes(a, b);
        } else {
            test(change, a, b);
        }
        result_.series.push_back(std::move(change));
    }

    void test(SeriesChange& change, const Series& a, const Series& b) {
        Sample in_a = sample_of(a_, a), in_b = sample_of(b_, b);
        uint64_t least = std::min(in_a.count(), in_b.count());
        for (auto [what, share, enough] : {std::tuple{"median", 0.5, least_for_median},
                                           std::tuple{"p99", 0.99, least_for_p99}}) {
            FigureChange figure{.what = what, .a = in_a.quantile(share), .b = in_b.quantile(share)};
            if (least < enough) {
                figure.word = Word::too_few;
                figure.note = fmt::format("{} samples; {} are needed", least, enough);
                figure.lost = in_a.count() >= enough;
            } else {
                figure.interval = quantile_difference(in_a, in_b, share, confidence);
                figure.probability =
                    share == 0.5 ? mann_whitney(in_a, in_b) : quantile_test(in_a, in_b, share);
                pending_.push_back({result_.series.size(), change.figures.size()});
            }
            change.figures.push_back(std::move(figure));
        }
    }

    void judge() {
        std::vector<double> probabilities;
        for (const Pending& one : pending_)
            probabilities.push_back(result_.series[one.series].figures[one.figure].probability);
        probabilities = holm(probabilities);
        result_.tests = probabilities.size();
        for (size_t i = 0; i < pending_.size(); ++i) {
            SeriesChange& series = result_.series[pending_[i].series];
            FigureChange& figure = series.figures[pending_[i].figure];
            figure.probability = probabilities[i];
            double resolution = resolutions_[pending_[i].series];
            double difference = std::abs(figure.interval.difference);
            double step = std::max(resolution, bin_width(std::max(figure.a, figure.b)));
            bool certain = figure.probability < alpha && figure.interval.excludes_zero();
            bool rough = series.evidence == "rough" && figure.a < rough_factor * figure.b &&
                         figure.b < rough_factor * figure.a;
            if (certain && !rough && difference >= std::max(floor_share * figure.a, step)) {
                call(figure, better_[pending_[i].series]);
                continue;
            }
            double matters = std::max(options_.margin * figure.a, step);
            bool small =
                std::max(std::abs(figure.interval.low), std::abs(figure.interval.high)) <= matters;
            figure.word = small || (certain && !rough) ? Word::no_change : Word::too_noisy;
            if (certain && rough && !small)
                figure.note =
                    "the host's load moves rough figures; below a factor of two they say nothing";
        }
    }

    const StoredRun &a_, &b_;
    const CompareOptions& options_;
    Comparison result_;
    std::vector<double> resolutions_;
    std::vector<wire::Better> better_;
    std::vector<Pending> pending_;
};

std::string text_or(const Json& object, const char* name) {
    auto found = object.is_object() ? object.find(name) : object.end();
    if (!object.is_object() || found == object.end() || found->is_null()) return {};
    return found->is_string() ? found->get<std::string>() : found->dump();
}

std::vector<std::string> remarks_on(const StoredRun& a, const StoredRun& b) {
    std::vector<std::string> remarks;
    auto differ = [&](const std::string& what, const std::string& in_a, const std::string& in_b) {
        if (!in_a.empty() && !in_b.empty() && in_a != in_b)
            remarks.push_back(fmt::format("{}: {} in A, {} in B", what, in_a, in_b));
    };
    for (const char* name :
         {"doorbell", "machine", "accel", "nic", "net", "samples", "seed", "settings"})
        differ(name, text_or(a.manifest, name), text_or(b.manifest, name));
    differ("image", text_or(a.run.machine, "image").substr(0, 12),
           text_or(b.run.machine, "image").substr(0, 12));
    differ("compiler", text_or(a.run.machine, "compiler"), text_or(b.run.machine, "compiler"));
    differ("QEMU", text_or(a.run.machine, "qemu_version"), text_or(b.run.machine, "qemu_version"));
    for (const auto& [name, stored] : {std::pair{"A", &a}, std::pair{"B", &b}})
        for (const std::string& note : stored->notes)
            remarks.push_back(std::string(name) + ": " + note);
    return remarks;
}

}  // namespace

Missing missing_from(const Run& run, const Series& series) {
    if (const CaseEnd* fail = find(run.failed, series.lab, series.test_case))
        return {series.name(), Missing::Why::failed, fail->reason};
    if (const CaseEnd* skip = find(run.skipped, series.lab, series.test_case))
        return {series.name(), Missing::Why::lacking, skip->reason};
    return {series.name()};
}

std::vector<CaseEnd> failed_only_in(const Run& run, const Run& other) {
    std::vector<CaseEnd> all;
    for (const CaseEnd& fail : run.failed)
        if (find(other.failed, fail.lab, fail.test_case) == nullptr) all.push_back(fail);
    return all;
}

double FigureChange::share() const {
    if (a == b) return 0;
    return a == 0 ? std::copysign(std::numeric_limits<double>::infinity(), b)
                  : (b - a) / std::abs(a);
}

bool is_change(Word word) {
    return word == Word::faster || word == Word::slower || word == Word::different;
}

std::string Missing::text() const {
    switch (why) {
        case Why::lacking:
            return name + ": skipped in B: " + reason;
        case Why::failed:
            return name + ": failed in B: " + reason;
        case Why::unknown:
            break;
    }
    return name;
}

std::string SeriesChange::name() const {
    return lab + (test_case.empty() ? "" : " " + test_case) + " " + metric;
}

Word SeriesChange::summary() const {
    if (counted && !changed()) return Word::equal;
    for (const FigureChange& figure : figures)
        if (is_change(figure.word)) return figure.word;
    return figures.empty() ? Word::too_few : figures.front().word;
}

bool SeriesChange::changed() const {
    return (counted && !identical) ||
           std::any_of(figures.begin(), figures.end(),
                       [](const FigureChange& figure) { return is_change(figure.word); });
}

double SeriesChange::size() const {
    double most = 0;
    for (const FigureChange& figure : figures)
        if (is_change(figure.word)) most = std::max(most, std::abs(figure.share()));
    return most;
}

size_t Comparison::count(Word word) const {
    return static_cast<size_t>(
        std::count_if(series.begin(), series.end(),
                      [&](const SeriesChange& one) { return one.summary() == word; }));
}

bool identical(const Series& a, const Series& b) {
    Run one, other;
    one.series.push_back(a);
    other.series.push_back(b);
    for (Run* run : {&one, &other}) {
        Series& series = run->series.front();
        series.evidence = "exact";
        series.flags.clear();
    }
    return a.evidence == b.evidence && canonical_form(one) == canonical_form(other);
}

Sample sample_of(const StoredRun& stored, const Series& series) {
    std::vector<std::pair<double, uint64_t>> points;
    for (const auto& [value, count] : series.bins.pairs())
        points.emplace_back(middle_of_bin(value, series.min, series.max), count);
    Sample sample(std::move(points));
    if (std::vector<uint64_t> in_order = read_samples(stored, series); !in_order.empty())
        sample.dependence = dependence_of(in_order);
    return sample;
}

std::string different_compilers(const StoredRun& a, const StoredRun& b) {
    std::string in_a = text_or(a.run.machine, "compiler"),
                in_b = text_or(b.run.machine, "compiler");
    if (in_a.empty() || in_b.empty() || in_a == in_b) return {};
    return fmt::format(
        "A: {}, B: {}: what a compiler makes of drivers and kernel may differ; what is in assembly "
        "must not",
        in_a, in_b);
}

std::string why_not_comparable(const StoredRun& a, const StoredRun& b) {
    auto other = [&](const char* what, const std::string& in_a, const std::string& in_b) {
        return in_a.empty() || in_b.empty() || in_a == in_b
                   ? std::string()
                   : fmt::format("they have {}: {} in A, {} in B", what, in_a, in_b);
    };
    std::string why =
        other("different clocks", text_or(a.run.machine, "clock"), text_or(b.run.machine, "clock"));
    if (why.empty())
        why = other("different cache geometries", text_or(a.manifest, "model"),
                    text_or(b.manifest, "model"));
    if (!why.empty()) return why;
    std::vector<Pair> pairs = pairs_of(a, b);
    if (pairs.empty()) return "they have no series in common";
    bool ticks = false, hardware = false;
    for (const auto& [in_a, in_b] : pairs) {
        why = other("different evidence", in_a->evidence, in_b->evidence);
        if (why.empty()) why = other("different units", in_a->unit, in_b->unit);
        if (!why.empty()) return fmt::format("{} ({})", why, in_a->name());
        ticks |= in_a->unit == "tick";
        hardware |= in_a->evidence == "measured";
    }
    double hz_a = number_in(a.run.machine, "tsc_hz"), hz_b = number_in(b.run.machine, "tsc_hz");
    if (ticks && hz_a > 0 && hz_b > 0 && std::abs(hz_a - hz_b) > 0.01 * hz_a)
        return fmt::format("their ticks have different lengths: {:.0f} MHz in A, {:.0f} MHz in B",
                           hz_a / 1e6, hz_b / 1e6);
    return hardware ? other("different processors", text_or(a.run.machine, "cpu"),
                            text_or(b.run.machine, "cpu"))
                    : std::string();
}

Comparison compare(const StoredRun& a, const StoredRun& b, const CompareOptions& options) {
    if (std::string why = why_not_comparable(a, b); !why.empty())
        throw UsageError(fmt::format("{} and {} cannot be compared: {}", a.name, b.name, why));
    Comparison comparison = Comparer(a, b, options).run();
    comparison.remarks = remarks_on(a, b);
    for (std::string& change : claim_changes(a.run, b.run))
        comparison.remarks.push_back(std::move(change));
    return comparison;
}

}  // namespace doorbell::harness
