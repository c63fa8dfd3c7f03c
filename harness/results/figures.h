// Figures for people: no more digits than the resolution supports.
#pragma once
#include <string>

#include "harness/data/run_data.h"

namespace doorbell::harness {

/// The least difference that a clock can show: the instrument's resolution where the series has its
/// unit, else 1.
double resolution_of(const Run& run, const Series& series);

/// The possible error of a histogram's figure: the width of the bin that holds `value`.
double bin_width(double value);

/// `value` rounded to a multiple of 1, 2 or 5 times a power of ten that is not below `step`, with
/// its thousands grouped: figure(12295, 8) is "12,300".
std::string figure(double value, double step = 1);
std::string signed_figure(double value, double step = 1);  ///< with + or -

/// The rounded value itself.
double rounded(double value, double step);

/// A percentile of a series as text, "-" where there is none.
std::string percentile_figure(const Series& series, uint64_t per_100000, double resolution);

/// 0.0532 as "5.3 %".
std::string percent(double share);
std::string signed_percent(double share);

/// Whether a unit is one of time: insn, tick, ns, ...
bool is_time(const std::string& unit);

/// What an evidence word means, in a sentence; "" where it is unknown.
const char* meaning_of_evidence(const std::string& evidence);

}  // namespace doorbell::harness
