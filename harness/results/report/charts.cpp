#include "harness/results/report/charts.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>
#include <iterator>
#include <map>
#include <set>

#include "firmware/measure/histogram.h"
#include "harness/results/figures.h"
#include "harness/system/number.h"

namespace doorbell::harness {
namespace {

constexpr size_t most_lines = 8;

/// A series of one of the runs.
struct Line {
    size_t run;
    const Series* series;
};
using Lines = std::vector<Line>;

std::vector<std::string> values_of(const Lines& lines, const std::string& key) {
    std::vector<std::string> values;
    for (const Line& line : lines) {
        std::string value(line.series->test_case[key]);
        if (std::find(values.begin(), values.end(), value) == values.end()) values.push_back(value);
    }
    return values;
}

std::vector<std::string> keys_of(const Lines& lines) {
    std::vector<std::string> keys;
    for (const Line& line : lines)
        for (const auto& [key, value] : line.series->test_case.pairs())
            if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
    return keys;
}

/// "irq" where only `wait` varies. Keys are named only where several vary.
std::string label(const Series& series, const std::vector<std::string>& varying) {
    std::string text;
    for (const std::string& key : varying) {
        std::string value(series.test_case[key]);
        if (value.empty()) continue;
        text +=
            (text.empty() ? "" : ", ") +
            (varying.size() == 1 || key == "wait" || key == "policy" ? value : key + "=" + value);
    }
    return text;
}

std::vector<std::string> varying_keys(const Lines& lines, const std::string& except = {}) {
    std::vector<std::string> keys;
    for (const std::string& key : keys_of(lines))
        if (key != except && values_of(lines, key).size() > 1) keys.push_back(key);
    return keys;
}

std::string common_keys(const Lines& lines) {
    std::string text;
    for (const std::string& key : keys_of(lines)) {
        std::vector<std::string> values = values_of(lines, key);
        if (values.size() == 1 && !values.front().empty())
            text += (text.empty() ? "" : " ") + key + "=" + values.front();
    }
    return text;
}

/// Waits keep their colours in all charts; other lines get theirs in order.
int colour_of(const Series& series, size_t order) {
    static const std::map<std::string, int, std::less<>> of_wait{
        {"poll", 0},   {"irq", 1},   {"irq-halt", 4}, {"mwait", 2},
        {"hybrid", 3}, {"quota", 6}, {"poll-tsc", 5}};
    for (const char* key : {"wait", "policy"})
        if (auto found = of_wait.find(series.test_case[key]); found != of_wait.end())
            return found->second;
    return static_cast<int>(order % most_lines);
}

/// Names, colours and dashes: colour by case, dash by run.
Json line_json(const std::vector<StoredRun>& runs, const Lines& lines, const Line& line,
               const std::vector<std::string>& varying) {
    std::vector<std::string> labels;
    for (const Line& one : lines) {
        std::string text = label(*one.series, varying);
        if (std::find(labels.begin(), labels.end(), text) == labels.end()) labels.push_back(text);
    }
    std::string text = label(*line.series, varying), run = letter(runs, line.run);
    auto order =
        static_cast<size_t>(std::find(labels.begin(), labels.end(), text) - labels.begin());
    bool by_wait = std::find(varying.begin(), varying.end(), "wait") != varying.end() ||
                   std::find(varying.begin(), varying.end(), "policy") != varying.end();
    bool alone = labels.size() <= values_of(lines, "wait").size() ||
                 labels.size() <= values_of(lines, "policy").size();
    int colour =
        by_wait && alone ? colour_of(*line.series, order) : static_cast<int>(order % most_lines);
    if (text.empty()) text = line.series->metric;
    return {{"name", run.empty() ? text : run + ": " + text},
            {"colour", colour},
            {"dash", line.run},
            {"points", Json::array()}};
}

double value_at_rank(const Series& series, uint64_t rank) {
    uint64_t seen = 0;
    for (const auto& [lowest, count] : series.bins.pairs())
        if ((seen += count) >= rank) {
            using Shape = measure::Histogram;
            return static_cast<double>(
                Shape::value_of(Shape::bin_of(lowest), series.min, series.max));
        }
    return static_cast<double>(series.max);
}

/// The points of an HdrHistogram plot: (1 / (1 - percentile), value).
Json percentile_points(const Series& series, int a_decade) {
    Json points = Json::array();
    double count = static_cast<double>(series.count);
    double step = std::max(1.0, resolution_of({}, series));
    for (int i = 0;; ++i) {
        double x = std::pow(10, static_cast<double>(i) / a_decade);
        bool last = x >= count;
        if (last) x = count;
        auto rank = std::max<uint64_t>(1, whole_part(std::ceil(count * (1 - 1 / x) - 1e-9)));
        double value = last     ? static_cast<double>(series.max)
                       : i == 0 ? static_cast<double>(series.min)
                                : value_at_rank(series, rank);
        points.push_back({std::round(x * 1000) / 1000,
                          rounded(value, std::max(step, last || i == 0 ? 1 : bin_width(value)))});
        if (last) break;
    }
    return points;
}

double figure_of(const Series& series, uint64_t per_100000) {
    auto value = series.percentile(per_100000);
    return value ? static_cast<double>(*value) : series.mean();
}

bool constant(const Lines& lines) {
    return std::all_of(lines.begin(), lines.end(),
                       [](const Line& line) { return line.series->min == line.series->max; });
}

Json axis_title(const Series& series) { return series.metric + ", " + series.unit; }

std::string evidences(const Lines& lines) {
    std::set<std::string> words;
    for (const Line& line : lines) words.insert(line.series->evidence);
    std::string text;
    for (const std::string& one : words) text += (text.empty() ? "" : ", ") + one;
    return text;
}

std::string title_of(const Lines& lines, const char* what) {
    std::string keys = common_keys(lines);
    const Series& first = *lines.front().series;
    return fmt::format("{}{}{}, {} ({})", first.metric, keys.empty() ? "" : " " + keys, what,
                       first.unit, evidences(lines));
}

// Bars: one group a case, p50 and p99 beside each other.

Chart bars(const std::vector<StoredRun>& runs, const Lines& lines, const char* what) {
    Chart chart;
    chart.title = title_of(lines, what);
    std::vector<std::string> varying = varying_keys(lines);
    Json names = Json::array(), p50 = Json::array(), p99 = Json::array();
    for (const Line& line : lines) {
        const Series& series = *line.series;
        std::string run = letter(runs, line.run), text = label(series, varying);
        if (text.empty()) text = series.metric;
        names.push_back(run.empty() ? text : run + ": " + text);
        double median = figure_of(series, 50000), tail = figure_of(series, 99000);
        p50.push_back(rounded(median, bin_width(median)));
        p99.push_back(rounded(tail, bin_width(tail)));
        chart.summary += fmt::format("{}{} {} {}", chart.summary.empty() ? "" : "; ",
                                     names.back().get<std::string>(),
                                     figure(median, bin_width(median)), series.unit);
    }
    chart.spec = {{"kind", "bars"},
                  {"unit", lines.front().series->unit},
                  {"x", axis_title(*lines.front().series)},
                  {"names", names}};
    chart.spec["lines"] = Json::array({{{"name", "median"}, {"colour", 0}, {"points", p50}}});
    if (p50 != p99)
        chart.spec["lines"].push_back({{"name", "p99"}, {"colour", 4}, {"points", p99}});
    return chart;
}

/// For things that each sample counts: the total.
Chart totals(const std::vector<StoredRun>& runs, const Lines& lines) {
    Chart chart;
    chart.title = title_of(lines, " in all");
    std::vector<std::string> varying = varying_keys(lines);
    Json names = Json::array(), sums = Json::array();
    for (const Line& line : lines) {
        const Series& series = *line.series;
        std::string run = letter(runs, line.run), text = label(series, varying);
        if (text.empty()) text = series.metric;
        text += fmt::format(", {} samples", figure(static_cast<double>(series.count)));
        names.push_back(run.empty() ? text : run + ": " + text);
        sums.push_back(series.sum);
        chart.summary +=
            fmt::format("{}{}: {}", chart.summary.empty() ? "" : "; ",
                        names.back().get<std::string>(), figure(static_cast<double>(series.sum)));
    }
    chart.spec = {{"kind", "bars"},
                  {"unit", lines.front().series->unit},
                  {"x", axis_title(*lines.front().series)},
                  {"names", names}};
    chart.spec["lines"] = Json::array({{{"name", "sum"}, {"colour", 0}, {"points", sums}}});
    return chart;
}

// Latency by percentile.

Chart percentiles(const std::vector<StoredRun>& runs, const Lines& lines, const Detail& detail) {
    Chart chart;
    chart.title = title_of(lines, " by percentile");
    std::vector<std::string> varying = varying_keys(lines);
    chart.spec = {{"kind", "percentiles"},
                  {"unit", lines.front().series->unit},
                  {"x", "percentile"},
                  {"y", axis_title(*lines.front().series)},
                  {"lines", Json::array()}};
    for (const Line& line : lines) {
        Json json = line_json(runs, lines, line, varying);
        json["points"] = percentile_points(*line.series, detail.points_a_decade);
        chart.summary +=
            fmt::format("{}{}: median {}, p99 {} {}", chart.summary.empty() ? "" : "; ",
                        json["name"].get<std::string>(), percentile_figure(*line.series, 50000, 1),
                        percentile_figure(*line.series, 99000, 1), line.series->unit);
        chart.spec["lines"].push_back(std::move(json));
    }
    return chart;
}

/// Splits lines into charts with a readable number each, by the key whose values make the fewest
/// such charts.
std::vector<Lines> in_readable_charts(const Lines& lines) {
    if (lines.size() <= most_lines) return {lines};
    std::string best;
    size_t fewest = ~size_t{0};
    for (const std::string& key : varying_keys(lines)) {
        std::vector<std::string> values = values_of(lines, key);
        size_t most = 0;
        for (const std::string& value : values)
            most = std::max(most, static_cast<size_t>(
                                      std::count_if(lines.begin(), lines.end(), [&](const Line& l) {
                                          return l.series->test_case[key] == value;
                                      })));
        size_t cost = values.size() + (most > most_lines ? 1000 + most : 0) +
                      (key == "wait" || key == "policy" ? 100 : 0);
        if (cost < fewest) {
            fewest = cost;
            best = key;
        }
    }
    std::vector<Lines> parts;
    if (best.empty()) {
        for (size_t at = 0; at < lines.size(); at += most_lines)
            parts.emplace_back(
                lines.begin() + static_cast<ptrdiff_t>(at),
                lines.begin() + static_cast<ptrdiff_t>(std::min(lines.size(), at + most_lines)));
        return parts;
    }
    for (const std::string& value : values_of(lines, best)) {
        Lines part;
        std::copy_if(lines.begin(), lines.end(), std::back_inserter(part),
                     [&](const Line& l) { return l.series->test_case[best] == value; });
        for (Lines& one : in_readable_charts(part)) parts.push_back(std::move(one));
    }
    return parts;
}

/// Takes out series whose own flag calls them false ("unstable") and that would dwarf all others;
/// returns a sentence for each.
std::vector<std::string> leave_out_dwarfing(Lines& lines) {
    double most = 0;
    for (const Line& line : lines)
        if (!line.series->unstable()) most = std::max(most, line.series->mean());
    std::vector<std::string> sentences;
    std::erase_if(lines, [&](const Line& line) {
        bool dwarfs = line.series->unstable() && most > 0 && line.series->mean() > 10 * most;
        if (dwarfs)
            sentences.push_back(fmt::format("{} is not in the picture: {}",
                                            line.series->test_case.text(),
                                            line.series->flags.front()));
        return dwarfs;
    });
    return sentences;
}

// Stages: a row a case, the stages in the path's order, their means; they sum to the mean of the
// whole.

Chart stages(const std::vector<StoredRun>& runs, const Lines& lines) {
    Chart chart;
    chart.title = title_of(lines, ", stage by stage (means)");
    std::vector<std::string> varying = varying_keys(lines), order;
    for (const Line& line : lines)
        for (const Stage& stage : line.series->stages)
            if (std::find(order.begin(), order.end(), stage.name) == order.end())
                order.push_back(stage.name);
    Json names = Json::array(), whole = Json::array();
    std::vector<Json> columns(order.size(), Json::array());
    double most_apart = 0;
    for (const Line& line : lines) {
        const Series& series = *line.series;
        std::string run = letter(runs, line.run), text = label(series, varying);
        if (text.empty()) text = series.metric;
        names.push_back(run.empty() ? text : run + ": " + text);
        double sum = 0, mean = series.mean();
        for (size_t i = 0; i < order.size(); ++i) {
            auto found = std::find_if(series.stages.begin(), series.stages.end(),
                                      [&](const Stage& s) { return s.name == order[i]; });
            bool there = found != series.stages.end() && !found->bins.empty();
            double part = there ? sum_of(*found) / static_cast<double>(found->bins.count()) : 0;
            sum += part;
            columns[i].push_back(there ? Json(std::round(part * 10) / 10) : Json());
        }
        whole.push_back(std::round(mean * 10) / 10);
        most_apart = std::max(most_apart, std::abs(sum - mean));
        chart.summary += fmt::format("{}{}: {} {} in all", chart.summary.empty() ? "" : "; ",
                                     names.back().get<std::string>(), figure(mean), series.unit);
    }
    chart.spec = {{"kind", "stages"},
                  {"unit", lines.front().series->unit},
                  {"x", axis_title(*lines.front().series)},
                  {"names", names},
                  {"whole", whole},
                  {"lines", Json::array()}};
    for (size_t i = 0; i < order.size(); ++i)
        chart.spec["lines"].push_back(
            {{"name", order[i]}, {"colour", i % most_lines}, {"points", columns[i]}});
    if (most_apart > 0.05)
        chart.remarks.push_back(
            fmt::format("The stages' sum and the whole differ by up to {} {}: time between two "
                        "stages, or the width of histogram bins.",
                        figure(most_apart, 0.1), lines.front().series->unit));
    else
        chart.remarks.emplace_back("The stages of each bar sum to the whole.");
    return chart;
}

// Curves over a numeric key.

struct Curve {
    Json json;
    size_t run;
    std::vector<std::pair<double, double>> points;
};

std::string plain(double x) { return fmt::format("{:g}", x); }

void mark_crossovers(Chart& chart, const std::vector<Curve>& curves, const std::string& key,
                     bool log) {
    size_t found = 0;
    for (size_t i = 0; i < curves.size(); ++i)
        for (size_t j = i + 1; j < curves.size(); ++j) {
            if (curves[i].run != curves[j].run) continue;
            const auto &a = curves[i].points, &b = curves[j].points;
            std::vector<std::array<double, 3>> common;
            for (const auto& [x, y] : a)
                for (const auto& [x2, y2] : b)
                    if (x == x2) common.push_back({x, y, y2});
            for (size_t k = 1; k < common.size() && found < 12; ++k) {
                double before = common[k - 1][1] - common[k - 1][2],
                       after = common[k][1] - common[k][2];
                if (!((before < 0 && after > 0) || (before > 0 && after < 0))) continue;
                double share = before / (before - after), x0 = common[k - 1][0], x1 = common[k][0];
                double x = log ? std::exp(std::log(x0) + share * (std::log(x1) - std::log(x0)))
                               : x0 + share * (x1 - x0);
                double y = common[k - 1][1] + share * (common[k][1] - common[k - 1][1]);
                std::string one = curves[i].json["name"], other = curves[j].json["name"];
                std::string text = fmt::format(
                    "{} and {} cross between {}={} and {}={}: {} is the lower one before, {} "
                    "after.",
                    one, other, key, plain(x0), key, plain(x1), before < 0 ? one : other,
                    before < 0 ? other : one);
                chart.spec["crossings"].push_back(
                    {{"x", x}, {"y", y}, {"text", one + " × " + other}});
                chart.remarks.push_back(std::move(text));
                ++found;
            }
        }
    if (found != 0) return;
    if (curves.size() > 1) {
        chart.remarks.emplace_back("No crossover within what was measured.");
        return;
    }
    // A single curve has a knee: where it doubles.
    const auto& points = curves.front().points;
    auto least = std::min_element(points.begin(), points.end(),
                                  [](const auto& x, const auto& y) { return x.second < y.second; });
    for (auto at = least; at != points.end() && least->second > 0; ++at)
        if (at->second >= 2 * least->second) {
            chart.spec["crossings"].push_back(
                {{"x", at->first}, {"y", at->second}, {"text", "twice its least"}});
            chart.remarks.push_back(
                fmt::format("From {}={} on it is at least twice its least value (at {}={}).", key,
                            plain(at->first), key, plain(least->first)));
            return;
        }
}

Chart curves(const std::vector<StoredRun>& runs, const Lines& lines, const std::string& key) {
    Chart chart;
    chart.title = title_of(lines, fmt::format(" over {}", key).c_str());
    std::vector<std::string> varying = varying_keys(lines, key);
    std::vector<Curve> all;
    double least = HUGE_VAL, most = 0;
    for (const Line& line : lines) {
        auto x = number_of_word(line.series->test_case[key]);
        if (!x) continue;
        Json json = line_json(runs, lines, line, varying);
        auto at = std::find_if(all.begin(), all.end(),
                               [&](const Curve& c) { return c.json["name"] == json["name"]; });
        if (at == all.end()) at = all.insert(all.end(), {std::move(json), line.run, {}});
        double y = figure_of(*line.series, 50000);
        at->points.emplace_back(
            *x,
            rounded(y, std::max(resolution_of(runs[line.run].run, *line.series), bin_width(y))));
        least = std::min(least, *x);
        most = std::max(most, *x);
    }
    bool log = least > 0 && most >= 20 * least;
    chart.spec = {{"kind", "curve"},
                  {"unit", lines.front().series->unit},
                  {"x", key},
                  {"y", axis_title(*lines.front().series).get<std::string>() + ", median"},
                  {"log_x", log},
                  {"crossings", Json::array()},
                  {"lines", Json::array()}};
    for (size_t i = 0; i < all.size(); ++i) {
        Curve& curve = all[i];
        std::stable_sort(curve.points.begin(), curve.points.end(),
                         [](const auto& p, const auto& q) { return p.first < q.first; });
        for (const auto& [x, y] : curve.points) curve.json["points"].push_back({x, y});
        chart.summary +=
            fmt::format("{}{}: from {} at {}={} to {} at {}={}", chart.summary.empty() ? "" : "; ",
                        curve.json["name"].get<std::string>(), figure(curve.points.front().second),
                        key, plain(curve.points.front().first), figure(curve.points.back().second),
                        key, plain(curve.points.back().first));
        chart.spec["lines"].push_back(curve.json);
    }
    mark_crossovers(chart, all, key, log);
    return chart;
}

/// The key that makes a curve: numbers, at least three of them; the one with the most.
std::string curve_key(const Lines& lines) {
    std::string best;
    size_t most = 2;
    for (const std::string& key : keys_of(lines)) {
        std::vector<std::string> values = values_of(lines, key);
        std::erase(values, "");
        bool numbers = std::all_of(values.begin(), values.end(), [](const std::string& v) {
            return number_of_word(v).has_value();
        });
        if (numbers && values.size() > most && key != "cpu" && key != "ring") {
            most = values.size();
            best = key;
        }
    }
    return best;
}

Chart in_order(const std::vector<StoredRun>& runs, const Lines& lines, size_t buckets) {
    Chart chart;
    Lines some;
    std::vector<std::vector<uint64_t>> samples;
    for (const Line& line : lines) {
        if (some.size() == most_lines) break;
        std::vector<uint64_t> values = read_samples(runs[line.run], *line.series);
        if (values.size() < 2) continue;
        some.push_back(line);
        samples.push_back(std::move(values));
    }
    if (some.empty()) return chart;
    chart.title = title_of(some, " in the order of measuring");
    chart.summary = "medians of equal stretches of the run, in order";
    chart.spec = {
        {"kind", "order"},
        {"unit", some.front().series->unit},
        {"x", "sample"},
        {"y", axis_title(*some.front().series).get<std::string>() + ", median of a stretch"},
        {"lines", Json::array()}};
    std::vector<std::string> varying = varying_keys(some);
    for (size_t i = 0; i < some.size(); ++i) {
        Json json = line_json(runs, some, some[i], varying);
        std::vector<uint64_t>& values = samples[i];
        size_t parts = std::min(buckets, values.size());
        for (size_t part = 0; part < parts; ++part) {
            auto from = values.begin() + static_cast<ptrdiff_t>(part * values.size() / parts),
                 to = values.begin() + static_cast<ptrdiff_t>((part + 1) * values.size() / parts);
            size_t first = part * values.size() / parts;
            auto middle = from + (to - from) / 2;
            std::nth_element(from, middle, to);
            json["points"].push_back({first, *middle});
        }
        chart.spec["lines"].push_back(std::move(json));
    }
    return chart;
}

}  // namespace

std::optional<double> number_of_word(std::string_view word) {
    double value = 0;
    auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (error != std::errc{}) return std::nullopt;
    std::string_view rest(end, static_cast<size_t>(word.data() + word.size() - end));
    if (rest.ends_with("iB")) rest.remove_suffix(2);
    if (rest.empty()) return value;
    if (rest.size() != 1) return std::nullopt;
    switch (rest[0]) {
        case 'k':
        case 'K':
            return value * 1024;
        case 'M':
            return value * 1024 * 1024;
        case 'G':
            return value * 1024 * 1024 * 1024;
        default:
            return std::nullopt;
    }
}

std::string letter(const std::vector<StoredRun>& runs, size_t index) {
    return runs.size() < 2 ? std::string()
           : index < 26    ? std::string(1, static_cast<char>('A' + index))
                           : fmt::format("R{}", index + 1);
}

std::vector<Chart> charts_of(const std::vector<StoredRun>& runs, const std::string& lab,
                             const Detail& detail) {
    // By metric and unit: figures of different units do not share an axis.
    std::vector<std::pair<std::string, Lines>> groups;
    for (size_t run = 0; run < runs.size(); ++run)
        for (const Series& series : runs[run].run.series) {
            if (series.lab != lab || series.count == 0) continue;
            std::string key = series.metric + "\n" + series.unit;
            auto at = std::find_if(groups.begin(), groups.end(),
                                   [&](const auto& group) { return group.first == key; });
            if (at == groups.end()) at = groups.insert(groups.end(), {key, {}});
            at->second.push_back({run, &series});
        }
    std::vector<Chart> charts;
    for (const auto& [key, lines] : groups) {
        Lines staged, whole, raw;
        for (const Line& line : lines) {
            if (!line.series->stages.empty()) staged.push_back(line);
            if (line.series->whole()) whole.push_back(line);
            if (!line.series->raw_file.empty()) raw.push_back(line);
        }
        if (std::string x = curve_key(lines); !x.empty()) {
            Lines on_curve;
            std::copy_if(lines.begin(), lines.end(), std::back_inserter(on_curve),
                         [&](const Line& l) { return !l.series->test_case[x].empty(); });
            std::erase_if(whole, [&](const Line& l) { return !l.series->test_case[x].empty(); });
            charts.push_back(curves(runs, on_curve, x));
        }
        if (!whole.empty() && whole.front().series->shape == wire::Shape::total)
            charts.push_back(totals(runs, whole));
        else if (!whole.empty() && constant(whole))
            charts.push_back(bars(runs, whole, ", all samples equal"));
        else if (!whole.empty())
            for (const Lines& part : in_readable_charts(whole))
                charts.push_back(percentiles(runs, part, detail));
        if (!staged.empty()) {
            std::vector<std::string> left_out = leave_out_dwarfing(staged);
            charts.push_back(stages(runs, staged));
            charts.back().remarks.insert(charts.back().remarks.end(), left_out.begin(),
                                         left_out.end());
        }
        if (!raw.empty() && detail.in_order != 0)
            for (const Lines& part : in_readable_charts(raw))
                if (Chart chart = in_order(runs, part, detail.in_order); !chart.spec.is_null())
                    charts.push_back(std::move(chart));
    }
    return charts;
}

std::vector<Chart> first_pictures(const std::vector<StoredRun>& runs) {
    std::vector<Lines> pictures;
    for (size_t run = 0; run < runs.size(); ++run) {
        Contest contest = contest_of(runs[run].run);
        if (contest.irq == nullptr) continue;
        auto at = std::find_if(pictures.begin(), pictures.end(), [&](const Lines& lines) {
            return lines.front().series->unit == contest.irq->unit;
        });
        if (at == pictures.end()) at = pictures.insert(pictures.end(), Lines{});
        // All ways of waiting for the same event.
        for (const Series& series : runs[run].run.series) {
            bool same = series.lab == contest.irq->lab && series.metric == contest.irq->metric &&
                        series.unit == contest.irq->unit && !series.test_case["wait"].empty() &&
                        series.whole() &&
                        series.test_case.pairs().size() == contest.irq->test_case.pairs().size();
            for (const auto& [key, value] : contest.irq->test_case.pairs())
                same = same && (key == "wait" || series.test_case[key] == value);
            if (same) at->push_back({run, &series});
        }
    }
    std::vector<Chart> charts;
    for (Lines& lines : pictures) {
        std::vector<std::string> left_out = leave_out_dwarfing(lines);
        charts.push_back(bars(runs, lines, ", asked or told"));
        charts.back().remarks.insert(charts.back().remarks.end(), left_out.begin(), left_out.end());
    }
    return charts;
}

}  // namespace doorbell::harness
