// The part of the table that shows a lab's series: one row a series with its spread; or, where that
// would be longer than a screen, one row a case with a column for each metric.
#include <fmt/format.h>

#include <algorithm>

#include "harness/results/figures.h"
#include "harness/results/table/table.h"
#include "harness/system/number.h"

namespace doorbell::harness {
namespace {

/// What a terminal shows at once.
constexpr size_t screen_lines = 24;

std::string number(std::optional<uint64_t> value) {
    return value ? grouped(*value) : std::string("lost");
}

/// The case without the key that has a column of its own.
std::string rest_of(const Series& series, bool wait_apart) {
    std::string text;
    for (const auto& [key, value] : series.which.pairs()) {
        if (wait_apart && key == "wait") continue;
        text += (text.empty() ? "" : " ") + (value.empty() ? key : key + "=" + value);
    }
    return text;
}

/// Whether the clock of any of them has a step, which figures cannot be finer than.
bool any_coarse(const Run& run, const std::vector<const Series*>& all) {
    return std::any_of(all.begin(), all.end(),
                       [&](const Series* s) { return resolution_of(run, *s) > 1; });
}

std::string mean_cell(const Run& run, const Series& series) {
    auto mean = short_mean(run.instrument, series);
    return mean ? mean_figure(*mean) : std::string("-");
}

std::string step_cell(const Run& run, const Series& series) {
    double step = resolution_of(run, series);
    return step > 1 ? figure(step) : std::string("-");
}

std::string by_series(const Run& run, const std::vector<const Series*>& all) {
    bool waits = std::any_of(all.begin(), all.end(),
                             [](const Series* s) { return !s->which["wait"].empty(); });
    std::vector<Cells> rows{waits ? Cells{"case", "wait", "unit", "p50", "p99", "max", "evidence"}
                                  : Cells{"case", "unit", "p50", "p99", "max", "evidence"}};
    bool coarse = any_coarse(run, all);
    size_t first_figure = waits ? 3 : 2;
    if (coarse) {
        rows[0].insert(rows[0].end() - 1, "step");
        rows[0].insert(rows[0].begin() + static_cast<ptrdiff_t>(first_figure), "mean");
    }
    for (const Series* series : all) {
        Cells row{rest_of(*series, waits)};
        if (series->metric != "latency") row[0] += (row[0].empty() ? "" : ", ") + series->metric;
        if (waits) row.emplace_back(series->which["wait"].empty() ? "-" : series->which["wait"]);
        row.push_back(series->unit);
        if (series->count == 0)
            row.insert(row.end(), 3, "none");
        else
            row.insert(row.end(), {number(series->percentile(50000)),
                                   number(series->percentile(99000)), grouped(series->max)});
        if (coarse) {
            row.insert(row.begin() + static_cast<ptrdiff_t>(first_figure), mean_cell(run, *series));
            row.push_back(step_cell(run, *series));
        }
        row.push_back(series->evidence + (series->flags.empty() ? "" : "*"));
        rows.push_back(row);
    }
    // "evidence" is the last column: flush left, its place is behind the numbers.
    size_t widest = 0;
    for (const Cells& row : rows) widest = std::max(widest, row.back().size());
    for (Cells& row : rows) row.back().resize(widest, ' ');
    return in_columns(rows, first_figure);
}

std::string median_cell(const Run& run, const Series& series) {
    if (series.count == 0) return "none";
    if (auto mean = short_mean(run.instrument, series))
        return mean_figure(*mean) + (series.flags.empty() ? "" : "*");
    std::string text = number(series.percentile(50000)), p99 = number(series.percentile(99000));
    if (p99 != text) text += ".." + p99;
    return text + (series.flags.empty() ? "" : "*");
}

std::string by_case(const Run& run, const std::vector<const Series*>& all) {
    struct Column {
        std::string metric, unit;
    };
    std::vector<Column> columns;
    std::vector<CaseKeys> cases;
    for (const Series* s : all) {
        if (std::none_of(columns.begin(), columns.end(), [&](const Column& c) {
                return c.metric == s->metric && c.unit == s->unit;
            }))
            columns.push_back({s->metric, s->unit});
        if (std::find(cases.begin(), cases.end(), s->which) == cases.end())
            cases.push_back(s->which);
    }
    std::vector<Cells> rows{{"case"}, {""}};
    for (const Column& column : columns) {
        rows[0].push_back(column.metric);
        rows[1].push_back(column.unit);
    }
    for (const CaseKeys& which : cases) {
        Cells row{which.text()};
        for (const Column& column : columns) {
            auto at = std::find_if(all.begin(), all.end(), [&](const Series* s) {
                return s->which == which && s->metric == column.metric && s->unit == column.unit;
            });
            row.push_back(at == all.end() ? "-" : median_cell(run, **at));
        }
        rows.push_back(row);
    }
    std::string text = in_columns(rows, 1);
    // Seven wide metrics may be too much for one line.
    size_t width = text.find('\n', text.find('\n') + 1) - text.find('\n') - 1;
    if (width > table_width) return {};
    std::string steps;
    for (const Series* s : all)
        if (double step = resolution_of(run, *s); step > 1 && steps.empty())
            steps =
                fmt::format("; a {} comes in steps of {}, what is short is mean+-standard error",
                            s->unit, figure(step));
    return wrapped("  ", fmt::format("medians, or median..p99 where they differ{}; {}", steps,
                                     all.front()->evidence)) +
           text;
}

}  // namespace

std::string in_columns(const std::vector<Cells>& rows, size_t to_the_left) {
    std::vector<size_t> widths(rows.front().size(), 0);
    for (const Cells& row : rows)
        for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    size_t others = 0;
    for (size_t i = 1; i < widths.size(); ++i) others += 2 + widths[i];
    widths[0] = std::min(widths[0], table_width - std::min(table_width - 20, 2 + others));
    std::string text;
    for (const Cells& row : rows) {
        std::string line = "  ";
        if (row[0].size() > widths[0])
            text += wrapped("  ", row[0]);
        else
            line += row[0];
        for (size_t i = 1, end = 2 + widths[0]; i < row.size(); ++i) {
            bool left = i < to_the_left;
            line.resize(std::max(line.size(), end + 2 + (left ? 0 : widths[i] - row[i].size())),
                        ' ');
            line += row[i];
            end += 2 + widths[i];
        }
        text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
    }
    return text;
}

std::string series_table(const Run& run, const std::vector<const Series*>& all) {
    if (all.empty()) return {};
    bool one_evidence = std::all_of(all.begin(), all.end(), [&](const Series* s) {
        return s->evidence == all.front()->evidence;
    });
    std::string text = all.size() > screen_lines && one_evidence ? by_case(run, all) : "";
    return text.empty() ? by_series(run, all) : text;
}

}  // namespace doorbell::harness
