// Curves over a numeric key of the cases, with their crossovers.
#pragma once
#include "harness/results/report/chart_lines.h"

namespace doorbell::harness {

/// The key that makes a curve: numbers, at least three of them; the one with the most. "": none.
std::string curve_key(const Lines& lines);
Chart curves(const std::vector<StoredRun>& runs, const Lines& lines, const std::string& key);

}  // namespace doorbell::harness
