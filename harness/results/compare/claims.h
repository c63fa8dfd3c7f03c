// Claims of two runs whose verdicts differ.
#pragma once
#include <string>
#include <vector>

#include "harness/data/run_data.h"

namespace doorbell::harness {

/// A sentence for each claim that both runs judged and that holds in one and not in the other, or
/// of which only one can say anything. Claims are the same where lab and id are; a run from before
/// there were ids is matched by the claims' texts.
std::vector<std::string> claim_changes(const Run& a, const Run& b);

}  // namespace doorbell::harness
