// What predicted values say of the labs' claims: the labs' own judges, asked again.
#pragma once
#include <vector>

#include "harness/results/predict/predict.h"

namespace doorbell::harness {

/// The verdict on each claim of `run` that looks at times that are predicted. The judge is asked at
/// the corners of what is not known: each event's price is low or high, in all series at once; the
/// instructions and misses of each series are cheap or dear, in each series by itself. A claim
/// holds where it holds at all corners, does not where it holds at none, and is open otherwise.
/// Claims that the run itself left open are all in the list; one without prices says which are
/// missing. Claims of labs livelock and moderation compare counts of packets; the costs of a packet
/// decide them (rates.h).
std::vector<ClaimPrediction> predict_claims(const Run& run, const Predictions& predictions);

}  // namespace doorbell::harness
