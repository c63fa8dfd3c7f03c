// Many cases in few words: those that differ in one key share a line.
#pragma once
#include <string>
#include <vector>

#include "harness/data/run_data.h"

namespace doorbell::harness {

/// The cases, folded: "wait=poll", "wait=irq" become "wait=poll|irq", key by key, so that a lab's
/// whole grid of parameters is one string. Each is named once; the order is that of the first case
/// of each string.
std::vector<std::string> folded(const std::vector<CaseKeys>& cases);

/// folded(), in one string.
std::string folded_text(const std::vector<CaseKeys>& cases, const char* between = "; ");

}  // namespace doorbell::harness
