// The series that a chart draws: how they are named, coloured and split into charts.
#pragma once
#include <string>
#include <vector>

#include "harness/results/report/charts.h"

namespace doorbell::harness {

constexpr size_t most_lines = 8;  ///< in one chart

/// A series of one of the runs.
struct Line {
    size_t run;
    const Series* series;
};
using Lines = std::vector<Line>;

/// The values of a case's `key`, and all keys, in the order in which they come.
std::vector<std::string> values_of(const Lines& lines, const std::string& key);
std::vector<std::string> keys_of(const Lines& lines);
/// The keys with more than one value.
std::vector<std::string> varying_keys(const Lines& lines, const std::string& except = {});

/// What tells a line from the others: "irq" where only `wait` varies, "A: irq" where there are
/// several runs. Keys are named only where several vary.
std::string name_of(const std::vector<StoredRun>& runs, const Line& line,
                    const std::vector<std::string>& varying, const std::string& suffix = {});
/// Names, colours and dashes: colour by case, dash by run; without points.
Json line_json(const std::vector<StoredRun>& runs, const Lines& lines, const Line& line,
               const std::vector<std::string>& varying);

/// The value below which `per_100000` of 100,000 samples lie; the mean where only that is known.
double figure_of(const Series& series, uint64_t per_100000);
std::string axis_title(const Series& series);
std::string title_of(const Lines& lines, const std::string& what);

/// Splits lines into charts with a readable number each, by the key whose values make the fewest
/// such charts.
std::vector<Lines> in_readable_charts(const Lines& lines);

}  // namespace doorbell::harness
