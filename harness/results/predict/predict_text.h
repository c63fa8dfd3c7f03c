// Predictions for people.
#pragma once
#include <string>
#include <vector>

#include "harness/results/predict/predict.h"

namespace doorbell::harness {

/// A number with three digits that count: "0.253", "31.4", "1,230".
std::string three_digits(double value);

/// "31.4 ns (25 to 40)"; without the interval where it is a point.
std::string estimate_text(const Estimate& estimate, const char* unit);

/// "18,400 packets/s (9,200 to 36,000)"; "never", "... or never" where a rate may not be reached.
std::string rate_text(const Estimate& rate, const std::string& unit);
/// What is predicted, or as much of it as the known prices tell: "at most 18,400 packets/s"; "-".
std::string rate_text(const RatePrediction& rate);

/// Why a rate is not known: the prices that are missing, or another reason.
std::string why_rate_unknown(const RatePrediction& rate);

/// "predicted on intel-skylake-server: holds", and why.
std::string claim_prediction_text(const ClaimPrediction& claim, const std::string& profile);

/// The table of predictions: of the labs named, or of all. `full`: with each series' stages and
/// parts.
std::string predictions_text(const Predictions& predictions, const std::vector<std::string>& labs,
                             bool full);

}  // namespace doorbell::harness
