// Means of what is shorter than the step of a coarse clock. One difference of such a clock is off
// by up to a step, but samples that begin at any moment of a step are rounded up and down as often
// as their length demands: their mean is right, and its error known. Integers only: thousandths.
#pragma once
#include <cstdint>

#include "firmware/measure/histogram.h"

namespace doorbell::measure {

/// A mean and its standard error, in thousandths of the samples' unit.
struct Mean {
    int64_t milli = 0;
    uint64_t error_milli = 0;
    uint64_t samples = 0;  ///< that the mean is of
    uint64_t apart = 0;    ///< too far from the median to be the body: an interrupt, another task
    bool known() const { return samples != 0; }
};

/// A body shorter than this many steps is stated by its mean; a longer one is wrong by less than
/// 5 % in any single sample.
inline constexpr uint64_t short_in_steps = 20;
/// Samples further from the median than this many steps are set apart.
inline constexpr uint64_t near_in_steps = 8;

/// Adds up values around their median.
class MeanSum {
  public:
    /// `step`: the clock's; at least 1.
    MeanSum(uint64_t median, uint64_t step) : median_(median), step_(step) {}
    void add(uint64_t value, uint64_t count);
    /// Of what was added. Where all values are the same one the samples did not begin at any
    /// moment, and the error is a whole step.
    Mean mean() const;

  private:
    uint64_t median_, step_;
    uint64_t samples_ = 0, apart_ = 0;
    int64_t sum_ = 0;
    unsigned __int128 squares_ = 0;
};

/// The mean of a histogram of values below 2048, whose bins are exact.
Mean mean_of(const Histogram& samples, uint64_t step);

/// The mean of bodies that were measured together with what `empty` is the mean of.
Mean operator-(const Mean& body, const Mean& empty);

/// In whole units, the nearest; 0 where the mean is below.
inline uint64_t whole(const Mean& mean) {
    return mean.milli <= 0 ? 0 : (static_cast<uint64_t>(mean.milli) + 500) / 1000;
}

}  // namespace doorbell::measure
