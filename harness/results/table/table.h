// The table that a run leaves on the terminal.
#pragma once
#include <string>
#include <vector>

#include "harness/data/run_data.h"
#include "harness/results/predict/predict.h"
#include "harness/system/terminal.h"

namespace doorbell::harness {

/// The whole table: what machine it was, each lab's series and claims, what was skipped and why,
/// and what is missing; beside the claims what is predicted of them. No line is longer than
/// text_width(), except where a single word is.
std::string table(const Run& run, const Predictions* predictions = nullptr);

using Cells = std::vector<std::string>;

/// Columns as wide as their widest cell, the first `to_the_left` of them flush left. Where the
/// whole would be wider than the table, the first column shrinks and a long cell gets a line of its
/// own.
std::string in_columns(const std::vector<Cells>& rows, size_t to_the_left);

/// A lab's series: a row for each, or for each case where they are many; "" where there are none
/// (table_series.cpp).
std::string series_table(const std::vector<const Series*>& series);

/// The counters of a lab's series, a sample; "" where there are none (table_counters.cpp).
std::string counters_table(const Run& run, const std::string& lab);

}  // namespace doorbell::harness
