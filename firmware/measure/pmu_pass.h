// Counting with the processor's PMU, in passes of their own. While such a pass runs, every
// timestamp of the image (the five bytes of `lfence; rdtsc`) is a call to a routine that reads the
// counters into a log, takes the timestamp, and returns it; in ring 3 by way of a gate. Labs need
// not know. Image only.
//
// A counter is believed only if it moves over a body that must move it, and instructions by the
// right number: a thousand NOPs are a thousand instructions. What does not is absent, "advertised
// but does not count".
#pragma once
#include <cstdint>
#include <span>

#include "firmware/cpu/apic.h"
#include "firmware/cpu/pmu.h"
#include "firmware/measure/counters.h"
#include "firmware/measure/pmu_log.h"
#include "firmware/measure/series.h"
#include "firmware/wire/mailbox.h"

namespace doorbell::measure {

/// Words of stack that the routine at each timestamp takes, its return address included.
inline constexpr unsigned pmu_edge_words = 7;

class PmuPass final : public CountingPass {
  public:
    /// Finds the PMU and proves its counters; `scratch`: 64 pages of memory that may be read and
    /// flushed; `apic`: rings for itself, interrupts are off and on for a moment. Error: no PMU, or
    /// one whose counters cannot be trusted.
    Result<void> open(const cpu::Features& features, uint64_t scratch, const cpu::LocalApic& apic);
    const char* description() const { return description_; }
    /// How many passes it takes until every event had its turn.
    unsigned turns() const { return turns_; }

    /// Programs the events of that turn, measures what a begin()/end() pair itself counts, and puts
    /// the calls in. `log` is touched. Error: a register did not take its value, or the image has
    /// too many timestamps; then nothing was changed.
    Result<void> start(unsigned turn, std::span<PmuEdge> log);
    void forget_log() override;  ///< what was logged so far does not count
    void stop();

    std::span<const char* const> names() const { return {names_, counters_}; }  ///< of this turn
    /// What a begin() and an end() with nothing between them count, taken off each stretch; and the
    /// same in ring 3.
    std::span<const uint64_t> pair_cost() const { return log_.pair_cost(); }
    std::span<const uint64_t> user_pair_cost() const { return log_.user_pair_cost(); }

    /// Adds up the log for a series of this pass, which was kept with raw values (and paths): the
    /// whole, then each stage. `check`: values are the distances of their timestamps.
    void attribute(const Series& series, bool check, std::span<wire::MailboxRow> rows) const;

  private:
    bool proven(const cpu::PmuCounter& counter, uint64_t scratch) const;
    void measure_pairs();
    std::span<const PmuEdge> logged() const;

    cpu::Pmu pmu_;
    const cpu::PmuEvent* believed_[cpu::Pmu::most_events] = {};
    unsigned believed_count_ = 0, turns_ = 0, first_of_turn_[cpu::Pmu::most_events + 1] = {};
    cpu::PmuCounter running_[PmuEdge::most];
    const char* names_[PmuEdge::most] = {};
    unsigned counters_ = 0;
    std::span<PmuEdge> edges_;
    PmuLog log_;
    char description_[200] = {};
};

}  // namespace doorbell::measure
