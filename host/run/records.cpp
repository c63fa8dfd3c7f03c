#include "host/run/records.h"

#include <algorithm>

#include "firmware/wire/words.h"

namespace doorbell::host {
namespace {

using measure::Histogram;
using measure::Series;
using wire::Json;

/// Records are kept well under their limit: a member more must still fit.
constexpr size_t spare_room = 256;

void emit_bins(wire::Sender& sender, uint64_t id, const char* part, const Histogram& h) {
    size_t bin = 0;
    while (bin < Histogram::bins) {
        while (bin < Histogram::bins && h.at(bin) == 0) ++bin;
        if (bin == Histogram::bins) return;
        Json& json = sender.begin(wire::kind::histogram);
        json.member("of", id).member("part", part);
        json.member("min", h.min())
            .member("max", h.max())
            .member("sum", h.sum())
            .key("bins")
            .array();
        for (; bin < Histogram::bins && json.room() > spare_room; ++bin)
            if (h.at(bin) != 0)
                json.array().value(Histogram::lowest_of(bin)).value(h.at(bin)).end();
        json.end();
        sender.send();
    }
}

void emit_raw(wire::Sender& sender, uint64_t id, std::span<const uint64_t> values) {
    for (size_t i = 0; i < values.size();) {
        Json& json = sender.begin(wire::kind::raw);
        json.member("of", id).member("at", i).key("values").array();
        for (; i < values.size() && json.room() > spare_room; ++i) json.value(values[i]);
        json.end();
        sender.send();
    }
}

/// Repetitions whose medians differ by more than a tenth measured different things.
std::string disagreement(std::span<const uint64_t> medians) {
    if (medians.size() < 2) return {};
    auto [least, most] = std::minmax_element(medians.begin(), medians.end());
    if (*most * 10 <= *least * 11) return {};
    return "repetitions disagree: their medians go from " + std::to_string(*least) + " to " +
           std::to_string(*most);
}

}  // namespace

void emit_case(wire::Sender& sender, uint64_t& id, const Lab& lab, const Case& test_case,
               const LinuxBench& bench) {
    std::string disagree = disagreement(bench.medians());
    for (const Recording& recording : bench.recordings()) {
        Series& s = *recording.series;
        s.finish();
        const Series::Parts& p = s.parts();
        Json& j = sender.begin(wire::kind::series);
        j.member("id", id)
            .member("lab", lab.name)
            .member("case", test_case.text())
            .member("metric", p.metric);
        j.member("unit", p.unit).member("evidence", p.evidence);
        j.member("better", wire::name_of(p.better)).member("shape", wire::name_of(p.shape));
        j.member("count", p.warm->count())
            .member("min", p.warm->min())
            .member("max", p.warm->max());
        j.member("sum", p.warm->sum()).member("overhead_removed", p.overhead_removed);
        if (p.pair) j.member("pair", true);
        j.key("cold").object().member("count", p.cold->count()).member("first", s.first());
        j.member("min", p.cold->min())
            .member("p50", p.cold->percentile(50000))
            .member("max", p.cold->max())
            .end();
        j.key("stages").array();
        for (const char* name : p.stages) j.value(name);
        j.end().key("flags").array();
        for (const char* flag : s.flags()) j.value(flag);
        for (const std::string& flag : bench.flags()) j.value(std::string_view(flag));
        if (!disagree.empty()) j.value(std::string_view(disagree));
        j.end();
        if (!bench.counters().empty()) {
            j.key("counters").array();
            for (const CounterValue& c : bench.counters())
                j.object()
                    .member("name", std::string_view(c.name))
                    .member("value", c.value)
                    .member("evidence", p.evidence)
                    .end();
            j.end();
        }
        sender.send();
        emit_bins(sender, id, "all", *p.warm);
        for (size_t i = 0; i < p.stages.size(); ++i)
            emit_bins(sender, id, p.stages[i], *p.stage_histograms[i]);
        emit_raw(sender, id, s.raw());
        ++id;
    }
}

void emit_counts(wire::Sender& sender, uint64_t id, const CaseCounts& counted) {
    Json& j = sender.begin(wire::kind::counters);
    j.member("of", id)
        .member("stage", "")
        .member("samples", counted.samples)
        .member("evidence", "measured")
        .key("values")
        .array();
    for (const PerfCount& c : counted.counts)
        if (c.value) j.array().value(std::string_view(c.name)).value(*c.value).end();
    j.end();
    sender.send();
}

void emit_end(wire::Sender& sender, const char* kind, const Lab& lab, const Case& test_case,
              const std::string& reason) {
    sender.begin(kind)
        .member("lab", lab.name)
        .member("case", test_case.text())
        .member("reason", std::string_view(reason));
    sender.send();
}

}  // namespace doorbell::host
