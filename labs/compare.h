// Claims that compare two medians, or two counts of cache misses. Image only.
#pragma once
#include <string_view>

#include "firmware/wire/text.h"
#include "labs/lab.h"
#include "labs/results.h"

namespace doorbell::labs {

/// One series, by the words that it is looked up with.
struct Which {
    const char* which;
    const char* metric;
};

/// Yes where the median of `first` is below 1/`times` of that of `second`. What the instruction clock cannot
/// judge, because it counts a ring crossing, an interrupt or a load of CR3 as one instruction, is said by
/// `not_in_exact`; null where a path length is the answer. `buffer` holds the sentence until the next verdict.
inline Verdict below(const Results& results, const char* lab, Which first, Which second, uint64_t times,
                     const char* not_in_exact, std::span<char> buffer) {
    const Summary* a = results.find(lab, first.which, first.metric);
    const Summary* b = results.find(lab, second.which, second.metric);
    if (a == nullptr || b == nullptr) return {Verdict::Holds::cannot_say, "one of the two cases was not run"};
    wire::Text text(buffer);
    text << first.which << " " << first.metric << ": p50 " << a->p50 << " " << a->unit << "; " << second.which << " "
         << second.metric << ": p50 " << b->p50 << " " << b->unit << " (" << a->evidence << ")";
    if (not_in_exact != nullptr && std::string_view(a->evidence) == "exact") {
        text << "; " << not_in_exact;
        return {Verdict::Holds::cannot_say, text.view()};
    }
    return {a->p50 * times < b->p50 ? Verdict::Holds::yes : Verdict::Holds::no, text.view()};
}

/// What a sample missed in the caches of data, all levels together; `evidence` null: nothing here counted it.
struct Misses {
    uint64_t each = 0;
    const char* evidence = nullptr;
};
Misses misses_of(const Summary& s);

/// As below(), for a claim that speaks of caches: where the clock counts instructions, misses are compared instead.
Verdict below_by_misses(const Results& results, const char* lab, Which first, Which second, uint64_t times, std::span<char> buffer);

/// What the instruction clock says of caches.
inline constexpr const char* no_caches = "this clock knows no caches; run --model on counts misses";

}  // namespace doorbell::labs
