// What the terminal's table and the report share about counters.
#pragma once
#include <string>
#include <vector>

#include "harness/data/run_data.h"

namespace doorbell::harness {

/// What counters belong to: a series as a whole (stage ""), or a stage of it.
struct Stretch {
    const Series* series;
    std::string stage;
    /// "source=lapic wait=irq, round-trip, resume"
    std::string name() const;
    /// The counter of that name; null where this stretch has none.
    const Counter* counter(const std::string& name) const;
};

/// The stretches of a lab that have counters, in the run's order.
std::vector<Stretch> stretches_of(const Run& run, const std::string& lab);

/// A count a sample: whole where it is whole in every sample; "... in all" where the number of
/// samples is unknown.
std::string a_sample(const Counter& counter);

}  // namespace doorbell::harness
