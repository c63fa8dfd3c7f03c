// What a series says where the clock is too coarse for its single samples: a mean.
#pragma once
#include <optional>

#include "harness/data/run_data.h"

namespace doorbell::harness {

/// A mean with its standard error, in the series' unit; the cost of the timestamps is not in it,
/// their error is.
struct ShortMean {
    double mean = 0, standard_error = 0;
    uint64_t samples = 0;
    uint64_t apart = 0;  ///< samples that were not used: firmware/measure/mean.h
};

/// The step of the clock that `series` was timed with, by `instrument`; 1 where it has none or is
/// no time.
double clock_step(const Json& instrument, const Series& series);

/// The mean of a series whose samples each held one pair of timestamps of a clock with a step, and
/// lasted less than 20 steps (median). Nothing for any other.
std::optional<ShortMean> short_mean(const Json& instrument, const Series& series);

}  // namespace doorbell::harness
