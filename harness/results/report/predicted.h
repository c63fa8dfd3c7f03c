// What the report says of predictions.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "harness/results/predict/against.h"
#include "harness/results/report/charts.h"

namespace doorbell::harness {

/// A run's predictions, as they lie in its folder.
struct PredictedRun {
    const StoredRun* stored = nullptr;
    std::optional<Predictions> predictions;
    std::optional<Against> against;  ///< what `doorbell predict --against` compared
};

/// Reads them. Throws UsageError where the file is damaged.
PredictedRun predicted_run(const StoredRun& stored);

/// Poll against interrupt in predicted ns, as stacked parts; nothing where that is not predicted.
std::optional<Chart> predicted_picture(const PredictedRun& run);

/// Each predicted value beside the measured one; nothing without --against.
std::optional<Chart> against_picture(const PredictedRun& run);

}  // namespace doorbell::harness
