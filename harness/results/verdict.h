// The answer to the main question, from one run.
#pragma once
#include <string>

#include "harness/data/run_data.h"

namespace doorbell::harness {

/// The series of `run` that answers the question: wait=poll... and wait=irq of one case. Null where
/// there are none.
struct Contest {
    const Series* poll = nullptr;
    const Series* irq = nullptr;
};
Contest contest_of(const Run& run);

/// One sentence: what polling and interrupts cost, in which unit, on what evidence. "" where the
/// run lacks the series.
std::string verdict(const Run& run);
/// What that sentence is worth, by its evidence; "" where there is no verdict.
std::string verdict_caveat(const Run& run);

}  // namespace doorbell::harness
