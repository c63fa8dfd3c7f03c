// Counters: how often something happened between two timestamps. One interface over what this
// machine has: the cache model of QEMU (wire/mailbox.h), the processor's PMU (cpu/pmu.h), or
// nothing, with the reason.
//
// Neither source adds an instruction to measured code. The model sees the timestamps themselves and
// counts in the same pass. The PMU must be read by somebody, which takes time, so it counts in
// passes of its own: the same case once more, with every timestamp replaced by a call (pmu_pass.h);
// the times of such a pass are thrown away, and counts never falsify a latency.
#pragma once
#include <cstdint>
#include <span>

#include "firmware/measure/series.h"
#include "firmware/wire/mailbox.h"

namespace doorbell::measure {

/// Sums over `samples` samples, in the order of Counters::names().
using CountRow = wire::MailboxRow;

/// A pass that counts with the processor's PMU: pmu_pass.h.
class CountingPass {
  public:
    virtual void forget_log() = 0;  ///< what was logged so far does not count

  protected:
    ~CountingPass() = default;
};

class Counters {
  public:
    enum class Source : uint8_t { none, model, pmu };

    /// Asks for the model. `ram_end`: the first address above memory that lies below 4 GiB.
    void look_for_model(uint64_t ram_end);
    /// The processor's PMU counts, in passes of its own.
    void use_pmu(const char* description) {
        source_ = Source::pmu;
        because_ = description;
    }
    /// The pass that is running, or null. Series keep raw values and paths while there is one.
    void pmu_pass(CountingPass* pass) { pass_ = pass; }
    bool in_pmu_pass() const { return pass_ != nullptr; }
    /// Nothing counts, for this reason.
    void none(const char* because) { because_ = because; }

    Source source() const { return source_; }
    const char* source_name() const {
        return source_ == Source::model ? "model" : source_ == Source::pmu ? "pmu" : "none";
    }
    /// Why nothing counts, or what the model models.
    const char* because() const { return because_; }
    std::span<const char* const> names() const { return names_; }
    /// Bits of the names that this source cannot have.
    uint64_t absent() const { return absent_; }

    /// A new case: no series is watched, and the model's caches are empty, whatever was run before.
    void start_case();
    /// From begin() on, counts of the samples of `series` are added to `rows`: the whole, then each
    /// stage. Where `check` is set a sample counts only if its value is the distance of its
    /// timestamps. False: no room.
    bool watch(const Series& series, std::span<CountRow> rows, bool check);
    /// From begin() on, `regions` (model_region.h) are counted, and reported with `series`, whose
    /// rows those of the regions follow. Region 0 is the handler of `vector`. One series a case.
    /// False: no room.
    bool watch_regions(const Series& series, std::span<CountRow> rows,
                       std::span<const char* const> regions, uint8_t vector);
    /// The samples of a watched series are stored elsewhere while they are measured, by a task that
    /// hands them to record() later: the first at `start`, each `stride` bytes after the one
    /// before, `count` of them, with the timestamps' cost in them. Nothing for a series that is not
    /// watched.
    void stored_at(const Series& series, const void* start, uint64_t stride, uint64_t count);
    /// Samples from here on count / no longer count.
    void begin();
    void end();
    /// What was counted for a watched series after end(): rows without samples where nothing could
    /// be attributed; empty for a series that was not watched.
    std::span<const CountRow> rows_of(const Series& series) const;
    /// The names of the rows that follow those of its stages: regions.
    std::span<const char* const> regions_of(const Series& series) const;

    /// Tells the model that a device wrote memory (a received packet, a descriptor); nothing
    /// elsewhere. One call and two stores: not between timestamps.
    static void device_wrote(uint64_t address, uint64_t bytes);
    /// Empties the model's caches, TLB and predictor, so that what follows does not depend on what
    /// was before.
    static void forget();

  private:
    struct Watched {
        const Series* series;
        std::span<CountRow> rows;
        std::span<const char* const> regions = {};
    };
    Source source_ = Source::none;
    CountingPass* pass_ = nullptr;
    const char* because_ = "not looked for";
    std::span<const char* const> names_;
    uint64_t absent_ = 0;
    Watched watched_[wire::Mailbox::max_series] = {};
    unsigned count_ = 0;
};

}  // namespace doorbell::measure
