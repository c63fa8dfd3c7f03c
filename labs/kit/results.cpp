#include "labs/kit/results.h"

#include "firmware/wire/text.h"
#include "labs/kit/compare.h"

namespace doorbell::labs {

const Summary* Results::find(std::string_view lab, std::string_view test_case,
                             std::string_view metric) const {
    const Summary* found = nullptr;
    for (const Summary& s : all_.first(count_))
        if (s.lab == lab && s.test_case == test_case && s.metric == metric) {
            found = &s;
            break;
        }
#if __STDC_HOSTED__
    if (observer_ != nullptr) observer_(context_, lab, test_case, metric, found);
#endif
    return found;
}

void Results::add_figures(std::string_view lab, std::string_view test_case, std::string_view metric,
                          std::span<const Figure> figures) {
    for (Summary& s : all_.first(count_)) {
        if (s.lab != lab || s.test_case != test_case || s.metric != metric) continue;
        std::span<Figure> all = room_for(s.figures.size() + figures.size());
        size_t next = 0;
        for (std::span<const Figure> some : {s.figures, figures})
            for (const Figure& f : some)
                if (next < all.size()) all[next++] = f;
        s.figures = all;
    }
}

namespace {

/// Cache misses of a sample, all levels together, and who counted them; nothing where nobody did.
struct Misses {
    uint64_t value = 0;
    const char* evidence = nullptr;
};
Misses misses_of(const Results& results, const char* lab, const char* test_case,
                 const char* metric) {
    Misses misses;
    const Summary* s = results.find(lab, test_case, metric);
    if (s == nullptr) return misses;
    for (const Figure& f : s->figures)
        // l1i_misses, l1d_misses, l2_misses, llc_misses
        if (f.name[0] == 'l' && std::string_view(f.name).ends_with("_misses") && *f.stage == 0 &&
            f.samples != 0) {
            misses.value += (f.value + f.samples / 2) / f.samples;
            misses.evidence = f.evidence;
        }
    return misses;
}

struct Side {
    const Which& test_case;
    uint64_t value;
};
struct Meaning {
    const char *before, *unit, *evidence;
};

void put(wire::Text& text, const Side& a, const Side& b, const Meaning& meaning) {
    for (const Side* side : {&a, &b})
        text << side->test_case.test_case << " " << side->test_case.metric << meaning.before
             << side->value << " " << meaning.unit << (side == &a ? "; " : " (");
    text << meaning.evidence << ")";
}

bool exact(const Summary& s) { return std::string_view(s.evidence) == "exact"; }

}  // namespace

ClaimVerdict decide(bool holds, uint64_t difference, uint64_t uncertainty, wire::Text& text) {
    if (difference < uncertainty) {
        text << "; the difference that decides, " << difference << ", is less than the "
             << uncertainty << " that the clock's steps leave open";
        return {ClaimVerdict::Holds::cannot_say, text.view()};
    }
    return {holds ? ClaimVerdict::Holds::yes : ClaimVerdict::Holds::no, text.view()};
}

ClaimVerdict below(const Results& results, const char* lab, Which first, Which second,
                   uint64_t times, const char* not_in_exact, std::span<char> buffer) {
    const Summary* a = results.find(lab, first.test_case, first.metric);
    const Summary* b = results.find(lab, second.test_case, second.metric);
    if (a == nullptr || b == nullptr)
        return {ClaimVerdict::Holds::cannot_say, "one of the two cases was not run"};
    wire::Text text(buffer);
    put(text, {first, a->p50}, {second, b->p50}, {": p50 ", a->unit, a->evidence});
    if (exact(*a) && not_in_exact != nullptr) {
        text << "; " << not_in_exact;
        return {ClaimVerdict::Holds::cannot_say, text.view()};
    }
    uint64_t multiple = a->p50 * times;
    return decide(multiple < b->p50, difference(multiple, b->p50), uncertainty({a, b}, times),
                  text);
}

ClaimVerdict below_by_misses(const Results& results, const char* lab, Which first, Which second,
                             uint64_t times, std::span<char> buffer, const char* after,
                             const char* before) {
    ClaimVerdict verdict =
        below(results, lab, first, second, times,
              "this clock knows no caches; run --model on counts misses", buffer);
    for (const Which& w : {first, second}) {
        const Summary* timed = results.find(lab, w.test_case, w.metric);
        if (timed == nullptr || !exact(*timed)) return verdict;
    }
    Misses misses[2];
    for (unsigned i = 0; i < 2; ++i) {
        const Which& w = i == 0 ? first : second;
        misses[i] = misses_of(results, lab, w.test_case, after == nullptr ? w.metric : after);
        Misses less = before == nullptr ? misses[i] : misses_of(results, lab, w.test_case, before);
        if (misses[i].evidence == nullptr || less.evidence == nullptr) return verdict;
        if (before == nullptr) continue;
        misses[i].value = misses[i].value > less.value ? misses[i].value - less.value : 0;
    }
    wire::Text text(buffer);
    put(text, {first, misses[0].value}, {second, misses[1].value},
        {": ", "cache misses", misses[0].evidence});
    return decide(misses[0].value * times < misses[1].value, 0, 0, text);
}

}  // namespace doorbell::labs
