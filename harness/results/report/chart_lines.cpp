#include "harness/results/report/chart_lines.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <map>
#include <set>

namespace doorbell::harness {

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

std::vector<std::string> varying_keys(const Lines& lines, const std::string& except) {
    std::vector<std::string> keys;
    for (const std::string& key : keys_of(lines))
        if (key != except && values_of(lines, key).size() > 1) keys.push_back(key);
    return keys;
}

namespace {

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

std::string evidences(const Lines& lines) {
    std::set<std::string> words;
    for (const Line& line : lines) words.insert(line.series->evidence);
    std::string text;
    for (const std::string& one : words) text += (text.empty() ? "" : ", ") + one;
    return text;
}

}  // namespace

std::string letter(const std::vector<StoredRun>& runs, size_t index) {
    return runs.size() < 2 ? std::string()
           : index < 26    ? std::string(1, static_cast<char>('A' + index))
                           : fmt::format("R{}", index + 1);
}

std::string name_of(const std::vector<StoredRun>& runs, const Line& line,
                    const std::vector<std::string>& varying, const std::string& suffix) {
    std::string run = letter(runs, line.run), text = label(*line.series, varying);
    if (text.empty()) text = line.series->metric;
    return (run.empty() ? "" : run + ": ") + text + suffix;
}

Json line_json(const std::vector<StoredRun>& runs, const Lines& lines, const Line& line,
               const std::vector<std::string>& varying) {
    std::vector<std::string> labels;
    for (const Line& one : lines) {
        std::string text = label(*one.series, varying);
        if (std::find(labels.begin(), labels.end(), text) == labels.end()) labels.push_back(text);
    }
    std::string text = label(*line.series, varying);
    auto order =
        static_cast<size_t>(std::find(labels.begin(), labels.end(), text) - labels.begin());
    bool by_wait = std::find(varying.begin(), varying.end(), "wait") != varying.end() ||
                   std::find(varying.begin(), varying.end(), "policy") != varying.end();
    bool alone = labels.size() <= values_of(lines, "wait").size() ||
                 labels.size() <= values_of(lines, "policy").size();
    int colour =
        by_wait && alone ? colour_of(*line.series, order) : static_cast<int>(order % most_lines);
    return {{"name", name_of(runs, line, varying)},
            {"colour", colour},
            {"dash", line.run},
            {"points", Json::array()}};
}

double figure_of(const Series& series, uint64_t per_100000) {
    auto value = series.percentile(per_100000);
    return value ? static_cast<double>(*value) : series.mean();
}

std::string axis_title(const Series& series) { return series.metric + ", " + series.unit; }

std::string title_of(const Lines& lines, const std::string& what) {
    std::string keys = common_keys(lines);
    const Series& first = *lines.front().series;
    return fmt::format("{}{}{}, {} ({})", first.metric, keys.empty() ? "" : " " + keys, what,
                       first.unit, evidences(lines));
}

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

}  // namespace doorbell::harness
