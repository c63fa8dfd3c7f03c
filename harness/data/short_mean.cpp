#include "harness/data/short_mean.h"

#include <cmath>

#include "firmware/measure/mean.h"

namespace doorbell::harness {
namespace {

std::optional<double> number(const Json& object, const char* name) {
    auto found = object.is_object() ? object.find(name) : object.end();
    if (!object.is_object() || found == object.end() || !found->is_number()) return std::nullopt;
    return found->get<double>();
}

}  // namespace

double clock_step(const Json& instrument, const Series& series) {
    auto unit = instrument.is_object() ? instrument.find("unit") : instrument.end();
    if (!instrument.is_object() || unit == instrument.end() || *unit != series.unit) return 1;
    return std::max(1.0, number(instrument, "resolution").value_or(1));
}

std::optional<ShortMean> short_mean(const Json& instrument, const Series& series) {
    double step = clock_step(instrument, series);
    auto pair = number(instrument, "timestamp_overhead_mean"),
         pair_error = number(instrument, "timestamp_overhead_error");
    if (step <= 1 || !pair || !pair_error || !series.pair || !series.whole()) return std::nullopt;
    uint64_t median = *series.percentile(50000);
    double removed = static_cast<double>(series.overhead_removed.value_or(0));
    if (static_cast<double>(median) + removed >= measure::short_in_steps * step)
        return std::nullopt;
    measure::MeanSum sum(median, static_cast<uint64_t>(step));
    for (const auto& [value, count] : series.bins.pairs()) sum.add(value, count);
    measure::Mean with_pair = sum.mean();
    return ShortMean{static_cast<double>(with_pair.milli) / 1000 + removed - *pair,
                     std::hypot(static_cast<double>(with_pair.error_milli) / 1000, *pair_error),
                     with_pair.samples, with_pair.apart};
}

}  // namespace doorbell::harness
