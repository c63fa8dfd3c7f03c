#include "host/run/records.h"

#include <algorithm>

#include "firmware/measure/emit.h"
#include "firmware/wire/words.h"

namespace doorbell::host {
namespace {

using measure::Series;
using wire::Json;

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
        measure::emit_series(
            sender, id, lab.name, test_case.text(), s,
            [&](Json& j) {
                for (const std::string& flag : bench.flags()) j.value(std::string_view(flag));
                if (!disagree.empty()) j.value(std::string_view(disagree));
            },
            [&](Json& j) {
                if (bench.counters().empty()) return;
                j.key("counters").array();
                for (const CounterValue& c : bench.counters())
                    j.object()
                        .member("name", std::string_view(c.name))
                        .member("value", c.value)
                        .member("evidence", s.parts().evidence)
                        .end();
                j.end();
            });
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
