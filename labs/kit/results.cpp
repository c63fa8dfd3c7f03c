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

ClaimVerdict compare_medians(const Results& results, const char* lab, const Comparison& c) {
    return judge_series(results, lab, {c.first, c.second}, [&](const Summary& a, const Summary& b) {
        wire::Text text = because();
        put(text, {c.first, a.p50}, {c.second, b.p50}, {": p50 ", a.unit, a.evidence});
        if (exact(a) && c.not_in_exact != nullptr) return undecided(text, c.not_in_exact);
        uint64_t multiple = a.p50 * c.times;
        return decide(multiple < b.p50, difference(multiple, b.p50), uncertainty({&a, &b}, c.times),
                      text);
    });
}

}  // namespace

ClaimVerdict not_run(std::span<const Which> wanted) {
    size_t cases = 1;
    for (size_t i = 1; i < wanted.size(); ++i)
        if (std::string_view(wanted[i].test_case) != wanted[i - 1].test_case) ++cases;
    return cannot_say(cases == 1   ? "the case was not run"
                      : cases == 2 ? "one of the two cases was not run"
                                   : "one of the three cases was not run");
}

ClaimVerdict judge_path_length(const Results& results, const char* lab, const Which& wanted,
                               bool (*holds)(const Summary& s)) {
    return judge_series(results, lab, {wanted}, [&](const Summary& s) {
        wire::Text text = because();
        text << "min " << s.min << ", max " << s.max << " " << s.unit << " over " << s.count
             << " samples (" << s.evidence << ")";
        if (!exact(s))
            return undecided(text, "only a clock that counts instructions shows path lengths");
        return yes_or_no(holds(s), text);
    });
}

ClaimVerdict decide(bool holds, uint64_t difference, uint64_t uncertainty, wire::Text& text) {
    if (difference < uncertainty) {
        text << "; the difference that decides, " << difference << ", is less than the "
             << uncertainty << " that the clock's steps leave open";
        return cannot_say(text.view());
    }
    return yes_or_no(holds, text);
}

ClaimVerdict compare(const Results& results, const char* lab, const Comparison& c) {
    ClaimVerdict verdict = compare_medians(results, lab, c);
    if (!c.by_misses) return verdict;
    for (const Which& w : {c.first, c.second}) {
        const Summary* timed = results.find(lab, w.test_case, w.metric);
        if (timed == nullptr || !exact(*timed)) return verdict;
    }
    Misses misses[2];
    for (unsigned i = 0; i < 2; ++i) {
        const Which& w = i == 0 ? c.first : c.second;
        misses[i] = misses_of(results, lab, w.test_case, c.after == nullptr ? w.metric : c.after);
        Misses less =
            c.before == nullptr ? misses[i] : misses_of(results, lab, w.test_case, c.before);
        if (misses[i].evidence == nullptr || less.evidence == nullptr) return verdict;
        if (c.before == nullptr) continue;
        misses[i].value = misses[i].value > less.value ? misses[i].value - less.value : 0;
    }
    wire::Text text = because();
    put(text, {c.first, misses[0].value}, {c.second, misses[1].value},
        {": ", "cache misses", misses[0].evidence});
    return yes_or_no(misses[0].value * c.times < misses[1].value, text);
}

ClaimVerdict Claim::judge(const Results& results, const char* lab) const {
    return judge_ != nullptr ? judge_(results) : compare(results, lab, comparison_);
}

}  // namespace doorbell::labs
