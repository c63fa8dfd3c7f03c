// The digest of a run: one value that is equal where two runs counted the same.
#pragma once
#include <string>

#include "harness/data/run_data.h"

namespace doorbell::harness {

/// The text that is hashed. First line "doorbell-digest/1"; then one line for each series whose
/// evidence is "exact" and that is not flagged unstable; the lines sorted by their bytes, each
/// ended by a newline. A line is a JSON array without blanks:
///
///     [lab, {case keys, sorted}, metric, unit, count, min, max, sum,
///      [[lowest value of the bin, count], ...], ascending
///      [[stage's name, min, max, sum, [[value, count], ...]], ...], in the path's order
///      [[counter's name, value, evidence, stage if there is one], ...], sorted; only evidence
///      exact or modelled]
///
/// min, max and sum are 0 where count is 0. The order of the cases, cold samples and everything
/// about the machine are left out.
std::string canonical_form(const Run& run);

/// "sha256:" and 64 hexadecimal digits over canonical_form(); "" where no series qualifies.
std::string digest(const Run& run);

}  // namespace doorbell::harness
