#include "labs/kit/results.h"

#include "firmware/wire/text.h"
#include "labs/kit/compare.h"

namespace doorbell::labs {

const Summary* Results::find(std::string_view lab, std::string_view which,
                             std::string_view metric) const {
    for (const Summary& s : all_.first(count_))
        if (s.lab == lab && s.which == which && s.metric == metric) return &s;
    return nullptr;
}

void Results::add_figures(std::string_view lab, std::string_view which, std::string_view metric,
                          std::span<const Figure> figures) {
    for (Summary& s : all_.first(count_)) {
        if (s.lab != lab || s.which != which || s.metric != metric) continue;
        std::span<Figure> all = room_for(s.figures.size() + figures.size());
        size_t next = 0;
        for (std::span<const Figure> some : {s.figures, figures})
            for (const Figure& f : some)
                if (next < all.size()) all[next++] = f;
        s.figures = all;
    }
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

struct Side {
    const Which& which;
    uint64_t value;
};
struct Meaning {
    const char *before, *unit, *evidence;
};

Verdict compared(const Side& a, const Side& b, uint64_t times, const Meaning& meaning,
                 const char* cannot_say, std::span<char> buffer) {
    wire::Text text(buffer);
    for (const Side* side : {&a, &b})
        text << side->which.which << " " << side->which.metric << meaning.before << side->value
             << " " << meaning.unit << (side == &a ? "; " : " (");
    text << meaning.evidence << ")";
    if (cannot_say != nullptr) {
        text << "; " << cannot_say;
        return {Verdict::Holds::cannot_say, text.view()};
    }
    return {a.value * times < b.value ? Verdict::Holds::yes : Verdict::Holds::no, text.view()};
}

}  // namespace

Verdict below(const Results& results, const char* lab, Which first, Which second, uint64_t times,
              const char* not_in_exact, std::span<char> buffer) {
    const Summary* a = results.find(lab, first.which, first.metric);
    const Summary* b = results.find(lab, second.which, second.metric);
    if (a == nullptr || b == nullptr)
        return {Verdict::Holds::cannot_say, "one of the two cases was not run"};
    bool exact = std::string_view(a->evidence) == "exact";
    return compared({first, a->p50}, {second, b->p50}, times, {": p50 ", a->unit, a->evidence},
                    exact ? not_in_exact : nullptr, buffer);
}

Verdict below_by_misses(const Results& results, const char* lab, Which first, Which second,
                        uint64_t times, std::span<char> buffer, const char* after,
                        const char* before) {
    Verdict verdict = below(results, lab, first, second, times,
                            "this clock knows no caches; run --model on counts misses", buffer);
    if (verdict.holds != Verdict::Holds::cannot_say) return verdict;
    uint64_t misses[2];
    for (unsigned i = 0; i < 2; ++i) {
        const Which& w = i == 0 ? first : second;
        misses[i] = misses_of(results, lab, w.which, after == nullptr ? w.metric : after);
        uint64_t less = before == nullptr ? 0 : misses_of(results, lab, w.which, before);
        if (misses[i] == none || less == none) return verdict;
        misses[i] = misses[i] > less ? misses[i] - less : 0;
    }
    return compared({first, misses[0]}, {second, misses[1]}, times,
                    {": ", "cache misses", "modelled"}, nullptr, buffer);
}

}  // namespace doorbell::labs
