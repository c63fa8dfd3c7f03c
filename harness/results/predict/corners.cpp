#include "harness/results/predict/corners.h"

#include <algorithm>
#include <random>

namespace doorbell::harness {
namespace {

class Corners {
  public:
    explicit Corners(const std::vector<OpenCost>& costs) : costs_(costs) {
        for (const OpenCost& c : costs)
            for (const CostPart& part : c.cost.parts)
                if (std::string name = unknown(c, part);
                    part.cost.low != part.cost.high &&
                    std::find(unknowns_.begin(), unknowns_.end(), name) == unknowns_.end())
                    unknowns_.push_back(name);
    }
    size_t unknowns() const { return unknowns_.size(); }
    /// The costs where those are high.
    std::vector<double> at(const std::vector<bool>& high) const {
        std::vector<double> values;
        for (const OpenCost& c : costs_) {
            double sum = 0;
            for (const CostPart& part : c.cost.parts) {
                auto found = std::find(unknowns_.begin(), unknowns_.end(), unknown(c, part));
                bool dear = found != unknowns_.end() &&
                            high[static_cast<size_t>(found - unknowns_.begin())];
                sum += dear ? part.cost.high : part.cost.low;
            }
            values.push_back(sum);
        }
        return values;
    }

  private:
    static std::string unknown(const OpenCost& c, const CostPart& part) {
        return is_own_part(part.name) ? "own of " + c.group : part.name;
    }

    const std::vector<OpenCost>& costs_;
    std::vector<std::string> unknowns_;
};

}  // namespace

std::vector<std::vector<bool>> corners_of(size_t n) {
    constexpr size_t random_corners = 512;
    std::vector<std::vector<bool>> corners;
    if (n <= most_unknowns) {
        for (size_t bits = 0; bits < size_t{1} << n; ++bits) {
            corners.emplace_back(n);
            for (size_t i = 0; i < n; ++i) corners.back()[i] = (bits >> i & 1) != 0;
        }
        return corners;
    }
    for (bool rest : {false, true}) {
        corners.emplace_back(n, rest);
        for (size_t i = 0; i < n; ++i) {
            corners.emplace_back(n, rest);
            corners.back()[i] = !rest;
        }
    }
    std::mt19937_64 random(1);
    for (size_t c = 0; c < random_corners; ++c) {
        corners.emplace_back(n);
        for (size_t i = 0; i < n; ++i) corners.back()[i] = (random() & 1) != 0;
    }
    return corners;
}

Estimate at_corners(const std::vector<OpenCost>& costs,
                    const std::function<double(const std::vector<double>&)>& figure) {
    std::vector<double> values;
    for (const OpenCost& c : costs) values.push_back(c.cost.all.value);
    double middle = figure(values);
    Estimate e{middle, middle, middle};
    Corners all(costs);
    for (const std::vector<bool>& corner : corners_of(all.unknowns())) {
        double here = figure(all.at(corner));
        e.low = std::min(e.low, here);
        e.high = std::max(e.high, here);
    }
    return e;
}

}  // namespace doorbell::harness
