// A figure that follows from several costs, over all that the costs leave open.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "harness/results/predict/cost.h"

namespace doorbell::harness {

/// All corners of this many unknowns are tried.
inline constexpr size_t most_unknowns = 10;

/// Which unknowns are high, a corner: all corners; of more than `most_unknowns`: all low, all high,
/// one apart from the others, and some at random, by a fixed sequence.
std::vector<std::vector<bool>> corners_of(size_t unknowns);

/// One of the costs. An event's price is the same in all of them, low or high; the code's own parts
/// (instructions, misses) are cheap or dear together in all costs of one `group`.
struct OpenCost {
    Cost cost;
    std::string group;
};

/// `figure` of the costs' values, and its least and greatest over the corners: each price and each
/// group low or high (corners_of()). Every cost must be known.
Estimate at_corners(const std::vector<OpenCost>& costs,
                    const std::function<double(const std::vector<double>&)>& figure);

}  // namespace doorbell::harness
