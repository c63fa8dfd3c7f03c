#include "harness/results/compare/claims.h"

#include <fmt/format.h>

namespace doorbell::harness {
namespace {

bool same(const Claim& a, const Claim& b) {
    if (a.lab != b.lab) return false;
    return a.id.empty() || b.id.empty() ? a.text == b.text : a.id == b.id;
}

const char* verdict(const Claim& claim) {
    return !claim.holds ? "cannot say" : *claim.holds ? "holds" : "refuted";
}

}  // namespace

std::vector<std::string> claim_changes(const Run& a, const Run& b) {
    std::vector<std::string> changes;
    for (const Claim& in_a : a.claims)
        for (const Claim& in_b : b.claims)
            if (same(in_a, in_b) && in_a.holds != in_b.holds)
                changes.push_back(fmt::format("claim {} {}: {} in A, {} in B ({})", in_b.lab,
                                              in_b.key(), verdict(in_a), verdict(in_b),
                                              in_b.because));
    return changes;
}

}  // namespace doorbell::harness
