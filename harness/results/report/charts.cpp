#include "harness/results/report/charts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "firmware/measure/histogram.h"
#include "harness/results/figures.h"
#include "harness/results/report/curve_charts.h"
#include "harness/text/number.h"

namespace doorbell::harness {
namespace {

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

bool constant(const Lines& lines) {
    return std::all_of(lines.begin(), lines.end(),
                       [](const Line& line) { return line.series->min == line.series->max; });
}

// Bars: one group a case, p50 and p99 beside each other.

Chart bars(const std::vector<StoredRun>& runs, const Lines& lines, const char* what) {
    Chart chart;
    chart.title = title_of(lines, what);
    std::vector<std::string> varying = varying_keys(lines);
    Json names = Json::array(), p50 = Json::array(), p99 = Json::array();
    for (const Line& line : lines) {
        const Series& series = *line.series;
        names.push_back(name_of(runs, line, varying));
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
        names.push_back(
            name_of(runs, line, varying,
                    fmt::format(", {} samples", figure(static_cast<double>(series.count)))));
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
        names.push_back(name_of(runs, line, varying));
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
    chart.spec = {{"kind", "order"},
                  {"unit", some.front().series->unit},
                  {"x", "sample"},
                  {"y", axis_title(*some.front().series) + ", median of a stretch"},
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
