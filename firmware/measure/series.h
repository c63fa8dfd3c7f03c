// The samples of one metric of one case. Recording fills memory that was touched before and
// branches on nothing: cold and warm samples, raw capture or none, differ only in the pointers that
// are followed. Labs record between measured stretches, never inside one.
#pragma once
#include <cstdint>
#include <span>

#include "firmware/measure/histogram.h"
#include "firmware/wire/reading.h"

namespace doorbell::measure {

class Series {
  public:
    static constexpr unsigned max_stages = 8, max_flags = 4;

    /// Memory and names; `stage_histograms` has one for each stage name. `raw` may be empty.
    struct Parts {
        const char* metric = "";
        const char* unit = "";
        const char* evidence = "";
        uint64_t overhead_removed = 0;  ///< taken off every sample, same unit
        Histogram* cold = nullptr;
        Histogram* warm = nullptr;
        std::span<const char* const> stages;
        Histogram* stage_histograms[max_stages] = {};
        Histogram* spare = nullptr;  ///< takes the stages of cold events
        std::span<uint64_t> raw;
        std::span<uint64_t> paths;  ///< where the marks of each warm event go, one path after the
                                    ///< other; may be empty
        wire::Better better = wire::Better::less;
        wire::Shape shape = wire::Shape::distribution;
        bool counted = false;  ///< counters may be attributed to it: see labs/kit/bench.h
        bool pair = false;     ///< each sample held one begin()/end() pair
        bool checked = true;   ///< ... to a sample that is the distance of its timestamps
        /// How its values follow from other series of its case (wire/words.h); "": they do not.
        const char* derived = "";
        bool since_event = false;  ///< a sample begins at an event, where no timestamp stands
    };

    explicit Series(const Parts& parts) : parts_(parts) {}
    Series(const Series&) = delete;  // raw_next_ points inside

    /// Samples from here on are warm-up ("cold") ...
    void begin_cold() {
        target_ = parts_.cold;
        raw_next_ = &raw_bin_;
        raw_step_ = 0;
        path_next_ = path_bin_;
        path_step_ = 0;
        for (unsigned i = 0; i < parts_.stages.size(); ++i) stage_target_[i] = parts_.spare;
    }
    /// ... and from here on they count.
    void begin_warm() {
        target_ = parts_.warm;
        if (!parts_.raw.empty()) {
            raw_next_ = parts_.raw.data();
            raw_step_ = 1;
        }
        if (!parts_.paths.empty()) {
            path_next_ = parts_.paths.data();
            path_step_ = parts_.stages.size() + 1;
        }
        for (unsigned i = 0; i < parts_.stages.size(); ++i)
            stage_target_[i] = parts_.stage_histograms[i];
    }

    /// One sample, timestamp overhead included; it is taken off here (never below 0).
    void record(uint64_t value);

    /// One event's path: marks[0] is where it began, marks[i + 1] the end of stage i. The whole,
    /// from first mark to last, is the sample. A mark before its predecessor breaks the sum; the
    /// series is then flagged.
    void record_path(const uint64_t* marks);

    /// Something that a reader must know. Flags that begin with "unstable" keep the series out of
    /// the digest. `text` is a string literal.
    void flag(const char* text) {
        for (unsigned i = 0; i < flag_count_; ++i)
            if (flags_[i] == text) return;
        if (flag_count_ < max_flags) flags_[flag_count_++] = text;
    }
    /// After the last sample: flags what went wrong on the way.
    void finish() {
        if (broken_paths_ != 0) flag("stages out of order: they do not add up to the whole");
    }

    const Parts& parts() const { return parts_; }
    std::span<const char* const> flags() const { return {flags_, flag_count_}; }
    std::span<const uint64_t> raw() const {
        return parts_.raw.empty()
                   ? std::span<const uint64_t>{}
                   : parts_.raw.first(static_cast<size_t>(raw_next_ - parts_.raw.data()));
    }
    /// Where values go one by one without raw capture, and the marks of the last path: see
    /// wire::MailboxSeries.
    const uint64_t* value_slot() const { return &raw_bin_; }
    const uint64_t* marks_slot() const { return path_bin_; }
    /// The very first sample of all, which found everything cold.
    uint64_t first() const { return first_; }
    void keep_first() { first_ = parts_.cold->max(); }

  private:
    Parts parts_;
    Histogram* target_ = nullptr;
    Histogram* stage_target_[max_stages] = {};
    uint64_t* raw_next_ = &raw_bin_;
    uint64_t raw_step_ = 0;
    uint64_t raw_bin_ = 0;
    uint64_t* path_next_ = path_bin_;
    uint64_t path_step_ = 0;
    uint64_t path_bin_[max_stages + 1] = {};
    uint64_t broken_paths_ = 0;
    uint64_t first_ = 0;
    const char* flags_[max_flags] = {};
    unsigned flag_count_ = 0;
};

/// What a series of `kind` says of its samples, in the words of the instrument that takes them; its
/// memory and stages are the caller's to add.
template <class Kind, class Observed>
Series::Parts parts_of(const char* metric, const Kind& kind, const Observed& instrument) {
    Series::Parts parts;
    parts.metric = metric;
    parts.unit = kind.unit != nullptr ? kind.unit : instrument.unit;
    parts.evidence = instrument.evidence;
    parts.overhead_removed = kind.less_overhead ? instrument.overhead_a_sample() : 0;
    parts.pair = kind.less_overhead;
    parts.better = kind.better;
    parts.shape = kind.shape;
    parts.derived = kind.derived;
    parts.since_event = kind.since_event;
    return parts;
}

}  // namespace doorbell::measure
