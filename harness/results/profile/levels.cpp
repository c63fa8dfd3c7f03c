#include "harness/results/profile/levels.h"

#include <algorithm>

namespace doorbell::harness {
namespace {

constexpr double same_level = 1.25;

}  // namespace

std::optional<Estimate> price_within(const std::vector<SweepPoint>& sweep, uint64_t from,
                                     uint64_t to) {
    std::vector<Estimate> steady;
    for (const SweepPoint& p : sweep)
        if (p.steady && p.size >= from && p.size <= to) steady.push_back(p.price);
    if (steady.empty()) return std::nullopt;
    std::sort(steady.begin(), steady.end(),
              [](const Estimate& a, const Estimate& b) { return a.value < b.value; });
    Estimate all{steady[(steady.size() - 1) / 2].value, steady.front().value, steady.back().value};
    for (const Estimate& one : steady) {
        all.low = std::min(all.low, one.low);
        all.high = std::max(all.high, one.high);
    }
    return all;
}

std::vector<Level> levels_of(std::vector<SweepPoint> sweep) {
    std::sort(sweep.begin(), sweep.end(),
              [](const SweepPoint& a, const SweepPoint& b) { return a.size < b.size; });
    std::vector<Level> levels;
    for (size_t i = 0; i < sweep.size();) {
        size_t end = i + 1;
        while (end < sweep.size() &&
               sweep[end].price.value <= same_level * sweep[end - 1].price.value)
            ++end;
        if (end - i >= 2)
            levels.push_back({sweep[i].size, sweep[end - 1].size,
                              end < sweep.size() ? sweep[end].size : 0,
                              price_within(sweep, sweep[i].size, sweep[end - 1].size)});
        i = end;
    }
    return levels;
}

}  // namespace doorbell::harness
