#include "labs/kit/bench.h"

namespace doorbell::labs {

using measure::Histogram;
using measure::Series;

uint64_t Bench::setting(std::string_view name) const {
    for (const Chosen& c : request_.chosen)
        if (c.name == name) return c.value;
    for (const Setting& s : lab_.settings)
        if (s.name == name) return s.normal;
    return 0;
}

Series& Bench::series(const char* metric, const SeriesKind& kind, uint64_t records) {
    auto histogram = [&]() -> Histogram* {
        Histogram* h = machine.arena.make<Histogram>();
        if (h == nullptr) exhausted_ = true;
        return h;
    };
    Series::Parts parts = measure::parts_of(metric, kind, instrument);
    parts.cold = histogram();
    parts.warm = histogram();
    parts.stages = kind.stages.first(kind.stages.size() < Series::max_stages ? kind.stages.size()
                                                                             : Series::max_stages);
    for (size_t i = 0; i < parts.stages.size(); ++i) parts.stage_histograms[i] = histogram();
    if (!parts.stages.empty()) parts.spare = histogram();
    if (counters.in_pmu_pass() && !parts.stages.empty()) {
        parts.paths = machine.arena.array<uint64_t>((samples() + 1) * (parts.stages.size() + 1));
        if (parts.paths.empty()) exhausted_ = true;
    }
    parts.counted = kind.counted || kind.less_overhead || kind.since_event || !kind.stages.empty();
    parts.checked = !kind.counted;
    if (request_.raw || (counters.in_pmu_pass() && parts.counted)) {
        parts.raw = machine.arena.array<uint64_t>((samples() > records ? samples() : records) + 1);
        if (parts.raw.empty()) exhausted_ = true;
    }
    too_many_ = too_many_ || count_ == most_series;
    exhausted_ = exhausted_ || too_many_;
    Series* made = exhausted_ ? nullptr : machine.arena.make<Series>(parts);
    if (made != nullptr) {
        made->begin_cold();
        series_[count_++] = made;
        if ((parts.counted || !kind.regions.empty()) &&
            counters.source() == measure::Counters::Source::model)
            watch(*made, kind, exact() && parts.checked);
        return *made;
    }
    exhausted_ = true;
    return spare_series(parts.stages.size());
}

Result<void> Bench::outcome(Result<void> of_body) const {
    // What is wrong says more than what ran out meanwhile.
    if (!of_body && !of_body.error().lacking()) return of_body;
    if (wrong_.what != nullptr) return wrong_;
    if (too_many_) return Error{"the lab has more series than a case can have", most_series};
    if (exhausted_)
        return Lacking{"not enough memory for the samples asked for", machine.arena.left()};
    return of_body;
}

uint64_t Bench::enter(unsigned phase) {
    for (Series* s : all()) {
        if (phase == 0) s->begin_cold();
        if (phase == 1) s->keep_first();
        if (phase == 2) s->begin_warm();
    }
    if (phase == 2) counters.begin();
    return phase == 0 ? 1 : phase == 1 ? warm_up() - 1 : samples();
}

void Bench::alive(const Case& test_case, uint64_t frames) const {
    if (request_.alive != nullptr) request_.alive(lab_, test_case, frames);
}

void Bench::watch(const Series& series, const SeriesKind& kind, bool check) {
    auto rows = machine.arena.array<measure::CountRow>(series.parts().stages.size() + 1 +
                                                       kind.regions.size());
    bool watched =
        !rows.empty() &&
        (kind.regions.empty() ? counters.watch(series, rows, check)
                              : counters.watch_regions(series, rows, kind.regions, kind.interrupt));
    if (!watched) exhausted_ = true;
}

/// Somewhere harmless to record, so that measured code needs no check for a series that could not
/// be made.
Series& Bench::spare_series(size_t stages) {
    static constexpr const char* nameless[Series::max_stages] = {"", "", "", "", "", "", "", ""};
    Series::Parts parts;
    parts.cold = parts.warm = parts.spare = &nowhere_;
    parts.stages = {nameless, stages};
    for (Histogram*& h : parts.stage_histograms) h = &nowhere_;
    auto* made = new (spare_) Series(parts);
    made->begin_cold();
    return *made;
}

}  // namespace doorbell::labs
