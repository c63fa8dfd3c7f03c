// Predictions beside measurements: how far off they are.
#pragma once
#include <string>
#include <vector>

#include "harness/results/predict/predict.h"

namespace doorbell::harness {

/// One series that was predicted from one run and measured in another.
struct ComparedBody {
    std::string lab, test_case, metric;
    std::string unit;  ///< of both: "cycles", "ns", "tick", "insn"
    Estimate predicted;
    double measured = 0;              ///< median
    double kcachegrind = 0, iai = 0;  ///< what their formulas say, without scale
    std::string name() const;
    /// How many times the one is of the other, less 1: never negative.
    double error() const;
    bool inside() const { return predicted.low <= measured && measured <= predicted.high; }
};

/// What a formula without prices reaches with the best scale that there is.
struct FormulaError {
    double scale = 1;  ///< of the measured unit, the one with the least geometric error
    double geomean_error = 0;
};

struct Against {
    std::string predicted_run, measured_run, profile;
    std::vector<ComparedBody> bodies;
    std::vector<std::string> left_out;  ///< series that both have and that cannot be compared, why
    double geomean_error = 0;           ///< geometric mean of max(p/m, m/p), less 1
    double within_10 = 0, within_25 = 0, inside_interval = 0;  ///< shares, 0 to 1
    FormulaError kcachegrind, iai;
    Json json() const;
    static Against from(const Json& document);
};

/// Compares what `predictions` says with the medians of `measured`: in core cycles where that run
/// counted cycles or has a yardstick, else in ns, else in the clock's unit. Throws UsageError where
/// no series can be compared.
Against compare_with(const Predictions& predictions, const StoredRun& measured);

/// For the terminal.
std::string against_text(const Against& against);

}  // namespace doorbell::harness
