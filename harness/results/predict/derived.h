// How a derived series follows from others of its case: the member `derived` of results.json.
#pragma once
#include <optional>
#include <string>

#include "harness/data/run_data.h"

namespace doorbell::harness {

/// "total / 1000", "cost / burst", "after - before", "(after - before) / 32", "path:entry", "share
/// of total". Names are metrics of the same case, this series' own included.
struct Derivation {
    std::string first;   ///< a metric
    std::string less;    ///< the metric that is taken off; "": none
    std::string stage;   ///< of `first`; "": the whole
    double divisor = 1;  ///< a number, or the value of a key of the case
    bool is_share = false;
};

/// Reads `text`; nothing where it is not of that grammar, or `keys` lacks the key that it divides
/// by.
std::optional<Derivation> derivation_of(const std::string& text, const CaseKeys& keys);

}  // namespace doorbell::harness
