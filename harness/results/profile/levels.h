// Levels of a memory hierarchy, found in a sweep over sizes: each is a plateau of the price, and
// its capacity is the knee where the plateau ends. A pure function of the sweep; it ignores what
// the processor reports about itself.
#pragma once
#include <cstdint>
#include <vector>

#include "harness/results/profile/profile.h"

namespace doorbell::harness {

/// The price at one size.
struct SweepPoint {
    uint64_t size = 0;
    Estimate price;
    bool steady = true;
};

/// A plateau.
struct Level {
    uint64_t first = 0;             ///< least size on it
    uint64_t last = 0;              ///< greatest size on it
    uint64_t beyond = 0;            ///< the next size beyond it; 0: there is none
    std::optional<Estimate> price;  ///< nothing where none of its sizes was steady
};

/// The plateaus of `sweep`, in ascending order of size. From one size to the next of a plateau the
/// price grows by at most a quarter; a plateau has at least two sizes, and what lies between two is
/// a transition.
std::vector<Level> levels_of(std::vector<SweepPoint> sweep);

/// The price of the points of `sweep` whose sizes lie in [from, to], as one: the median of the
/// steady ones, and the interval that holds them all. Nothing where none is steady.
std::optional<Estimate> price_within(const std::vector<SweepPoint>& sweep, uint64_t from,
                                     uint64_t to);

}  // namespace doorbell::harness
