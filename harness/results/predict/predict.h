// Predictions: what each series and stage of a run costs on the machine of a profile.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "harness/results/predict/cost.h"
#include "harness/results/predict/rates.h"

namespace doorbell::harness {

inline constexpr const char* predictions_schema = "doorbell-predictions/1";
inline constexpr const char* predicted_evidence = "predicted";

/// What one sample costs, in each unit that the profile gives; unknown costs name what is missing.
struct Costs {
    Cost cycles, ns, clock;
    Counts counts;  ///< what was priced, a sample
    const Cost& in(PredictionUnit unit) const {
        return unit == PredictionUnit::cycles ? cycles : unit == PredictionUnit::ns ? ns : clock;
    }
    Cost& in(PredictionUnit unit) {
        return unit == PredictionUnit::cycles ? cycles : unit == PredictionUnit::ns ? ns : clock;
    }
    /// Whether it is known in any unit.
    bool known() const { return cycles.known() || ns.known() || clock.known(); }
    /// The prices without which it is known in no unit; none where it is known in one.
    std::vector<std::string> missing() const;
};

/// The costs of one stage.
struct StagePrediction {
    std::string name;
    Costs costs;
};

/// What is predicted of one series: the middle of its samples. Nothing is said of percentiles above
/// the median.
struct SeriesPrediction {
    std::string lab;
    CaseKeys test_case;
    std::string metric;
    std::string unit, evidence;   ///< the counted series'
    std::optional<double> exact;  ///< its median
    std::string why_not;          ///< why nothing is predicted beside missing prices; "": it is
    Costs costs;
    std::optional<Estimate> share;  ///< instead of costs, in ppm: work that is a share of a whole
    std::vector<StagePrediction> stages;

    bool known() const { return why_not.empty() && (share || costs.known()); }
    std::string name() const;
    /// The value in ns, else in the unit that is known, or the share in ppm; null: unknown.
    const Estimate* best() const;
    const char* best_unit() const;  ///< "ns", "cycles", "clock", "ppm"
};

/// What a prediction says of a claim.
struct ClaimPrediction {
    enum class Verdict : unsigned char { holds, does_not_hold, open, cannot_say };
    std::string lab, id, text;
    std::optional<bool> measured;  ///< what the run itself says
    Verdict verdict = Verdict::cannot_say;
    std::string because;
    const std::string& key() const { return id.empty() ? text : id; }
};

/// "holds", "does not hold", "open", "cannot say".
const char* word(ClaimPrediction::Verdict verdict);

/// All that a profile predicts of a run.
struct Predictions {
    std::string run, digest;
    std::string profile, profile_evidence, clock_unit;
    std::vector<SeriesPrediction> series;  ///< of each series that is a time, or a share of one
    std::vector<ClaimPrediction> claims;
    std::vector<RatePrediction> rates;
    /// Prices that were needed and followed from others: name, and the rule in a sentence.
    std::vector<std::pair<std::string, std::string>> rules;
    Json against;  ///< what `doorbell predict --against` compared (against.h), or null

    const SeriesPrediction* find(const Series& series) const;
    const ClaimPrediction* find(const Claim& claim) const;
    /// The document predictions.json (schema doorbell-predictions/1).
    Json json() const;
    /// Reads predictions.json. Throws std::runtime_error with a sentence.
    static Predictions from(const Json& document);
};

/// By which factor the model itself may be off, whatever the prices: the cost of instructions and
/// misses, not of events, is that much wider in predict(). Of 64 bodies that were predicted and
/// measured on one processor (lab caches), five in six are within it.
inline constexpr double model_error = 1.5;

/// Predicts one series of `run`: the interval is the prices' alone.
SeriesPrediction predict_series(const Run& run, const Series& series, const Profile& profile);

/// Predicts each series of a run, and its claims. The intervals hold the model's error, too.
Predictions predict(const StoredRun& stored, const Profile& profile);

/// The predictions that lie in a run's folder; nothing where there are none, or they are another
/// run's. Throws UsageError where the file is damaged.
std::optional<Predictions> stored_predictions(const StoredRun& stored);

}  // namespace doorbell::harness
