#include "harness/results/statistics.h"

#include <algorithm>
#include <boost/math/distributions/binomial.hpp>
#include <boost/math/distributions/normal.hpp>
#include <cmath>
#include <numeric>
#include <random>

#include "harness/text/number.h"

namespace doorbell::harness {
namespace {

constexpr int resamples = 1000;
constexpr size_t batches = 50;
constexpr size_t least_in_order = 200;

/// The variance of a difference of means, relative to independent samples.
double inflation(const Sample& a, const Sample& b) {
    double na = static_cast<double>(a.count()), nb = static_cast<double>(b.count());
    return (a.dependence / na + b.dependence / nb) / (1 / na + 1 / nb);
}

/// The share of a sample at which a resample's quantile lies, drawn again and again.
class ResampledShare {
  public:
    ResampledShare(const Sample& sample, double share) {
        double n = std::max(1.0, static_cast<double>(sample.count()) / sample.dependence);
        double rank = std::clamp(std::ceil(share * n), 1.0, n);
        below_ = std::gamma_distribution<double>(rank);
        above_ = std::gamma_distribution<double>(n - rank + 1);
    }
    double operator()(std::mt19937_64& random) {
        double below = below_(random), above = above_(random);
        return below / (below + above);
    }

  private:
    std::gamma_distribution<double> below_, above_;
};

}  // namespace

Sample::Sample(std::vector<std::pair<double, uint64_t>> points) : points_(std::move(points)) {
    std::sort(points_.begin(), points_.end());
    uint64_t seen = 0;
    for (const auto& [value, count] : points_) upto_.push_back(seen += count);
}

Sample Sample::of(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    std::vector<std::pair<double, uint64_t>> points;
    for (double value : values) {
        if (points.empty() || points.back().first != value) points.emplace_back(value, 0);
        ++points.back().second;
    }
    return Sample(std::move(points));
}

double Sample::quantile(double share) const {
    double exact = share * static_cast<double>(count());
    uint64_t rank = whole_part(std::max(1.0, std::ceil(exact - 1e-9)));
    auto at = std::lower_bound(upto_.begin(), upto_.end(), std::min(rank, count()));
    return points_[static_cast<size_t>(at - upto_.begin())].first;
}

uint64_t Sample::above(double value) const {
    auto at = std::upper_bound(points_.begin(), points_.end(), value,
                               [](double v, const auto& point) { return v < point.first; });
    return at == points_.begin() ? count()
                                 : count() - upto_[static_cast<size_t>(at - points_.begin()) - 1];
}

double dependence_of(std::span<const uint64_t> in_order) {
    if (in_order.size() < least_in_order) return 1;
    std::vector<uint64_t> sorted(in_order.begin(), in_order.end());
    auto middle = sorted.begin() + static_cast<ptrdiff_t>(sorted.size() / 2);
    std::nth_element(sorted.begin(), middle, sorted.end());
    uint64_t median = *middle;
    // Half a point for values at the median, so that coarse values do not look constant.
    auto side = [&](uint64_t value) { return value > median ? 1.0 : value == median ? 0.5 : 0.0; };
    size_t size = in_order.size() / batches, used = size * batches;
    double sum = 0, squares = 0, batch_squares = 0;
    for (size_t batch = 0; batch < batches; ++batch) {
        double batch_sum = 0;
        for (uint64_t value : in_order.subspan(batch * size, size)) {
            double s = side(value);
            batch_sum += s;
            squares += s * s;
        }
        sum += batch_sum;
        batch_squares += batch_sum * batch_sum;
    }
    double n = static_cast<double>(used), b = static_cast<double>(batches), mean = sum / n;
    double variance = squares / n - mean * mean;
    if (variance <= 0) return 1;
    double of_means =
        (batch_squares / b - sum / b * (sum / b)) / (b - 1) * b / static_cast<double>(size);
    return std::clamp(of_means / variance, 1.0, static_cast<double>(size));
}

double mann_whitney(const Sample& a, const Sample& b) {
    double na = static_cast<double>(a.count()), nb = static_cast<double>(b.count()), n = na + nb;
    if (a.count() == 0 || b.count() == 0) return 1;
    double wins = 0, ties = 0,
           below = 0;  // below: how many values of a are less than the current one
    auto in_a = a.points().begin(), end_a = a.points().end();
    auto in_b = b.points().begin(), end_b = b.points().end();
    while (in_a != end_a || in_b != end_b) {
        bool from_a = in_a != end_a && (in_b == end_b || in_a->first < in_b->first);
        double value = from_a ? in_a->first : in_b->first;
        double of_a = 0, of_b = 0;
        if (in_a != end_a && in_a->first == value) of_a = static_cast<double>((in_a++)->second);
        if (in_b != end_b && in_b->first == value) of_b = static_cast<double>((in_b++)->second);
        wins += of_b * (below + of_a / 2);
        below += of_a;
        double together = of_a + of_b;
        ties += together * (together * together - 1);
    }
    double variance = na * nb / 12 * ((n + 1) - ties / (n * (n - 1))) * inflation(a, b);
    if (!(variance > 0)) return 1;
    double z = std::abs(wins - na * nb / 2) / std::sqrt(variance);
    return std::min(1.0, 2 * boost::math::cdf(boost::math::complement(boost::math::normal(), z)));
}

double quantile_test(const Sample& a, const Sample& b, double share) {
    if (a.count() == 0 || b.count() == 0) return 1;
    std::vector<std::pair<double, uint64_t>> points = a.points();
    points.insert(points.end(), b.points().begin(), b.points().end());
    double border = Sample(std::move(points)).quantile(share);
    double na = static_cast<double>(a.count()), nb = static_cast<double>(b.count());
    // Dependent samples count less.
    double shrink = 1 / inflation(a, b);
    double in_b = std::floor(static_cast<double>(b.above(border)) * shrink);
    double both = std::floor(static_cast<double>(a.above(border) + b.above(border)) * shrink);
    if (both < 1) return 1;
    in_b = std::min(in_b, both);
    boost::math::binomial chance(both, nb / (na + nb));
    double at_most = boost::math::cdf(chance, in_b);
    double at_least = in_b < 1 ? 1 : boost::math::cdf(boost::math::complement(chance, in_b - 1));
    return std::min(1.0, 2 * std::min(at_most, at_least));
}

Interval quantile_difference(const Sample& a, const Sample& b, double share, double confidence) {
    Interval interval;
    interval.difference = b.quantile(share) - a.quantile(share);
    std::mt19937_64 random(0x646f6f7262656c6cu);
    ResampledShare of_a(a, share), of_b(b, share);
    std::vector<double> differences(resamples);
    for (double& one : differences) one = b.quantile(of_b(random)) - a.quantile(of_a(random));
    std::sort(differences.begin(), differences.end());
    auto tail = static_cast<size_t>((1 - confidence) / 2 * resamples);
    interval.low = differences[tail];
    interval.high = differences[resamples - 1 - tail];
    return interval;
}

std::vector<double> holm(const std::vector<double>& probabilities) {
    std::vector<size_t> order(probabilities.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::sort(order.begin(), order.end(),
              [&](size_t x, size_t y) { return probabilities[x] < probabilities[y]; });
    std::vector<double> adjusted(probabilities.size());
    double most = 0;
    for (size_t i = 0; i < order.size(); ++i) {
        most = std::max(
            most, std::min(1.0, probabilities[order[i]] * static_cast<double>(order.size() - i)));
        adjusted[order[i]] = most;
    }
    return adjusted;
}

}  // namespace doorbell::harness
