// Claims that compare two medians, or two counts of cache misses. No hardware is touched.
#pragma once
#include <initializer_list>
#include <string_view>

#include "firmware/wire/text.h"
#include "labs/kit/lab.h"
#include "labs/kit/results.h"

namespace doorbell::labs {

/// One series, by the words that it is looked up with.
struct Which {
    const char* test_case;
    const char* metric;
};

/// The verdict on what `text` says: cannot say, and so added to the text, where the `difference`
/// that decides is less than `uncertainty`, what the steps of the clock leave open (0: nothing).
ClaimVerdict decide(bool holds, uint64_t difference, uint64_t uncertainty, wire::Text& text);

/// What the clock leaves open in `times` of the first value against one of another.
inline uint64_t uncertainty(std::initializer_list<const Summary*> all, uint64_t times) {
    uint64_t step = 0;
    for (const Summary* s : all) step = s->resolution > step ? s->resolution : step;
    return step * times;
}

inline uint64_t difference(uint64_t a, uint64_t b) { return a > b ? a - b : b - a; }

/// Yes where the median of `first` is below 1/`times` of that of `second`. What the instruction
/// clock cannot judge, because it counts a ring crossing, an interrupt or a load of CR3 as one
/// instruction, is said by `not_in_exact`; null where a path length is the answer. `buffer` holds
/// the sentence until the next verdict.
ClaimVerdict below(const Results& results, const char* lab, Which first, Which second,
                   uint64_t times, const char* not_in_exact, std::span<char> buffer);

/// The same for a claim that speaks of caches: where the clock counts instructions, cache misses of
/// a sample (all levels together) are compared, if something counted them. They are those of series
/// `after` less those of `before` in each case, or, without these, of the metric itself.
ClaimVerdict below_by_misses(const Results& results, const char* lab, Which first, Which second,
                             uint64_t times, std::span<char> buffer, const char* after = nullptr,
                             const char* before = nullptr);

}  // namespace doorbell::labs
