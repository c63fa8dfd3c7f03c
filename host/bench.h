// The measuring interface for a Linux lab's body: the same series and histograms as in the image,
// fed by Google Benchmark's loop or, in a guest without that library, by a plain counter.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "firmware/measure/histogram.h"
#include "firmware/measure/random.h"
#include "firmware/measure/series.h"
#include "firmware/measure/timestamp.h"
#include "firmware/measure/yardstick.h"
#include "host/instrument.h"

namespace doorbell::host {

using wire::Better;
using wire::Shape;

/// A case that cannot be measured here, because this machine lacks something: a right, a device, a
/// feature of its kernel. what() is the reason.
struct Skip : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// Something is wrong: a present device or call does not do what its manual says (a packet is lost,
/// a write that worked before fails). what() is the reason. Any other exception means the same.
struct Wrong : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// Throws Skip: "what: strerror(errno)".
[[noreturn]] void skip_errno(const std::string& what);
/// Throws Wrong: "what: strerror(errno)".
[[noreturn]] void wrong_errno(const std::string& what);

/// The loop that counts the samples.
class Loop {
  public:
    virtual ~Loop() = default;
    virtual bool more() = 0;                ///< whether one more sample is wanted
    virtual void took(double seconds) = 0;  ///< what the last one took
};

/// Takes exactly that many samples.
class CountingLoop : public Loop {
  public:
    explicit CountingLoop(uint64_t samples) : left_(samples) {}
    bool more() override { return left_ != 0 && left_-- != 0; }
    void took(double) override {}

  private:
    uint64_t left_;
};

/// Called when the samples that count begin and end, outside of every sample.
class Window {
  public:
    virtual ~Window() = default;
    virtual void open() = 0;
    virtual void close() = 0;
};

/// What the user asked for, for every case alike.
struct LinuxRequest {
    uint64_t samples = 1000;
    uint64_t warm_up = 16;
    uint64_t seed = 1;
    bool raw = false;
    std::vector<int>
        cpus;  ///< where the labs run: the first for the measured task, the next for its partner
    std::vector<std::pair<std::string, uint64_t>> settings;
};

/// A series and the memory that it records into.
struct Recording {
    std::unique_ptr<measure::Histogram> cold, warm, spare;
    std::vector<std::unique_ptr<measure::Histogram>> stages;
    std::vector<uint64_t> raw;
    std::unique_ptr<measure::Series> series;
};

/// A count that goes with a case's series.
struct CounterValue {
    std::string name;
    uint64_t value;
};

class LinuxBench {
  public:
    /// `window`: opened and closed around the samples that count; may be null.
    LinuxBench(const LinuxInstrument& i, const LinuxRequest& request, uint64_t samples, Loop* loop,
               Window* window = nullptr)
        : instrument(i),
          random(request.seed),
          request_(request),
          samples_(samples),
          warm_up_(request.warm_up),
          loop_(loop),
          window_(window) {}

    const LinuxInstrument& instrument;
    measure::Random random;

    uint64_t samples() const { return samples_; }
    /// For a lab whose single sample is long.
    void warm_up_at_most(uint64_t samples) { warm_up_ = samples < warm_up_ ? samples : warm_up_; }
    /// The CPU of the measured task (0) or of its partner (1); the same one where there is only
    /// one.
    int cpu(unsigned index) const;
    bool two_cpus() const { return request_.cpus.size() > 1; }
    /// A setting of the user, or `normal`.
    uint64_t setting(std::string_view name, uint64_t normal) const;

    struct Kind {
        std::span<const char* const> stages = {};
        const char* unit = nullptr;  ///< null: time, in the instrument's unit
        bool less_overhead =
            false;  ///< each sample holds one begin()/end() pair, whose cost is taken off
        wire::Better better = wire::Better::less;
        wire::Shape shape = wire::Shape::distribution;
        const char* derived = "";
        static constexpr bool since_event = false;
    };
    /// A new series of this case, its memory touched; the same one again in a later repetition.
    measure::Series& series(const char* metric, const Kind& kind);
    measure::Series& series(const char* metric) { return series(metric, Kind{}); }

    /// Calls `once`, which takes one sample into each series and returns the ticks that it took:
    /// first for the warm-up (its samples are kept apart), then as often as the loop wants.
    template <class Once>
    void repeat(Once&& once) {
        begin_cold();
        once();
        keep_first();
        for (uint64_t i = 1; i < warm_up_; ++i) once();
        begin_warm();
        // Samples of a coarse clock begin at any moment of its step: measure/mean.h.
        if (instrument.coarse() && !instrument.counts_instructions)
            for (uint64_t i = 0; loop_->more(); ++i) {
                measure::dither(i);
                loop_->took(seconds(once()));
            }
        else
            while (loop_->more()) loop_->took(seconds(once()));
        end_warm();
    }

    void count(const std::string& name, uint64_t value);
    /// A remark that a reader of this case's series must know.
    void flag(const std::string& text);

    /// Turns to the next repetition of the same case, whose samples join those before.
    void next(Loop& loop) { loop_ = &loop; }

    std::span<const Recording> recordings() const { return recordings_; }
    std::span<const CounterValue> counters() const { return counters_; }
    std::span<const std::string> flags() const { return flags_; }
    /// Medians of the first series, one a repetition.
    std::span<const uint64_t> medians() const { return medians_; }
    /// A repetition is over: notes its median.
    void close_repetition();

  private:
    void begin_cold();
    void keep_first();
    void begin_warm();
    void end_warm();
    double seconds(uint64_t ticks) const {
        return static_cast<double>(ticks) / static_cast<double>(instrument.tsc_hz);
    }

    const LinuxRequest& request_;
    uint64_t samples_;
    uint64_t warm_up_;
    Loop* loop_;
    Window* window_;
    std::vector<Recording> recordings_;
    std::vector<CounterValue> counters_;
    std::vector<std::string> flags_;
    std::vector<uint64_t> medians_;
    std::unique_ptr<measure::Histogram> before_;  // the first series before this repetition
    bool repeated_ = false;
};

/// Puts the calling thread on one CPU; throws Skip.
void pin(int cpu);

/// Puts the calling thread under SCHED_FIFO (or back under SCHED_OTHER at the end). Throws Skip
/// with what it needs.
class RealTime {
  public:
    RealTime();
    ~RealTime();
    RealTime(const RealTime&) = delete;
};

}  // namespace doorbell::host
