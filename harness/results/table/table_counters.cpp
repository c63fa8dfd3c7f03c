// The part of the table that shows counters: for each series or stage, the few that explain the
// lab's result.
#include "harness/results/table/table_counters.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <sstream>

#include "harness/results/table/table.h"
#include "harness/text/number.h"
#include "labs/catalogue.h"

namespace doorbell::harness {
namespace {

/// What is shown for a lab that names none.
constexpr const char* usual[] = {"instructions", "l1d_misses", "llc_misses", "dtlb_misses",
                                 "branch_misses"};
/// What is shown where an operating system counted: its own events matter there.
constexpr const char* usual_of_linux[] = {"instructions", "llc_misses", "branch_misses",
                                          "context_switches", "page_faults"};
/// Shows whether the host disturbed a guest.
constexpr const char* usual_of_vcpu[] = {"vcpu_context_switches", "vcpu_migrations",
                                         "vcpu_page_faults"};

std::vector<std::string> words_of(const char* text) {
    std::istringstream in(text);
    return {std::istream_iterator<std::string>(in), {}};
}

std::vector<std::string> columns_of(const std::string& lab, const std::vector<Stretch>& stretches) {
    std::vector<std::string> wanted;
    bool linux_counted = std::any_of(stretches.begin(), stretches.end(), [](const Stretch& s) {
        return s.counter("context_switches") != nullptr;
    });
    if (linux_counted)
        wanted.assign(std::begin(usual_of_linux), std::end(usual_of_linux));
    else if (const labs::Lab* known = labs::find(lab))
        wanted = words_of(known->counters.text());
    if (wanted.empty()) wanted.assign(std::begin(usual), std::end(usual));
    wanted.insert(wanted.end(), std::begin(usual_of_vcpu), std::end(usual_of_vcpu));
    std::erase_if(wanted, [&](const std::string& name) {
        return std::none_of(stretches.begin(), stretches.end(),
                            [&](const Stretch& s) { return s.counter(name) != nullptr; });
    });
    return wanted;
}

}  // namespace

std::string Stretch::name() const {
    std::string text = series->test_case.text();
    text += (text.empty() ? "" : ", ") + series->metric;
    return stage.empty() ? text : text + ", " + stage;
}

const Counter* Stretch::counter(const std::string& name) const {
    for (const Counter& c : series->counters)
        if (c.name == name && c.stage == stage) return &c;
    return nullptr;
}

std::vector<Stretch> stretches_of(const Run& run, const std::string& lab) {
    std::vector<Stretch> all;
    for (const Series& series : run.series) {
        if (series.lab != lab) continue;
        std::vector<std::string> seen;
        for (const Counter& c : series.counters) {
            if (std::find(seen.begin(), seen.end(), c.stage) != seen.end()) continue;
            seen.push_back(c.stage);
            all.push_back({&series, c.stage});
        }
    }
    return all;
}

std::string a_sample(const Counter& counter) {
    double value = counter.value.get<double>();
    if (counter.samples == 0) return fmt::format("{:.0f} in all", value);
    if (counter.value.is_number_integer() && counter.value.get<uint64_t>() % counter.samples == 0)
        return grouped(counter.value.get<uint64_t>() / counter.samples);
    double mean = value / static_cast<double>(counter.samples);
    return mean < 0.005 ? "<0.01" : fmt::format("{:.2f}", mean);
}

std::string counters_table(const Run& run, const std::string& lab) {
    std::vector<Stretch> stretches = stretches_of(run, lab);
    std::vector<std::string> columns = columns_of(lab, stretches);
    if (columns.empty()) return {};
    // A name's last word goes below the others, so that more columns fit: "l1d" over "misses".
    std::vector<Cells> rows{{""}, {"case"}};
    for (const std::string& column : columns) {
        size_t last = column.rfind('_');
        rows[0].push_back(last == column.npos ? "" : column.substr(0, last));
        rows[1].push_back(column.substr(last == column.npos ? 0 : last + 1));
    }
    for (const Stretch& s : stretches) {
        rows.push_back({s.name()});
        for (const std::string& column : columns) {
            const Counter* counter = s.counter(column);
            rows.back().push_back(counter == nullptr ? std::string("-") : a_sample(*counter));
        }
    }
    std::string text = fmt::format("  counters a sample, {}:\n",
                                   stretches.front().series->counters.front().evidence) +
                       in_columns(rows, 1);
    return text;
}

}  // namespace doorbell::harness
