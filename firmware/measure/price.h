// The price of a primitive: what one event of it costs, by the difference of two bodies that differ
// in nothing but the number of events. Each body is a loop; a turn of `more` holds `units` events
// more than a turn of `base` (for most primitives twice as many). So neither the timestamps, nor
// the loop, nor what the body does before and after it, nor a coarse clock is in the price:
//
//     price = (T(more) - T(base)) / (units * turns)       nanoBench: run(n) and run(2n)
//
// T(more) is a sample's own, the least of a few runs. T(base), the same work in every sample, is
// the 25th percentile of all samples: a base that something disturbed would make a price too low.
//
// The unit is a thousandth of the clock's: a load that hits costs a few ticks, and a simple
// instruction less than one. Beside each sample stands one of the yardstick, a chain of IMULs,
// which tells how many core cycles a tick had at that moment. Before and after all samples of a
// price the yardstick is measured again: a drift by more than 2 % has the price measured again, and
// is a flag where it stays.
//
// No hardware is touched here but the timestamp: the image, the Linux program and the unit tests
// share this file.
#pragma once
#include <cstdint>
#include <span>

#include "firmware/measure/timestamp.h"
#include "firmware/measure/yardstick.h"

namespace doorbell::measure {

/// One body: `turns` turns of its loop, at what `place` says (the primitive knows its type).
using PriceBody = void(void* place, uint64_t turns);

/// How one price is taken.
struct PricePlan {
    PriceBody* base = nullptr;
    PriceBody* more = nullptr;
    void* base_place = nullptr;
    void* more_place = nullptr;
    uint64_t units = 1;  ///< events a turn that `more` has beyond `base`
    uint64_t turns = 1;
    /// Called before each run of `more`, outside of every timestamp; null: nothing. What it makes
    /// anew (random bits) must not be seen twice, so `more` runs once a sample and not `tries`
    /// times.
    void (*freshen)(void* more_place) = nullptr;
};

/// One sample.
struct PriceSample {
    uint64_t base = 0, more = 0;  ///< ticks
    uint64_t price = 0;           ///< of one event, in thousandths of a tick
    uint64_t yardstick = 0;       ///< of one IMUL of a chain, which is 3 core cycles; likewise
};

/// Runs of each body a sample: the least of them counts.
inline constexpr unsigned price_tries = 3;

[[gnu::noinline]] inline uint64_t ticks_of(PriceBody* body, void* place, uint64_t turns) {
    uint64_t t = begin();
    body(place, turns);
    return end() - t;
}

/// Thousandths of a tick an event; 0 where `more` was quicker.
constexpr uint64_t milli_an_event(uint64_t base, uint64_t more, uint64_t events) {
    if (more <= base || events == 0) return 0;
    return static_cast<uint64_t>((static_cast<unsigned __int128>(more - base) * 1000 + events / 2) /
                                 events);
}

/// Runs both bodies: fills in `base` and `more`.
inline PriceSample take_sample(const PricePlan& plan) {
    PriceSample s{.base = ~0ull, .more = ~0ull};
    for (unsigned i = 0; i < price_tries; ++i) {
        uint64_t t = ticks_of(plan.base, plan.base_place, plan.turns);
        s.base = t < s.base ? t : s.base;
    }
    for (unsigned i = 0; i < (plan.freshen != nullptr ? 1 : price_tries); ++i) {
        if (plan.freshen != nullptr) plan.freshen(plan.more_place);
        uint64_t t = ticks_of(plan.more, plan.more_place, plan.turns);
        s.more = t < s.more ? t : s.more;
    }
    return s;
}

/// The 25th percentile of the samples' bases: the least value that a quarter of them does not
/// exceed. 0 where there are none.
constexpr uint64_t quarter_of_bases(std::span<const PriceSample> samples) {
    uint64_t low = 0, high = ~0ull;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2, within = 0;
        for (const PriceSample& s : samples) within += s.base <= middle;
        if (within * 4 >= samples.size())
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/// Two readings of the yardstick (core cycles in a million ticks) differ by more than 2 %. A
/// yardstick that could not be read (0) has drifted.
constexpr bool drifted(uint64_t before, uint64_t after) {
    uint64_t apart = before > after ? before - after : after - before;
    return before == 0 || after == 0 || apart * 50 > before;
}

/// How often a price is measured while the yardstick drifts.
inline constexpr unsigned price_attempts = 3;

/// Fills `samples`, again where the yardstick drifted meanwhile. Whether it drifted in the last
/// attempt, too.
inline bool take_prices(const PricePlan& plan, const PricePlan& yardstick,
                        std::span<PriceSample> samples) {
    bool drift = false;
    for (unsigned attempt = 0; attempt < price_attempts; ++attempt) {
        uint64_t before = core_cycles_a_million_ticks();
        for (PriceSample& s : samples) {
            s = take_sample(plan);
            PriceSample imuls = take_sample(yardstick);
            s.yardstick = milli_an_event(imuls.base, imuls.more, yardstick.units * yardstick.turns);
        }
        drift = drifted(before, core_cycles_a_million_ticks());
        if (!drift) break;
    }
    uint64_t base = quarter_of_bases(samples);
    for (PriceSample& s : samples) s.price = milli_an_event(base, s.more, plan.units * plan.turns);
    return drift;
}

inline constexpr const char* price_drifted =
    "the yardstick drifted by more than 2 % while this price was measured, three times in a row";
inline constexpr const char* price_unsteady =
    "refused: the price is not steady: its p25 is more than 1.3 times its least value";

inline constexpr const char* price_of_nothing =
    "refused: the body with the event took no longer than the one without it";

/// Whether a price is steady enough to be one, given the least and the 25th percentile of its
/// samples.
constexpr bool steady(uint64_t least, uint64_t p25) {
    return static_cast<unsigned __int128>(p25) * 10 <= static_cast<unsigned __int128>(least) * 13;
}

}  // namespace doorbell::measure
