// A log-linear histogram with HDR semantics: every value is kept to 3 significant decimal digits
// (error below 1 in 1024), over the whole 64-bit range, in fixed memory. Recording is
// constant-time: no division, no branch.
#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>

namespace doorbell::measure {

/// Counts of values. The caller supplies the memory, which is large; making a histogram touches all
/// of it, so that no page of it is new when a value is recorded. Values below 2048 have a bin of
/// their own; above, a bin spans value/1024 or less.
class Histogram {
  public:
    static constexpr unsigned sub_bits = 11;  ///< 2048 linear bins first
    static constexpr uint64_t sub_count = 1u << sub_bits;
    static constexpr uint64_t half_count = sub_count / 2;
    static constexpr unsigned top_bits = 64;  ///< every 64-bit value has a bin
    static constexpr uint64_t top_value = ~0ull;
    static constexpr size_t bins = (top_bits - sub_bits + 2) * half_count;

    /// The bin of `value`.
    static constexpr size_t bin_of(uint64_t value) {
        // The index of the highest bit, written so that the compiler makes one BSR of it.
        unsigned shift = (63u ^ static_cast<unsigned>(std::countl_zero(value | (sub_count - 1)))) -
                         (sub_bits - 1);
        return (static_cast<size_t>(shift) << (sub_bits - 1)) + (value >> shift);
    }
    /// The lowest value that bin_of() puts into `bin`.
    static constexpr uint64_t lowest_of(size_t bin) {
        if (bin < sub_count) return bin;
        unsigned shift = static_cast<unsigned>(bin >> (sub_bits - 1)) - 1;
        return (bin - (static_cast<size_t>(shift) << (sub_bits - 1))) << shift;
    }
    /// The highest value that bin_of() puts into `bin`.
    static constexpr uint64_t highest_of(size_t bin) {
        return bin + 1 < bins ? lowest_of(bin + 1) - 1 : top_value;
    }

    Histogram() {
        // Many at a turn: the cache model looks at each turn.
        constexpr size_t at_once = 8;
        static_assert(bins % at_once == 0);
        for (size_t bin = 0; bin < bins; bin += at_once)
            for (size_t i = 0; i < at_once; ++i)
                *const_cast<volatile uint64_t*>(&counts_[bin + i]) = 0;
    }

    /// Empties the histogram.
    void clear();

    /// The rank of a percentile among `total` values: 1-based, rounded up, without overflow. The
    /// image and the command both find percentiles by it.
    static constexpr uint64_t rank_of(uint64_t total, uint64_t per_100000) {
        uint64_t rank =
            total / 100000 * per_100000 + (total % 100000 * per_100000 + 99999) / 100000;
        return rank == 0 ? 1 : rank;
    }
    /// The value that stands for a bin of a histogram whose values lie from `min` to `max`.
    static constexpr uint64_t value_of(size_t bin, uint64_t min, uint64_t max) {
        uint64_t value = highest_of(bin);
        return value > max ? max : value < min ? min : value;
    }

    /// Counts one value in fewer than 20 instructions (the instrument states how many, as
    /// record_cost).
    void record(uint64_t value) {
        ++counts_[bin_of(value)];
        sum_ += value;
        min_ = value < min_ ? value : min_;
        max_ = value > max_ ? value : max_;
    }

    uint64_t count() const;                ///< values recorded
    uint64_t min() const { return min_; }  ///< exact; ~0 when empty
    uint64_t max() const { return max_; }  ///< exact; 0 when empty
    uint64_t sum() const { return sum_; }  ///< exact modulo 2^64
    uint64_t at(size_t bin) const { return counts_[bin]; }
    /// All values are in the bins from here on, and before end_bin().
    size_t first_bin() const { return min_ <= max_ ? bin_of(min_) : 0; }
    size_t end_bin() const { return min_ <= max_ ? bin_of(max_) + 1 : 0; }

    /// The value at or below which `per_100000` of 100,000 recorded values lie (50,000: the
    /// median): the highest value of that bin, never more than max() nor less than min(). 0 when
    /// empty.
    uint64_t percentile(uint64_t per_100000) const;

  private:
    uint64_t sum_ = 0;
    uint64_t min_ = ~0ull;
    uint64_t max_ = 0;
    uint64_t counts_[bins];
};

}  // namespace doorbell::measure
