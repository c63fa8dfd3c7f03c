#include "labs/results.h"

#include "firmware/wire/text.h"
#include "labs/compare.h"

namespace doorbell::labs {

const Summary* Results::find(std::string_view lab, std::string_view which, std::string_view metric) const {
    for (const Summary& s : all_.first(count_))
        if (s.lab == lab && s.which == which && s.metric == metric) return &s;
    return nullptr;
}

namespace {

/// Cache misses of a sample; nothing counted: `none`.
constexpr uint64_t none = ~0ull;
uint64_t misses_of(const Results& results, const char* lab, const char* which, const char* metric) {
    uint64_t misses = none;
    const Summary* s = results.find(lab, which, metric);
    if (s == nullptr) return none;
    for (const Figure& f : s->figures)
        // l1i_misses, l1d_misses, l2_misses, llc_misses
        if (f.name[0] == 'l' && std::string_view(f.name).ends_with("_misses") && *f.stage == 0)
            misses = (misses == none ? 0 : misses) + (f.value + f.samples / 2) / f.samples;
    return misses;
}

uint64_t misses_of(const Results& results, const char* lab, const Which& w) {
    if (w.after == nullptr) return misses_of(results, lab, w.which, w.metric);
    uint64_t after = misses_of(results, lab, w.which, w.after), before = misses_of(results, lab, w.which, w.before);
    return after == none || before == none ? none : after > before ? after - before : 0;
}

}  // namespace

[[gnu::noinline]] Verdict below(const Results& results, const char* lab, Which first, Which second, uint64_t times,
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

Verdict below_by_misses(const Results& results, const char* lab, Which first, Which second, uint64_t times, std::span<char> buffer) {
    Verdict verdict = below(results, lab, first, second, times, "this clock knows no caches; run --model on counts misses", buffer);
    uint64_t few = misses_of(results, lab, first), many = misses_of(results, lab, second);
    if (verdict.holds != Verdict::Holds::cannot_say || few == none || many == none) return verdict;
    wire::Text text(buffer);
    text << first.which << " " << first.metric << ": " << few << " cache misses; " << second.which << " " << second.metric << ": " << many << " (modelled)";
    return {few * times < many ? Verdict::Holds::yes : Verdict::Holds::no, text.view()};
}

}  // namespace doorbell::labs
