// The table that a run leaves on the terminal.
#pragma once
#include <string>
#include <vector>

#include "harness/data/run_data.h"

namespace doorbell::harness {

inline constexpr size_t table_width = 100;

/// The whole table: what machine it was, each lab's series and claims, what was skipped and why,
/// and what is missing. No line is longer than table_width, except where a single word is.
std::string table(const Run& run);

using Cells = std::vector<std::string>;

/// Columns as wide as their widest cell, the first `to_the_left` of them flush left. The first
/// column gives way where the whole would be wider than the table: its cell then stands on a line
/// of its own.
std::string in_columns(const std::vector<Cells>& rows, size_t to_the_left);

/// A lab's series: a row for each, or for each case where they are many; "" where there are none.
/// Where the run's clock has a step, it stands beside the figures, and what is shorter has its mean
/// (table_series.cpp).
std::string series_table(const Run& run, const std::vector<const Series*>& series);

/// The counters of a lab's series, a sample; "" where there are none (table_counters.cpp).
std::string counters_table(const Run& run, const std::string& lab);

/// `text` in lines of at most `width`, the first after `first`, the others after as many blanks. A
/// word that is too long for a line goes on in the next behind a '|', where it has one.
std::string wrapped(const std::string& first, const std::string& text, size_t width = table_width);

}  // namespace doorbell::harness
