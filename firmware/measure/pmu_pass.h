// Counting with the processor's PMU, in passes of their own. While such a pass runs, every timestamp of the image
// (the five bytes of `lfence; rdtsc`) is a call to a routine that reads the counters into a log, takes the
// timestamp, and returns it. Labs need not know; code in ring 3 keeps its timestamps. Image only.
//
// A counter is believed only if it moves over a body that must move it, and instructions by the right number: a
// thousand NOPs are a thousand instructions. What does not is absent, "advertised but does not count".
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
    uint64_t tsc, begins;
    uint64_t counts[most];
};

class PmuPass {
  public:
    /// Finds the PMU and proves its counters; `scratch`: 64 pages of memory that may be read and flushed.
    /// Error: none, or none to be believed.
    Result<void> open(const cpu::Features& features, uint64_t scratch);
    const char* description() const { return description_; }
    /// How many passes it takes until every event had its turn.
    unsigned turns() const { return turns_; }

    /// Programs the events of that turn, measures what a begin()/end() pair itself counts, and puts the calls
    /// in. `log` is touched. Error: a register did not take its value; then nothing was changed.
    Result<void> start(unsigned turn, std::span<PmuEdge> log);
    void forget_log();  ///< what was logged so far does not count
    void stop();

    std::span<const char* const> names() const { return {names_, counters_}; }      ///< of this turn
    std::span<const uint64_t> pair_cost() const { return {pair_cost_, counters_}; }  ///< taken off each stretch

    /// Adds up the log for a series of this pass, which was kept with raw values (and paths): the whole, then
    /// each stage. `check`: values are the distances of their timestamps.
    void attribute(const Series& series, bool check, std::span<wire::MailboxRow> rows) const;

  private:
    bool proven(const cpu::PmuCounter& counter, uint64_t scratch) const;
    void measure_pair();
    void add(wire::MailboxRow& row, const PmuEdge& from, const PmuEdge& to) const;
    std::span<const PmuEdge> logged() const;

    cpu::Pmu pmu_;
    const cpu::PmuEvent* believed_[cpu::Pmu::most_events] = {};
    unsigned believed_count_ = 0, turns_ = 0, first_of_turn_[cpu::Pmu::most_events + 1] = {};
    cpu::PmuCounter running_[PmuEdge::most];
    const char* names_[PmuEdge::most] = {};
    uint64_t pair_cost_[PmuEdge::most] = {};
    unsigned counters_ = 0;
    std::span<PmuEdge> log_;
    char description_[200] = {};
};

}  // namespace doorbell::measure
