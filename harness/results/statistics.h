// Statistics of two samples: numbers only, without JSON, files or text. Distributions from
// Boost.Math.
#pragma once
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace doorbell::harness {

/// A sample as (value, how many), ascending. A histogram's bin lies at its middle.
class Sample {
  public:
    Sample() = default;
    explicit Sample(std::vector<std::pair<double, uint64_t>> points);
    /// From single values, in any order.
    static Sample of(std::vector<double> values);

    const std::vector<std::pair<double, uint64_t>>& points() const { return points_; }
    uint64_t count() const { return upto_.empty() ? 0 : upto_.back(); }
    /// The least value that `share` (0..1) of the sample does not exceed. Undefined when empty.
    double quantile(double share) const;
    /// How many values are above `value`.
    uint64_t above(double value) const;

    /// How many consecutive samples are worth one independent sample: 1 where they are independent.
    /// Only the order of measuring shows it (dependence_of).
    double dependence = 1;

  private:
    std::vector<std::pair<double, uint64_t>> points_;
    std::vector<uint64_t> upto_;  ///< running sums of the counts
};

/// From samples in the order of measuring: the variance of batch means of "is above the median",
/// relative to that of independent samples; never below 1. 1 where there are too few (below 200).
double dependence_of(std::span<const uint64_t> in_order);

/// Mann-Whitney: the probability that samples which differ this much come from one distribution,
/// two-sided. Normal approximation with the correction for ties. 1 where one sample is empty or all
/// values are equal.
double mann_whitney(const Sample& a, const Sample& b);

/// The same question for one quantile: whether `b` has a different share of its values above the
/// quantile of both together. Binomial, two-sided.
double quantile_test(const Sample& a, const Sample& b, double share);

/// A difference b - a, and its interval at the requested confidence.
struct Interval {
    double difference = 0, low = 0, high = 0;
    bool excludes_zero() const { return low > 0 || high < 0; }
};

/// The difference of a quantile, by bootstrap. A resample's order statistic of rank k among n is
/// the sample's quantile at a Beta(k, n - k + 1) variate; no resample is made, and a million
/// samples cost as much as a hundred. The same samples give the same interval: the generator starts
/// from a fixed seed.
Interval quantile_difference(const Sample& a, const Sample& b, double share, double confidence);

/// Holm's correction: probabilities adjusted for their number, in the given order.
std::vector<double> holm(const std::vector<double>& probabilities);

}  // namespace doorbell::harness
