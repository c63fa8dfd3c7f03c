#include "harness/results/predict/against.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "firmware/measure/yardstick.h"
#include "harness/results/figures.h"
#include "harness/results/predict/predict_text.h"
#include "harness/results/table/table.h"
#include "harness/system/failure.h"

namespace doorbell::harness {
namespace {

/// A measured median in the units that it can be turned into.
struct MeasuredValue {
    std::optional<double> cycles, ns, clock;
    std::string clock_unit;
    std::optional<double> in(PredictionUnit unit) const {
        return unit == PredictionUnit::cycles ? cycles : unit == PredictionUnit::ns ? ns : clock;
    }
};

/// Core cycles of a tick while the case was measured: by its yardstick, one IMUL of a chain in
/// thousandths of a tick.
std::optional<double> cycles_a_tick(const Run& run, const Series& series) {
    for (const Series& s : run.series)
        if (s.lab == series.lab && s.test_case == series.test_case && s.metric == "yardstick" &&
            s.unit == "millitick")
            if (auto milli = s.percentile(25000); milli && *milli != 0)
                return 1000.0 * measure::cycles_an_imul / static_cast<double>(*milli);
    return std::nullopt;
}

MeasuredValue measured_value(const Run& run, const Series& series) {
    MeasuredValue v;
    auto median = series.percentile(50000);
    if (!median) return v;
    auto value = static_cast<double>(*median);
    v.clock_unit = series.unit;
    for (const Counter& c : series.counters)
        if (c.name == "cycles" && c.stage.empty() && c.samples != 0 && c.evidence == "measured")
            v.cycles = c.value.get<double>() / static_cast<double>(c.samples);
    if (series.unit == "ns") {
        v.ns = value;
    } else if (series.unit == "tick") {
        double hz = number_in(run.machine, "tsc_hz");
        if (hz > 0) v.ns = value * 1e9 / hz;
        if (auto factor = cycles_a_tick(run, series); factor && !v.cycles)
            v.cycles = value * *factor;
        v.clock = value;
    } else if (series.unit == "insn") {
        v.clock = value;
    }
    return v;
}

/// KCachegrind's cycle estimation: Ir + 10 Bm + 10 L1m + 100 LLm.
double kcachegrind_formula(const Counts& c) {
    return count_of(c, "instructions") + 10 * count_of(c, "branch_misses") +
           10 * (count_of(c, "l1i_misses") + count_of(c, "l1d_misses")) +
           100 * count_of(c, "llc_misses");
}

/// iai's: L1 hits + 5 L2 or LLC hits + 35 RAM hits, of all fetches, loads and stores.
double iai_formula(const Counts& c) {
    double all = count_of(c, "instructions") + count_of(c, "loads") + count_of(c, "stores");
    double l1_misses = count_of(c, "l1i_misses") + count_of(c, "l1d_misses");
    double ram = count_of(c, "llc_misses");
    return std::max(all - l1_misses, 0.0) + 5 * std::max(l1_misses - ram, 0.0) + 35 * ram;
}

/// The scale that makes the geometric mean of f/m one, and the error with it.
FormulaError error_of_formula(const std::vector<ComparedBody>& bodies,
                              double ComparedBody::* formula) {
    double sum = 0, error = 0;
    size_t n = 0;
    for (const ComparedBody& b : bodies)
        if (b.*formula > 0) sum += std::log(b.measured / b.*formula), ++n;
    if (n == 0) return {};
    double mean = sum / static_cast<double>(n);
    for (const ComparedBody& b : bodies)
        if (b.*formula > 0) error += std::abs(std::log(b.measured / b.*formula) - mean);
    return {std::exp(mean), std::exp(error / static_cast<double>(n)) - 1};
}

void summarize(Against& a) {
    double sum = 0;
    auto n = static_cast<double>(a.bodies.size());
    for (const ComparedBody& b : a.bodies) {
        sum += std::log1p(b.error());
        a.within_10 += b.error() <= 0.10 ? 1 / n : 0;
        a.within_25 += b.error() <= 0.25 ? 1 / n : 0;
        a.inside_interval += b.inside() ? 1 / n : 0;
    }
    a.geomean_error = std::expm1(sum / n);
    a.kcachegrind = error_of_formula(a.bodies, &ComparedBody::kcachegrind);
    a.iai = error_of_formula(a.bodies, &ComparedBody::iai);
}

/// Why the pair cannot be compared, or "" and `body` is whole.
std::string compare_body(const SeriesPrediction& p, const MeasuredValue& m, ComparedBody& body) {
    if (!p.why_not.empty()) return p.why_not;
    if (!p.costs.known())
        return fmt::format("the profile has no price {}", fmt::join(p.costs.missing(), ", "));
    for (const auto& [unit, name] :
         {std::pair{PredictionUnit::cycles, "cycles"}, std::pair{PredictionUnit::ns, "ns"},
          std::pair{PredictionUnit::clock, m.clock_unit.c_str()}}) {
        const Cost& cost = p.costs.in(unit);
        auto value = m.in(unit);
        if (!cost.known() || !value) continue;
        if (!(*value > 0)) return "it took less than the clock's step";
        if (!(cost.all.value > 0)) return "the prediction is 0";
        body.unit = name;
        body.predicted = cost.all;
        body.measured = *value;
        return "";
    }
    return fmt::format("a median in {} and this profile have no unit in common", m.clock_unit);
}

}  // namespace

std::string ComparedBody::name() const {
    return lab + (test_case.empty() ? "" : " " + test_case) + " " + metric;
}

double ComparedBody::error() const {
    double ratio = predicted.value / measured;
    return std::max(ratio, 1 / ratio) - 1;
}

Against compare_with(const Predictions& predictions, const StoredRun& measured) {
    Against a;
    a.predicted_run = predictions.run;
    a.measured_run = measured.name;
    a.profile = predictions.profile;
    for (const Series& series : measured.run.series) {
        const SeriesPrediction* p = predictions.find(series);
        if (p == nullptr || p->share || series.count == 0 || !is_time(series.unit)) continue;
        ComparedBody body;
        body.lab = p->lab;
        body.test_case = p->test_case.text();
        body.metric = p->metric;
        std::string why = compare_body(*p, measured_value(measured.run, series), body);
        if (!why.empty()) {
            a.left_out.push_back(p->name() + ": " + why);
            continue;
        }
        body.kcachegrind = kcachegrind_formula(p->costs.counts);
        body.iai = iai_formula(p->costs.counts);
        a.bodies.push_back(std::move(body));
    }
    if (a.bodies.empty())
        throw UsageError(fmt::format("--against: {} has no series that {} predicts{}",
                                     measured.name, predictions.run,
                                     a.left_out.empty() ? "" : "; " + a.left_out.front()));
    summarize(a);
    return a;
}

Json Against::json() const {
    auto formula = [](const FormulaError& f) {
        return Json{{"scale", f.scale}, {"geomean_error", f.geomean_error}};
    };
    Json json = {{"predicted", predicted_run},
                 {"measured", measured_run},
                 {"profile", profile},
                 {"bodies", bodies.size()},
                 {"geomean_error", geomean_error},
                 {"within_10", within_10},
                 {"within_25", within_25},
                 {"inside_interval", inside_interval},
                 {"kcachegrind", formula(kcachegrind)},
                 {"iai", formula(iai)},
                 {"list", Json::array()},
                 {"left_out", left_out}};
    for (const ComparedBody& b : bodies)
        json["list"].push_back({{"lab", b.lab},
                                {"case", b.test_case},
                                {"metric", b.metric},
                                {"unit", b.unit},
                                {"predicted", b.predicted.value},
                                {"low", b.predicted.low},
                                {"high", b.predicted.high},
                                {"measured", b.measured},
                                {"error", b.error()},
                                {"inside", b.inside()},
                                {"kcachegrind", b.kcachegrind * kcachegrind.scale},
                                {"iai", b.iai * iai.scale}});
    return json;
}

Against Against::from(const Json& json) {
    Against a;
    a.predicted_run = word_of(json, "predicted");
    a.measured_run = word_of(json, "measured");
    a.profile = word_of(json, "profile");
    if (auto list = json.find("list"); list != json.end() && list->is_array())
        for (const Json& one : *list) {
            ComparedBody b;
            b.lab = word_of(one, "lab");
            b.test_case = word_of(one, "case");
            b.metric = word_of(one, "metric");
            b.unit = word_of(one, "unit");
            b.predicted = {number_in(one, "predicted"), number_in(one, "low"),
                           number_in(one, "high")};
            b.measured = number_in(one, "measured");
            b.kcachegrind = number_in(one, "kcachegrind");
            b.iai = number_in(one, "iai");
            if (!(b.predicted.value > 0) || !(b.measured > 0))
                throw std::runtime_error("a compared body has no value");
            a.bodies.push_back(std::move(b));
        }
    if (a.bodies.empty()) throw std::runtime_error("\"against\" has no bodies");
    summarize(a);
    return a;
}

std::string against_text(const Against& a) {
    std::string text = wrapped("", fmt::format("{} predicted on {}, beside {}: medians",
                                               a.predicted_run, a.profile, a.measured_run));
    std::vector<Cells> rows{{"series", "unit", "predicted", "low", "high", "measured", "error"}};
    std::vector<const ComparedBody*> sorted;
    for (const ComparedBody& b : a.bodies) sorted.push_back(&b);
    std::stable_sort(
        sorted.begin(), sorted.end(),
        [](const ComparedBody* x, const ComparedBody* y) { return x->error() < y->error(); });
    for (const ComparedBody* b : sorted)
        rows.push_back({b->name(), b->unit, three_digits(b->predicted.value),
                        three_digits(b->predicted.low), three_digits(b->predicted.high),
                        three_digits(b->measured), percent(b->error()) + (b->inside() ? "" : "*")});
    text += in_columns(rows, 2);
    for (const std::string& why : a.left_out) text += wrapped("  left out: ", why);
    text += wrapped("", fmt::format("{} series: geometric mean of the error {}; within 10 % {}, "
                                    "within 25 % {}; measured value inside its interval {} "
                                    "(*: outside)",
                                    a.bodies.size(), percent(a.geomean_error), percent(a.within_10),
                                    percent(a.within_25), percent(a.inside_interval)));
    text += wrapped(
        "", fmt::format("for comparison, each at its best scale: KCachegrind's formula "
                        "{}, iai's {}",
                        percent(a.kcachegrind.geomean_error), percent(a.iai.geomean_error)));
    return text;
}

}  // namespace doorbell::harness
