// What a lab's body measures with: the machine, the instrument, series to record into, and numbers
// that the user may have set. Image only.
#pragma once
#include <cstdint>
#include <span>
#include <string_view>

#include "firmware/measure/counters.h"
#include "firmware/measure/instrument.h"
#include "firmware/measure/random.h"
#include "firmware/measure/series.h"
#include "firmware/platform/machine.h"
#include "labs/kit/lab.h"
#include "labs/kit/results.h"

namespace doorbell::labs {

/// A value that the user set with --set.
struct Chosen {
    std::string_view name;
    uint64_t value;
};

using wire::Better;
using wire::Shape;

/// How a series is to be kept, and how it is read.
struct SeriesKind {
    std::span<const char* const> stages = {};
    /// null: time, in the instrument's unit and evidence. Anything else ("packet", "ppm") is the
    /// unit, and the evidence is "exact" where the clock is, "measured" or "rough" otherwise.
    const char* unit = nullptr;
    /// Whether each sample holds one begin()/end() pair, whose cost is taken off.
    bool less_overhead = false;
    /// Whether counters (measure/counters.h) belong to it. Nobody need say so for a series with
    /// less_overhead, whose samples lie between a begin() and an end(), nor for one with stages,
    /// whose marks are timestamps: there each sample is checked against its timestamps (a stage
    /// that begins at something else, like a deadline, has no counters). Any other series opts in
    /// with this one line, and by it promises that each record() comes after one begin() ... end()
    /// that its counts are to span ("a packet's share of a burst").
    bool counted = false;
    /// Each sample, or its first stage, begins at an event, where no timestamp stands. Counters
    /// belong to it from that instant on, where the clock counts instructions. A sample without
    /// stages must be recorded before another timestamp is taken.
    bool since_event = false;
    /// Regions of the measured code (measure/model_region.h) that the model counts, and that are
    /// reported with this series: their names, in the order of their numbers. Region 0 is the
    /// handler of `interrupt`. For one series of a case.
    std::span<const char* const> regions = {};
    uint8_t interrupt = 0;
    /// Which of two values is the better one, and whether the sum of all samples says more than
    /// their distribution: sent with the series, for comparisons, tables and charts.
    Better better = Better::less;
    Shape shape = Shape::distribution;
    /// How a value follows from what was counted, where it is not the cost of what its own counts
    /// were counted in. Names are metrics of the same case, this one's included:
    ///   "total / 1000", "cost / burst"  a share of a larger sample; a number, or a key of the case
    ///   "after - before"                what one has beyond another
    ///   "path:entry"                    a stage of a path
    ///   "share of total"                in ppm: work that is nothing but instructions
    const char* derived = "";
};

/// The flag of a wait in HLT or MWAIT where the clock counts instructions. QEMU's main loop warps
/// the clock of a halted processor, at times before the instructions since the clock was last read
/// are counted.
inline constexpr const char* halted_flag =
    "unstable: the emulator now and then wakes a halted processor a few instructions late";

/// What the user asked for, for every case alike.
struct Request {
    uint64_t samples = 1000;
    uint64_t warm_up = 16;
    uint64_t seed = 1;
    bool raw = false;
    std::span<const Chosen> chosen;
    /// Tells the harness that a case which waits for the outside makes progress; null: tells
    /// nobody.
    void (*alive)(const Lab& lab, const Case& test_case, uint64_t frames) = nullptr;
};

/// What was counted in a case beside its samples: each name's count. Both outlive the case's body
/// (the arena's memory does).
struct Tally {
    const char* name = nullptr;  ///< null: nothing was counted
    std::span<const char* const> names;
    std::span<const uint64_t> counts;
};

class Bench {
  public:
    static constexpr unsigned most_series = 8;

    /// `nowhere` takes what is recorded into a series that there was no room for.
    Bench(platform::Machine& m, const measure::Instrument& i, const Lab& lab,
          const Request& request, measure::Histogram& nowhere, measure::Counters& counts)
        : machine(m),
          instrument(i),
          counters(counts),
          random(request.seed),
          lab_(lab),
          request_(request),
          nowhere_(nowhere) {}

    platform::Machine& machine;
    const measure::Instrument& instrument;
    /// What counts here. A lab that knows its rings tells it what a device wrote:
    /// Counters::device_wrote().
    measure::Counters& counters;
    measure::Random random;

    /// A task stores the values of `series` itself while it measures: see Counters::stored_at().
    /// `start` is the kernel's address of the first of `count`.
    void stored_at(const measure::Series& series, const uint64_t* start, uint64_t count,
                   uint64_t stride = sizeof(uint64_t)) {
        counters.stored_at(series, start, stride, count);
    }
    uint64_t samples() const { return request_.samples; }
    uint64_t warm_up() const { return request_.warm_up; }
    /// The value of one of the lab's settings: what the user chose, or its normal value.
    uint64_t setting(std::string_view name) const;
    bool exact() const { return instrument.counts_instructions; }

    /// A new series of this case, its memory touched. A lab that asks for too many, or for too much
    /// memory, gets one that records into a spare, and the case ends as an error: see exhausted().
    /// `records`: at most how many are recorded in all, where that is more than the samples that
    /// were asked for.
    measure::Series& series(const char* metric, const SeriesKind& kind = {}, uint64_t records = 0);

    /// Runs `body(count)` three times: once for the very first sample, once for the rest of the
    /// warm-up, once for the samples that count. body records exactly `count` samples into each
    /// series it made before.
    template <class Body>
    void repeat(Body&& body) {
        // One call in a loop: the body is large once inlined.
        for (unsigned phase = 0; phase < phases; ++phase)
            if (uint64_t count = enter(phase); count != 0) body(count);
    }

    /// Goes to the harness behind the series.
    Tally tally;
    /// Something is wrong, and the samples are sound all the same ("the kernel's registers
    /// changed" after an attempt that was counted as such): the case fails and its series are sent.
    /// The first such word counts.
    void found_wrong(Error error) {
        if (wrong_.what == nullptr) wrong_ = error;
    }
    /// What ended the case or was found wrong in it, given what its body returned.
    Result<void> outcome(Result<void> of_body) const;
    /// Whether its series can be sent.
    bool sound(const Result<void>& of_body) const { return of_body && !exhausted_; }
    /// Tells the harness that a case which waits for the outside is not a hang, and how many frames
    /// it has seen. Takes a while: not for measured stretches.
    void alive(const Case& test_case, uint64_t frames) const;

    std::span<measure::Series* const> all() const { return {series_, count_}; }

  private:
    const Lab& lab_;
    const Request& request_;
    measure::Histogram& nowhere_;
    static constexpr unsigned phases = 3;
    /// Turns all series towards that phase's histograms; the number of samples it takes.
    uint64_t enter(unsigned phase);
    measure::Series& spare_series(size_t stages);
    void watch(const measure::Series& series, const SeriesKind& kind, bool check);

    measure::Series* series_[most_series] = {};
    unsigned count_ = 0;
    alignas(measure::Series) char spare_[sizeof(measure::Series)];
    bool exhausted_ = false, too_many_ = false;
    Error wrong_{nullptr};
};

}  // namespace doorbell::labs
