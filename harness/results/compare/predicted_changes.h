// What is predicted of two runs on one profile, side by side.
#pragma once
#include <cmath>
#include <string>
#include <vector>

#include "harness/results/predict/predict.h"

namespace doorbell::harness {

/// A series whose prediction differs.
struct PredictedChange {
    std::string name, unit;  ///< "ns", "cycles", "ppm", or the clock's unit
    Estimate a, b;
    bool worse = false;  ///< a time grew, or a share of work shrank
    double share() const { return a.value != 0 ? (b.value - a.value) / a.value : HUGE_VAL; }
};

struct PredictedComparison {
    std::string profile;
    size_t same = 0;
    std::vector<PredictedChange> changes;  ///< the largest first
    std::vector<std::string> only_in_a;    ///< predicted in A and not in B
};

/// Compares the predictions that lie in the runs' folders. Throws UsageError where one has none, or
/// they are of different profiles.
PredictedComparison compare_predicted(const StoredRun& a, const StoredRun& b);

/// Changes for the worse by more than `share`, and series that B predicts no more, in sentences.
std::vector<std::string> beyond_predicted_gate(const PredictedComparison& c, double share);

std::string predicted_comparison_text(const PredictedComparison& c);
Json predicted_comparison_json(const PredictedComparison& c);

}  // namespace doorbell::harness
