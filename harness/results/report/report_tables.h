// The text and tables of the page.
#pragma once
#include <string>
#include <vector>

#include "harness/results/report/predicted.h"
#include "harness/results/stored_run.h"

namespace doorbell::harness {

/// The rates of packets that are predicted of a lab; "" where there are none.
std::string rate_table(const std::vector<StoredRun>& runs,
                       const std::vector<PredictedRun>& predicted, const std::string& lab);
/// With `predicted`, which has a place for each run, also what is predicted of each series.
std::string series_table(const std::vector<StoredRun>& runs,
                         const std::vector<PredictedRun>& predicted, const std::string& lab);
std::string counter_table(const std::vector<StoredRun>& runs, const std::string& lab);
std::string tally_table(const std::vector<StoredRun>& runs, const std::string& lab);
std::string claim_list(const std::vector<StoredRun>& runs,
                       const std::vector<PredictedRun>& predicted, const std::string& lab);
std::string fail_and_skip_lists(const std::vector<StoredRun>& runs, const std::string& lab);
std::string machine_section(const std::vector<StoredRun>& runs);
std::string again_section(const std::vector<StoredRun>& runs);

}  // namespace doorbell::harness
