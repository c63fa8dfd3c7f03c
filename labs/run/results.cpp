#include "labs/results.h"

#include "labs/compare.h"

namespace doorbell::labs {

const Summary* Results::find(std::string_view lab, std::string_view which, std::string_view metric) const {
    for (const Summary& s : all_.first(count_))
        if (s.lab == lab && s.which == which && s.metric == metric) return &s;
    return nullptr;
}

Misses misses_of(const Summary& s) {
    Misses misses;
    for (std::string_view level : {"l1d_misses", "l2_misses", "llc_misses"}) {
        const Figure* f = s.counter(level);
        if (f == nullptr || f->samples == 0) continue;
        misses.each += (f->value + f->samples / 2) / f->samples;
        misses.evidence = f->evidence;
    }
    return misses;
}

Verdict below_by_misses(const Results& results, const char* lab, Which first, Which second, uint64_t times, std::span<char> buffer) {
    const Summary* a = results.find(lab, first.which, first.metric);
    const Summary* b = results.find(lab, second.which, second.metric);
    bool exact = a != nullptr && b != nullptr && std::string_view(a->evidence) == "exact";
    if (!exact || misses_of(*a).evidence == nullptr || misses_of(*b).evidence == nullptr)
        return below(results, lab, first, second, times, no_caches, buffer);
    uint64_t few = misses_of(*a).each, many = misses_of(*b).each;
    wire::Text text(buffer);
    text << first.which << " " << first.metric << ": " << few << " cache misses; " << second.which << " " << second.metric << ": " << many << " ("
         << misses_of(*b).evidence << ")";
    return {few * times < many ? Verdict::Holds::yes : Verdict::Holds::no, text.view()};
}

}  // namespace doorbell::labs
