// Arithmetic of values that are known within an interval.
#pragma once
#include <algorithm>

#include "harness/results/profile/profile.h"

namespace doorbell::harness {

inline Estimate operator+(const Estimate& a, const Estimate& b) {
    return {a.value + b.value, a.low + b.low, a.high + b.high};
}

/// The difference of two estimates that are independent of each other.
inline Estimate operator-(const Estimate& a, const Estimate& b) {
    return {a.value - b.value, a.low - b.high, a.high - b.low};
}

/// `factor` may be negative: the ends change places.
inline Estimate operator*(const Estimate& a, double factor) {
    double one = a.low * factor, other = a.high * factor;
    return {a.value * factor, std::min(one, other), std::max(one, other)};
}

/// The product of two estimates that are not negative.
inline Estimate operator*(const Estimate& a, const Estimate& b) {
    return {a.value * b.value, a.low * b.low, a.high * b.high};
}

/// A cost is never negative.
inline Estimate not_negative(const Estimate& a) {
    return {std::max(a.value, 0.0), std::max(a.low, 0.0), std::max(a.high, 0.0)};
}

/// The greater one, end by end.
inline Estimate greater_of(const Estimate& a, const Estimate& b) {
    return {std::max(a.value, b.value), std::max(a.low, b.low), std::max(a.high, b.high)};
}

}  // namespace doorbell::harness
