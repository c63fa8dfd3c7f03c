// What judges of claims share, and the claims that compare two medians, or two counts of cache
// misses. No hardware is touched.
#pragma once
#include <initializer_list>
#include <span>
#include <string_view>
#include <utility>

#include "firmware/wire/text.h"
#include "labs/kit/lab.h"
#include "labs/kit/results.h"

namespace doorbell::labs {

/// An empty text for what a verdict is based on. One at a time: the next one takes its memory.
inline wire::Text because() {
    static char buffer[400];
    return wire::Text(buffer);
}

/// A verdict that is open, and why.
inline ClaimVerdict cannot_say(std::string_view why) {
    return {ClaimVerdict::Holds::cannot_say, why};
}
inline ClaimVerdict yes_or_no(bool holds, const wire::Text& text) {
    return {holds ? ClaimVerdict::Holds::yes : ClaimVerdict::Holds::no, text.view()};
}

/// A verdict that is open although there are figures: `why` is added to them.
inline ClaimVerdict undecided(wire::Text& text, const char* why) {
    text << "; " << why;
    return cannot_say(text.view());
}

/// Whether the clock that measured the series counts instructions.
inline bool exact(const Summary& s) { return std::string_view(s.evidence) == "exact"; }

/// The verdict where not all of `wanted`, one to three series, are among the results.
ClaimVerdict not_run(std::span<const Which> wanted);

/// What `judge` says of the series of `lab` that `wanted` names, which it is called with in that
/// order; open where one of them was not run.
template <size_t n, class Judge>
    requires(n <= 3)
ClaimVerdict judge_series(const Results& results, const char* lab, const Which (&wanted)[n],
                          Judge judge) {
    const Summary* found[n];
    bool all = true;
    for (size_t i = 0; i < n; ++i) {
        found[i] = results.find(lab, wanted[i].test_case, wanted[i].metric);
        all &= found[i] != nullptr;
    }
    if (!all) return not_run(wanted);
    return [&]<size_t... i>(std::index_sequence<i...>) {
        return judge(*found[i]...);
    }(std::make_index_sequence<n>{});
}

/// The verdict on the length of a path, from the series' least to its greatest value; open where
/// the clock does not count instructions.
ClaimVerdict judge_path_length(const Results& results, const char* lab, const Which& wanted,
                               bool (*holds)(const Summary& s));

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

/// Holds where the median of `first` is below 1/`times` of that of `second`. `not_in_exact` says
/// what the instruction clock cannot judge, because it counts a ring crossing, an interrupt or a
/// load of CR3 as one instruction; null where a path length is the answer.
constexpr Comparison below(Which first, Which second, uint64_t times = 1,
                           const char* not_in_exact = nullptr) {
    return {.first = first, .second = second, .times = times, .not_in_exact = not_in_exact};
}

/// The same for a claim that speaks of caches: where the clock counts instructions, cache misses of
/// a sample (all levels together) are compared, if something counted them. They are those of series
/// `after` less those of `before` in each case, or, without these, of the metric itself.
constexpr Comparison below_by_misses(Which first, Which second, uint64_t times = 1,
                                     const char* after = nullptr, const char* before = nullptr) {
    return {.first = first,
            .second = second,
            .times = times,
            .not_in_exact = "this clock knows no caches; run --model on counts misses",
            .by_misses = true,
            .after = after,
            .before = before};
}

/// The verdict on a comparison of two series of `lab`.
ClaimVerdict compare(const Results& results, const char* lab, const Comparison& comparison);

}  // namespace doorbell::labs
