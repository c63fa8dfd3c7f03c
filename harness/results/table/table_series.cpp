// The part of the table that shows a lab's series: one row a series with its spread; or, where that
// would be longer than a screen, one row a case with a column for each metric.
#include <fmt/format.h>

#include <algorithm>

#include "harness/results/table/table.h"
#include "harness/system/escape.h"
#include "harness/text/number.h"

namespace doorbell::harness {
namespace {

/// What a terminal shows at once.
constexpr size_t screen_lines = 24;

/// The first column gives way to the others down to this; longer cells have a line of their own.
constexpr size_t least_first_column = 16;

std::vector<size_t> widths_of(const std::vector<Cells>& rows) {
    std::vector<size_t> widths(rows.front().size(), 0);
    for (const Cells& row : rows)
        for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    return widths;
}

/// The width of all columns but the first, with the blanks in front of each.
size_t others_of(const std::vector<size_t>& widths) {
    size_t others = 0;
    for (size_t i = 1; i < widths.size(); ++i) others += 2 + widths[i];
    return others;
}

/// The first column and the columns first..last, without the last.
std::vector<Cells> part_of(const std::vector<Cells>& rows, size_t first, size_t last) {
    std::vector<Cells> part;
    for (const Cells& row : rows) {
        part.push_back({row[0]});
        for (size_t i = first; i < last && i < row.size(); ++i) part.back().push_back(row[i]);
    }
    return part;
}

bool fits_in_columns(const std::vector<Cells>& rows) {
    std::vector<size_t> widths = widths_of(rows);
    return 2 + std::min(widths[0], least_first_column) + others_of(widths) <= text_width();
}

std::string number(std::optional<uint64_t> value) {
    return value ? grouped(*value) : std::string("lost");
}

/// The case without the key that has a column of its own.
std::string rest_of(const Series& series, bool wait_apart) {
    std::string text;
    for (const auto& [key, value] : series.test_case.pairs()) {
        if (wait_apart && key == "wait") continue;
        text += (text.empty() ? "" : " ") + (value.empty() ? key : key + "=" + value);
    }
    return text;
}

std::string by_series(const std::vector<const Series*>& all) {
    bool waits = std::any_of(all.begin(), all.end(),
                             [](const Series* s) { return !s->test_case["wait"].empty(); });
    std::vector<Cells> rows{waits ? Cells{"case", "wait", "unit", "p50", "p99", "max", "evidence"}
                                  : Cells{"case", "unit", "p50", "p99", "max", "evidence"}};
    for (const Series* series : all) {
        Cells row{rest_of(*series, waits)};
        if (series->metric != "latency") row[0] += (row[0].empty() ? "" : ", ") + series->metric;
        if (waits)
            row.emplace_back(series->test_case["wait"].empty() ? "-" : series->test_case["wait"]);
        row.push_back(series->unit);
        if (series->count == 0)
            row.insert(row.end(), 3, "none");
        else
            row.insert(row.end(), {number(series->percentile(50000)),
                                   number(series->percentile(99000)), grouped(series->max)});
        row.push_back(series->evidence + (series->flags.empty() ? "" : "*"));
        rows.push_back(row);
    }
    // "evidence" is the last column: flush left, its place is behind the numbers.
    size_t widest = 0;
    for (const Cells& row : rows) widest = std::max(widest, row.back().size());
    for (Cells& row : rows) row.back().resize(widest, ' ');
    return in_columns(rows, waits ? 3 : 2);
}

std::string median_cell(const Series& series) {
    if (series.count == 0) return "none";
    std::string text = number(series.percentile(50000)), p99 = number(series.percentile(99000));
    if (p99 != text) text += ".." + p99;
    return text + (series.flags.empty() ? "" : "*");
}

std::string by_case(const std::vector<const Series*>& all) {
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
        if (std::find(cases.begin(), cases.end(), s->test_case) == cases.end())
            cases.push_back(s->test_case);
    }
    std::vector<Cells> rows{{"case"}, {""}};
    for (const Column& column : columns) {
        rows[0].push_back(column.metric);
        rows[1].push_back(column.unit);
    }
    for (const CaseKeys& test_case : cases) {
        Cells row{test_case.text()};
        for (const Column& column : columns) {
            auto at = std::find_if(all.begin(), all.end(), [&](const Series* s) {
                return s->test_case == test_case && s->metric == column.metric &&
                       s->unit == column.unit;
            });
            row.push_back(at == all.end() ? "-" : median_cell(**at));
        }
        rows.push_back(row);
    }
    // Seven wide metrics may be too much for one line.
    if (!fits_in_columns(rows)) return {};
    std::string text = in_columns(rows, 1);
    return wrapped("  ", fmt::format("medians, or median..p99 where they differ; {}",
                                     all.front()->evidence)) +
           text;
}

}  // namespace

std::string in_columns(const std::vector<Cells>& raw, size_t to_the_left) {
    std::vector<Cells> rows = raw;
    for (Cells& row : rows)
        for (std::string& cell : row) cell = one_line(cell);
    std::vector<size_t> widths = widths_of(rows);
    if (!fits_in_columns(rows) && widths.size() > 2) {
        // As many columns as fit, then the others below, beside the same first column.
        size_t some = widths.size() - 1;
        while (some > 2 && !fits_in_columns(part_of(rows, 1, some))) --some;
        return in_columns(part_of(rows, 1, some), to_the_left) +
               in_columns(part_of(rows, some, widths.size()),
                          to_the_left > some ? to_the_left - some + 1 : 1);
    }
    widths[0] = std::min(
        widths[0],
        std::max(least_first_column, text_width() - std::min(text_width(), 2 + others_of(widths))));
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

std::string series_table(const std::vector<const Series*>& all) {
    if (all.empty()) return {};
    bool one_evidence = std::all_of(all.begin(), all.end(), [&](const Series* s) {
        return s->evidence == all.front()->evidence;
    });
    std::string text = all.size() > screen_lines && one_evidence ? by_case(all) : "";
    return text.empty() ? by_series(all) : text;
}

}  // namespace doorbell::harness
