// The answer to the question on the machine of a profile.
#pragma once
#include <string>

#include "harness/results/predict/predict.h"

namespace doorbell::harness {

/// What is predicted of the run's contest (verdict.h). Null where the run has none.
struct PredictedContest {
    const SeriesPrediction* poll = nullptr;
    const SeriesPrediction* irq = nullptr;
    std::string why_not;  ///< why one of them has no prediction in ns; "": both have
};
PredictedContest predicted_contest(const Run& run, const Predictions& predictions);

/// Poll against interrupt on the profile, in one sentence with unit, evidence and profile; or why
/// nothing is predicted of them; "" where the run does not have both.
std::string predicted_verdict(const Run& run, const Predictions& predictions);

}  // namespace doorbell::harness
