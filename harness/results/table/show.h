// A finished run, shown on the terminal.
#pragma once
#include "harness/results/predict/predict.h"
#include "harness/run/session.h"

namespace doorbell::harness {

/// How a finished run is shown.
struct Showing {
    bool json = false;                         ///< results.json on stdout, nothing else there
    bool quiet = false;                        ///< no table
    const Predictions* predictions = nullptr;  ///< shown beside the claims
};

/// Shows the run: the table or JSON on stdout, what went wrong on stderr. Returns the exit status.
int show(const Finished& finished, const Showing& showing);

}  // namespace doorbell::harness
