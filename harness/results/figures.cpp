#include "harness/results/figures.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

#include "firmware/measure/histogram.h"
#include "harness/results/stored_run.h"
#include "harness/text/number.h"

namespace doorbell::harness {
namespace {

struct Step {
    double value;
    int decimals;
};

Step whole_step(double step) {
    if (!(step > 0)) step = 1;
    double power = std::floor(std::log10(step) + 1e-9), unit = std::pow(10, power);
    for (double factor : {1.0, 2.0, 5.0})
        if (factor * unit >= step * (1 - 1e-9))
            return {factor * unit, static_cast<int>(std::max(0.0, -power))};
    return {10 * unit, static_cast<int>(std::max(0.0, -power - 1))};
}

std::string with_groups(std::string digits) {
    size_t first = digits.starts_with('-') ? 1 : 0,
           point = std::min(digits.find('.'), digits.size());
    for (size_t at = point; at > first + 3; at -= 3) digits.insert(at - 3, ",");
    return digits;
}

}  // namespace

double resolution_of(const Run& run, const Series& series) {
    double resolution = number_in(run.instrument, "resolution");
    return word_of(run.instrument, "unit") == series.unit && resolution > 1 ? resolution : 1;
}

double bin_width(double value) {
    using Shape = measure::Histogram;
    size_t bin = Shape::bin_of(whole_part(value));
    return static_cast<double>(Shape::highest_of(bin) - Shape::lowest_of(bin) + 1);
}

double rounded(double value, double step) {
    double whole = whole_step(step).value;
    return std::round(value / whole) * whole;
}

std::string figure(double value, double step) {
    Step whole = whole_step(step);
    double shown = std::round(value / whole.value) * whole.value;
    return with_groups(fmt::format("{:.{}f}", shown == 0 ? 0.0 : shown, whole.decimals));
}

std::string signed_figure(double value, double step) {
    std::string text = figure(value, step);
    return text.starts_with('-') || value <= 0 ? text : "+" + text;
}

std::string percentile_figure(const Series& series, uint64_t per_100000, double resolution) {
    auto value = series.percentile(per_100000);
    if (!value) return "-";
    bool exact = *value == series.min || *value == series.max;
    return figure(static_cast<double>(*value),
                  std::max(resolution, exact ? 1 : bin_width(static_cast<double>(*value))));
}

std::string percent(double share) {
    double hundredths = share * 100;
    return fmt::format("{:.{}f} %", hundredths, std::abs(hundredths) < 9.95 ? 1 : 0);
}

std::string signed_percent(double share) { return (share > 0 ? "+" : "") + percent(share); }

bool is_time(const std::string& unit) {
    static constexpr std::array<std::string_view, 6> times{"insn", "tick", "ns", "us", "ms", "s"};
    return std::find(times.begin(), times.end(), unit) != times.end();
}

const char* meaning_of_evidence(const std::string& evidence) {
    if (evidence == "exact") return "counted instructions, the same in every run; not cycles";
    if (evidence == "measured") return "the processor's own time stamp counter";
    if (evidence == "modelled") return "cache-model events, not hardware events";
    if (evidence == "rough")
        return "host time under emulation: it shows that something works, not what it costs";
    if (evidence == "published") return "a price from a cited source";
    if (evidence == "predicted") return "exact counts times prices, with an interval";
    return "";
}

}  // namespace doorbell::harness
