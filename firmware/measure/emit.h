// A series as records, in the image and in the Linux labs alike: wire/words.h says how they look.
#pragma once
#include <span>
#include <string_view>

#include "firmware/measure/clock_statement.h"
#include "firmware/measure/series.h"
#include "firmware/wire/record.h"
#include "firmware/wire/words.h"

namespace doorbell::measure {

/// Records are kept well under their limit: a member more must still fit.
inline constexpr size_t spare_room = 256;

inline void emit_bins(wire::Sender& sender, uint64_t id, const char* part, const Histogram& h) {
    // The bin of the greatest value holds something, so that each record does.
    for (size_t bin = h.first_bin(), end = h.end_bin(); bin < end;) {
        wire::Json& json = sender.begin(wire::kind::histogram);
        json.member("of", id).member("part", part);
        json.member("min", h.min()).member("max", h.max()).member("sum", h.sum());
        json.key("bins").array();
        for (; bin < end && json.room() > spare_room; ++bin)
            if (h.at(bin) != 0)
                json.array().value(Histogram::lowest_of(bin)).value(h.at(bin)).end();
        json.end();
        sender.send();
    }
}

inline void emit_raw(wire::Sender& sender, uint64_t id, std::span<const uint64_t> values) {
    for (size_t i = 0; i < values.size();) {
        wire::Json& json = sender.begin(wire::kind::raw);
        json.member("of", id).member("at", i).key("values").array();
        for (; i < values.size() && json.room() > spare_room; ++i) json.value(values[i]);
        json.end();
        sender.send();
    }
}

/// Sends a series with its histograms and raw samples; `id` ties the records together.
/// `more_flags(json)` adds flags to the series' own, `more(json)` members.
template <class MoreFlags, class More>
void emit_series(wire::Sender& sender, uint64_t id, std::string_view lab,
                 std::string_view test_case, const Series& s, MoreFlags&& more_flags, More&& more) {
    const Series::Parts& p = s.parts();
    wire::Json& j = sender.begin(wire::kind::series);
    j.member("id", id).member("lab", lab).member("case", test_case).member("metric", p.metric);
    j.member("unit", p.unit).member("evidence", p.evidence);
    j.member("better", wire::name_of(p.better)).member("shape", wire::name_of(p.shape));
    j.member("count", p.warm->count()).member("min", p.warm->min()).member("max", p.warm->max());
    j.member("sum", p.warm->sum()).member("overhead_removed", p.overhead_removed);
    if (p.pair) j.member("pair", true);
    if (*p.derived != 0) j.member("derived", p.derived);
    j.key("cold").object().member("count", p.cold->count()).member("first", s.first());
    j.member("min", p.cold->min()).member("p50", p.cold->percentile(50000));
    j.member("max", p.cold->max()).end();
    j.key("stages").array();
    for (const char* name : p.stages) j.value(name);
    j.end().key("flags").array();
    for (const char* flag : s.flags()) j.value(flag);
    more_flags(j);
    j.end();
    more(j);
    sender.send();
    emit_bins(sender, id, "all", *p.warm);
    for (size_t i = 0; i < p.stages.size(); ++i)
        emit_bins(sender, id, p.stages[i], *p.stage_histograms[i]);
    emit_raw(sender, id, s.raw());
}

/// The first members of an instrument record: the clock, the verdict on it, and what the pairs of
/// timestamps, the gaps between them and the yardsticks showed.
inline void put_clock(wire::Json& j, const ClockStatement& in, std::string_view verdict,
                      std::string_view because) {
    j.member("clock", in.clock).member("unit", in.unit).member("evidence", in.evidence);
    j.member("verdict", verdict).member("because", because);
    j.member("timestamp_overhead", in.overhead).member("overhead_min", in.overhead_min);
    j.member("overhead_p50", in.overhead_p50).member("overhead_p99", in.overhead_p99);
    if (in.overhead_mean.known())
        j.member("timestamp_overhead_mean_milli", in.overhead_mean.milli)
            .member("timestamp_overhead_error_milli", in.overhead_mean.error_milli);
    j.member("resolution", in.resolution).member("noise_p99", in.noise_p99);
    j.member("instruction_counting", in.counts_instructions).member("call_cost", in.call_cost);
    j.member("thousand_nops", in.thousand_nops);
    j.member("gap_scan", in.gap_scan)
        .member("gap_share_ppm", in.gap_share_ppm)
        .member("gaps", in.gaps);
    j.member("gap_longest", in.gap_longest);
}

}  // namespace doorbell::measure
