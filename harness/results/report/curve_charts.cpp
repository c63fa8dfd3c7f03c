#include "harness/results/report/curve_charts.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "harness/results/figures.h"

namespace doorbell::harness {
namespace {

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

Chart curves(const std::vector<StoredRun>& runs, const Lines& lines, const std::string& key) {
    Chart chart;
    chart.title = title_of(lines, " over " + key);
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
                  {"y", axis_title(*lines.front().series) + ", median"},
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

}  // namespace doorbell::harness
