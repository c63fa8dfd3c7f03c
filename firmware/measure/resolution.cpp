#include "firmware/measure/resolution.h"

#include <numeric>

namespace doorbell::measure {
namespace {

/// A step shorter than this leaves no room for ties: nearly every number would fit.
constexpr uint64_t shortest_with_ties = 10;
constexpr uint64_t most_ties = 2;

struct Fit {
    uint64_t exact = 0, missed = 0;
};

/// How well `differences` are multiples of `step`; the search stops where too many are not.
Fit fit_of(std::span<const uint64_t> differences, uint64_t step) {
    uint64_t ties = step < shortest_with_ties ? 0 : most_ties;
    uint64_t most_missed = differences.size() / 20;
    Fit fit;
    for (uint64_t d : differences) {
        uint64_t above = d % step, below = step - above;
        fit.exact += above == 0;
        fit.missed += above > ties && below > ties;
        if (fit.missed > most_missed) break;
    }
    return fit;
}

}  // namespace

uint64_t find_step(std::span<const uint64_t> differences) {
    uint64_t common = 0, most_missed = differences.size() / 20;
    uint64_t moved = 0, longest = 0;
    for (uint64_t d : differences) {
        common = std::gcd(common, d);
        moved += d > most_ties;
        longest = d > longest ? d : longest;
    }
    if (common > longest_disturbed_step || longest <= most_ties) return common;
    // Ties alone say nothing of the step: a multiple of it must be there, too.
    if (moved <= most_missed) return common;
    uint64_t step = longest < longest_disturbed_step ? longest : longest_disturbed_step;
    while (step > 1 && fit_of(differences, step).missed > most_missed) --step;
    // A neighbour fits too where few differences are longer than a step or two; the true step is
    // met exactly most often.
    uint64_t best = step, exact = fit_of(differences, step).exact;
    for (uint64_t near = step - 1; near >= shortest_with_ties && near + most_ties >= step; --near) {
        Fit fit = fit_of(differences, near);
        if (fit.missed > most_missed || fit.exact <= exact) continue;
        best = near;
        exact = fit.exact;
    }
    return best;
}

}  // namespace doorbell::measure
