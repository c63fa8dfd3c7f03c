// What a PMU pass logged at each timestamp, and how the counts there are attributed to samples.
#pragma once
#include <cstdint>
#include <span>

#include "firmware/cpu/pmu.h"
#include "firmware/measure/series.h"
#include "firmware/wire/mailbox.h"

namespace doorbell::measure {

/// One timestamp that was passed, and the counters there.
struct PmuEdge {
    static constexpr unsigned most = 12;
    static constexpr uint64_t begins = 1, user = 2;
    uint64_t tsc;
    uint64_t kind;  ///< `begins`: of a begin(); `user`: of code in ring 3
    uint64_t counts[most];
};

class PmuLog {
  public:
    /// The counters of the edges' counts, in that order; they stay where they are. At most
    /// PmuEdge::most.
    void count(std::span<const cpu::PmuCounter> counters) { counters_ = counters; }

    /// Learns what two timestamps with nothing between them count, from a log of such: the least,
    /// for each kind that the first can be and each ring of the second.
    void learn_costs(std::span<const PmuEdge> all);
    /// What a begin() and an end() with nothing between them count, taken off each stretch; and the
    /// same in ring 3.
    std::span<const uint64_t> pair_cost() const { return {pair_cost_, counters_.size()}; }
    std::span<const uint64_t> user_pair_cost() const { return {user_pair_cost_, counters_.size()}; }

    /// Adds up `all` for a series, which was kept with raw values (and paths): the whole, then each
    /// stage. `check`: values are the distances of their timestamps.
    void attribute(std::span<const PmuEdge> all, const Series& series, bool check,
                   std::span<wire::MailboxRow> rows) const;

  private:
    void attribute_paths(std::span<const PmuEdge> all, const Series& s,
                         std::span<wire::MailboxRow> rows) const;
    void attribute_values(std::span<const PmuEdge> all, const Series& s, bool check,
                          std::span<wire::MailboxRow> rows) const;
    void add(wire::MailboxRow& row, const PmuEdge& from, const PmuEdge& to) const;

    std::span<const cpu::PmuCounter> counters_;
    uint64_t cost_[PmuEdge::most][4][2] =
        {};  ///< of each counter, by the first edge's kind and the second's ring
    uint64_t pair_cost_[PmuEdge::most] = {}, user_pair_cost_[PmuEdge::most] = {};
};

}  // namespace doorbell::measure
