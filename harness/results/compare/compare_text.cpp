// A comparison for people and for programs.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "harness/results/compare/compare.h"
#include "harness/results/figures.h"
#include "harness/results/table/table.h"

namespace doorbell::harness {
namespace {

std::string share_text(const FigureChange& figure) {
    double share = figure.share();
    return std::isinf(share) ? std::string("from nothing") : signed_percent(share);
}

double step_of(const SeriesChange& series, const FigureChange& figure) {
    if (series.counted) return figure.what == "mean" ? 0.1 : 1;
    return bin_width(std::max(figure.a, figure.b));
}

std::string line_of(const SeriesChange& series, const FigureChange& change) {
    double step = step_of(series, change);
    std::string text = fmt::format("{}: {}", change.what, word(change.word, series.unit));
    if (change.word == Word::too_few)
        return text + (change.note.empty() ? "" : " (" + change.note + ")");
    text +=
        fmt::format(", {} -> {} {}", figure(change.a, step), figure(change.b, step), series.unit);
    if (change.a == change.b && series.counted) return text;
    text += fmt::format(", {} {} ({})", signed_figure(change.interval.difference, step),
                        series.unit, share_text(change));
    if (!series.counted)
        text += fmt::format(", 95 % interval {} to {}", signed_figure(change.interval.low, step),
                            signed_figure(change.interval.high, step));
    return text;
}

void add_series(std::string& text, const SeriesChange& series) {
    const char* said = series.counted && !series.identical && series.size() == 0
                           ? "other counts, same figures"
                           : word(series.summary(), series.unit);
    text += wrapped(fmt::format("{}: ", said),
                    fmt::format("{} ({}, {})", series.name(), series.unit, series.evidence));
    for (const FigureChange& figure : series.figures)
        if (!series.counted || figure.a != figure.b)
            text += wrapped("    ", line_of(series, figure));
    for (const StageChange& stage : series.stages) {
        text += wrapped("    ", fmt::format("stage {}: {} -> {} {} on average, {} {}{}", stage.name,
                                            figure(stage.a, 0.1), figure(stage.b, 0.1), series.unit,
                                            signed_figure(stage.b - stage.a, 0.1), series.unit,
                                            stage.share == 0 ? ""
                                                             : ", " + percent(stage.share) +
                                                                   " of the difference"));
    }
    for (const CounterChange& c : series.counters) {
        auto side = [](std::optional<double> value) {
            return value ? fmt::format("{:.6g}", *value) : std::string("none");
        };
        text += wrapped("    ", fmt::format("counter {}{}: {} -> {} a sample ({})", c.name,
                                            c.stage.empty() ? "" : " of " + c.stage, side(c.a),
                                            side(c.b), c.evidence));
    }
}

/// The first few, and the number of the others: a run of other labs has hundreds.
void add_names(std::string& text, const char* first, const std::vector<std::string>& names) {
    constexpr size_t most = 10;
    for (size_t i = 0; i < std::min(most, names.size()); ++i) text += wrapped(first, names[i]);
    if (names.size() > most) text += fmt::format("{}{} more series\n", first, names.size() - most);
}

}  // namespace

const char* word(Word word, const std::string& unit) {
    switch (word) {
        case Word::equal:
            return "equal";
        case Word::no_change:
            return "no change";
        case Word::faster:
            return is_time(unit) ? "faster" : "better";
        case Word::slower:
            return is_time(unit) ? "slower" : "worse";
        case Word::different:
            return "different";
        case Word::too_noisy:
            return "too noisy to say";
        case Word::too_few:
            return "too few samples";
    }
    return "";
}

std::vector<std::string> beyond_gate(const Comparison& comparison, double share) {
    std::vector<std::string> lines;
    for (const SeriesChange& series : comparison.series)
        for (const FigureChange& figure : series.figures)
            // The last digit of a share must not decide: 5 % is not more than 5 %.
            if (figure.worse && std::abs(figure.share()) > share * (1 + 1e-9))
                lines.push_back(fmt::format("{}, {}", series.name(), line_of(series, figure)));
            else if (figure.lost)
                lines.push_back(fmt::format("{}, {} in B", series.name(), line_of(series, figure)));
    for (const CaseEnd& fail : comparison.failed_in_b)
        lines.push_back(fmt::format("{} failed in B: {}", fail.name(), fail.reason));
    for (const Missing& one : comparison.only_in_a)
        if (one.why == Missing::Why::unknown)
            lines.push_back(fmt::format("{}: B does not have it", one.name));
    return lines;
}

std::string comparison_text(const Comparison& comparison, bool all) {
    std::string text;
    for (const std::string& remark : comparison.remarks) text += wrapped("differs: ", remark);
    bool any = false;
    for (const SeriesChange& series : comparison.series) {
        bool unclear = series.summary() == Word::too_noisy || series.summary() == Word::too_few;
        if (!series.changed() && !unclear && !all) continue;
        add_series(text, series);
        any = true;
    }
    for (const CaseEnd& fail : comparison.failed_in_b)
        text += wrapped("FAILED in B: ", fail.name() + ": " + fail.reason);
    std::vector<std::string> missing;
    for (const Missing& one : comparison.only_in_a) missing.push_back(one.text());
    add_names(text, "only in A: ", missing);
    add_names(text, "only in B: ", comparison.only_in_b);
    if (any || !comparison.remarks.empty() || !comparison.failed_in_b.empty()) text += "\n";
    size_t total = comparison.series.size();
    std::string summary = fmt::format("{} series:", total);
    auto add = [&](size_t count, const char* what) {
        if (count != 0)
            summary += fmt::format("{} {} {}", summary.ends_with(':') ? "" : ",", count, what);
    };
    size_t same = 0;
    for (const SeriesChange& series : comparison.series)
        same += series.changed() && series.size() == 0;
    add(comparison.count(Word::equal), "equal");
    add(comparison.count(Word::no_change), "no change");
    add(comparison.count(Word::faster), "faster or better");
    add(comparison.count(Word::slower), "slower or worse");
    add(comparison.count(Word::different), "different");
    add(same, "with other counts but the same figures");
    add(comparison.count(Word::too_noisy), "too noisy to say");
    add(comparison.count(Word::too_few), "with too few samples");
    text += wrapped("", summary);
    if (comparison.tests != 0)
        text += wrapped(
            "",
            fmt::format(
                "medians by Mann-Whitney, p99 by a binomial test, corrected by Holm for {} tests; "
                "intervals by bootstrap",
                comparison.tests));
    return text;
}

namespace {

Json figure_json(const FigureChange& figure, const SeriesChange& series) {
    Json json = {{"what", figure.what}, {"word", word(figure.word, series.unit)}};
    if (!figure.note.empty()) json["because"] = figure.note;
    if (figure.word == Word::too_few) return json;
    json["a"] = figure.a;
    json["b"] = figure.b;
    json["difference"] = figure.interval.difference;
    if (!std::isinf(figure.share())) json["share"] = figure.share();
    json["worse"] = figure.worse;
    if (!series.counted) {
        json["interval"] = {figure.interval.low, figure.interval.high};
        json["probability"] = figure.probability;
    }
    return json;
}

Json counter_json(const CounterChange& counter) {
    Json json = {{"name", counter.name},
                 {"stage", counter.stage},
                 {"evidence", counter.evidence},
                 {"a", nullptr},
                 {"b", nullptr}};
    if (counter.a) json["a"] = *counter.a;
    if (counter.b) json["b"] = *counter.b;
    return json;
}

Json series_json(const SeriesChange& one) {
    Json figures = Json::array(), stages = Json::array(), counters = Json::array();
    for (const FigureChange& figure : one.figures) figures.push_back(figure_json(figure, one));
    for (const StageChange& stage : one.stages)
        stages.push_back(
            {{"name", stage.name}, {"a", stage.a}, {"b", stage.b}, {"share", stage.share}});
    for (const CounterChange& counter : one.counters) counters.push_back(counter_json(counter));
    return {{"lab", one.lab},
            {"case", one.test_case},
            {"metric", one.metric},
            {"unit", one.unit},
            {"evidence", one.evidence},
            {"identical", one.identical},
            {"word", word(one.summary(), one.unit)},
            {"figures", figures},
            {"stages", stages},
            {"counters", counters}};
}

}  // namespace

Json comparison_json(const Comparison& comparison) {
    Json series = Json::array();
    for (const SeriesChange& one : comparison.series) series.push_back(series_json(one));
    Json only_in_a = Json::array(), missing = Json::array(), failed = Json::array();
    for (const Missing& one : comparison.only_in_a) {
        only_in_a.push_back(one.name);
        const char* why = one.why == Missing::Why::lacking  ? "skipped"
                          : one.why == Missing::Why::failed ? "failed"
                                                            : "unknown";
        missing.push_back({{"series", one.name}, {"why", why}, {"reason", one.reason}});
    }
    for (const CaseEnd& fail : comparison.failed_in_b)
        failed.push_back(
            {{"lab", fail.lab}, {"case", fail.test_case.json()}, {"reason", fail.reason}});
    return {{"schema", "doorbell-comparison/1"},
            {"differs", comparison.remarks},
            {"tests", comparison.tests},
            {"series", series},
            {"only_in_a", only_in_a},
            {"only_in_b", comparison.only_in_b},
            {"missing_in_b", missing},
            {"failed_in_b", failed}};
}

}  // namespace doorbell::harness
