#include "harness/results/report/report_tables.h"

#include <fmt/format.h>

#include <algorithm>

#include "harness/machine/machine.h"
#include "harness/results/figures.h"
#include "harness/results/predict/predict_text.h"
#include "harness/results/report/charts.h"
#include "harness/results/report/report.h"
#include "harness/results/table/table_counters.h"
#include "harness/system/escape.h"
#include "harness/text/number.h"

namespace doorbell::harness {
namespace {

/// A table: text and number columns, a head, and added rows.
class Table {
  public:
    explicit Table(std::string caption) : caption_(std::move(caption)) {}
    Table& column(std::string name, bool number = false) {
        columns_.emplace_back(std::move(name), number);
        return *this;
    }
    void row(const std::vector<std::string>& cells) {
        rows_ += "<tr>";
        for (size_t i = 0; i < cells.size(); ++i)
            rows_ += fmt::format("<td{}>{}</td>", columns_[i].second ? " class=\"number\"" : "",
                                 escaped(cells[i]));
        rows_ += "</tr>";
        ++count_;
    }
    bool empty() const { return count_ == 0; }
    std::string html() const {
        std::string html = fmt::format(
            "<div class=\"scroll\" tabindex=\"0\" role=\"region\" "
            "aria-label=\"{}\"><table><thead><tr>",
            escaped(caption_));
        for (const auto& [name, number] : columns_)
            html += fmt::format("<th scope=\"col\"{}>{}</th>", number ? " class=\"number\"" : "",
                                escaped(name));
        return html + "</tr></thead><tbody>" + rows_ + "</tbody></table></div>";
    }

  private:
    std::string caption_, rows_;
    std::vector<std::pair<std::string, bool>> columns_;
    size_t count_ = 0;
};

std::string joined(const std::vector<std::string>& texts, const char* between) {
    std::string all;
    for (const std::string& text : texts) all += (all.empty() ? "" : between) + text;
    return all;
}

std::string text_of(const Json& value) {
    if (value.is_null()) return "cannot be had";
    if (value.is_string()) return value.get<std::string>();
    if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
    if (value.is_number_unsigned()) return figure(static_cast<double>(value.get<uint64_t>()));
    return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

void fact_table(std::string& html, const std::vector<StoredRun>& runs, const char* title,
                const Json Run::* part) {
    Table table(title);
    table.column("what");
    for (size_t i = 0; i < runs.size(); ++i)
        table.column(runs.size() > 1 ? letter(runs, i) : runs[i].name);
    std::vector<std::string> names;
    for (const StoredRun& stored : runs)
        for (const auto& [name, value] : (stored.run.*part).items())
            if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    for (const std::string& name : names) {
        std::vector<std::string> cells{name};
        for (const StoredRun& stored : runs) {
            const Json& facts = stored.run.*part;
            auto found = facts.find(name);
            cells.push_back(found == facts.end() ? "" : text_of(*found));
        }
        for (std::string& cell : cells) std::replace(cell.begin(), cell.end(), '_', ' ');
        table.row(cells);
    }
    html += fmt::format("<h3>{}</h3>{}", title,
                        table.empty() ? "<p>It said nothing.</p>" : table.html());
}

bool any_predictions(const std::vector<PredictedRun>& predicted) {
    return std::any_of(predicted.begin(), predicted.end(),
                       [](const PredictedRun& p) { return p.predictions.has_value(); });
}

/// "31.4 ns (25.0 to 40.0)", "" where nothing is predicted.
std::string predicted_cell(const PredictedRun& run, const Series& series) {
    const SeriesPrediction* p = run.predictions ? run.predictions->find(series) : nullptr;
    if (p == nullptr || !p->known()) return "";
    std::string unit = p->best_unit();
    return estimate_text(*p->best(),
                         unit == "clock" ? run.predictions->clock_unit.c_str() : unit.c_str());
}

}  // namespace

std::string series_table(const std::vector<StoredRun>& runs,
                         const std::vector<PredictedRun>& predicted, const std::string& lab) {
    Table table("figures of " + lab);
    bool many = runs.size() > 1;
    bool with_predictions = any_predictions(predicted);
    if (many) table.column("run");
    table.column("case").column("metric");
    for (const char* name :
         {"samples", "min", "median", "p90", "p99", "p99.9", "max", "first, cold"})
        table.column(name, true);
    table.column("unit").column("evidence");
    if (with_predictions) table.column("predicted", true);
    table.column("remarks");
    for (size_t i = 0; i < runs.size(); ++i)
        for (const Series& series : runs[i].run.series) {
            if (series.lab != lab) continue;
            double resolution = resolution_of(runs[i].run, series);
            auto end = [&](uint64_t value) {
                return series.count == 0 ? std::string("-")
                                         : figure(static_cast<double>(value), resolution);
            };
            // A percentile with no sample above it is just the maximum.
            auto percentile = [&](uint64_t p, uint64_t enough) {
                return series.count < enough ? std::string("-")
                                             : percentile_figure(series, p, resolution);
            };
            std::vector<std::string> remarks = series.flags;
            if (series.count != 0 && !series.whole())
                remarks.emplace_back("the histogram did not arrive whole");
            if (series.overhead_removed.value_or(0) != 0)
                remarks.push_back(fmt::format("timestamps of {} {} taken off",
                                              *series.overhead_removed, series.unit));
            double cold = number_in(series.cold, "first");
            bool has_cold = series.cold.is_object() && series.cold.contains("first") &&
                            series.cold["first"].is_number();
            std::vector<std::string> cells{
                series.test_case.text(),
                series.metric,
                figure(static_cast<double>(series.count)),
                end(series.min),
                percentile(50000, 1),
                percentile(90000, 10),
                percentile(99000, 100),
                percentile(99900, 1000),
                end(series.max),
                has_cold ? figure(cold, std::max(resolution, bin_width(cold))) : "-",
                series.unit,
                series.evidence};
            if (with_predictions) cells.push_back(predicted_cell(predicted[i], series));
            cells.push_back(joined(remarks, "; "));
            if (many) cells.insert(cells.begin(), letter(runs, i));
            table.row(cells);
        }
    return table.empty() ? std::string() : "<h3>Figures</h3>" + table.html();
}

std::string rate_table(const std::vector<StoredRun>& runs,
                       const std::vector<PredictedRun>& predicted, const std::string& lab) {
    Table table("predicted rates of " + lab);
    bool many = runs.size() > 1;
    if (many) table.column("run");
    table.column("rate").column("exact clock", true).column("predicted", true).column("means");
    for (size_t i = 0; i < runs.size(); ++i) {
        if (!predicted[i].predictions) continue;
        for (const RatePrediction& r : predicted[i].predictions->rates) {
            if (r.lab != lab) continue;
            std::string parts;
            for (const RatePrediction::Part& part : r.parts)
                parts += fmt::format("; {} {}", part.name, estimate_text(part.ns, "ns"));
            std::vector<std::string> cells{
                r.name, r.counted ? rate_text({*r.counted, *r.counted, *r.counted}, r.unit) : "-",
                rate_text(r), r.sentence + parts};
            if (std::string why = why_rate_unknown(r); !why.empty()) cells.back() += "; " + why;
            if (many) cells.insert(cells.begin(), letter(runs, i));
            table.row(cells);
        }
    }
    return table.empty() ? std::string() : "<h3>Packets, predicted</h3>" + table.html();
}

std::string counter_table(const std::vector<StoredRun>& runs, const std::string& lab) {
    // A column for each counter that is not 0 everywhere; the others are named below.
    std::vector<std::string> columns, zeros;
    size_t stretches = 0;
    for (const StoredRun& run : runs)
        for (const Stretch& s : stretches_of(run.run, lab)) {
            ++stretches;
            for (const Counter& c : s.series->counters) {
                if (c.stage != s.stage) continue;
                std::vector<std::string>& to = c.value.get<double>() != 0 ? columns : zeros;
                if (std::find(to.begin(), to.end(), c.name) == to.end()) to.push_back(c.name);
            }
        }
    if (stretches == 0) return {};
    std::erase_if(zeros, [&](const std::string& name) {
        return std::find(columns.begin(), columns.end(), name) != columns.end();
    });
    Table table("counters of " + lab);
    bool many = runs.size() > 1;
    if (many) table.column("run");
    table.column("case").column("metric").column("stage").column("samples", true);
    for (const std::string& name : columns) table.column(name, true);
    table.column("evidence");
    for (size_t i = 0; i < runs.size(); ++i)
        for (const Stretch& s : stretches_of(runs[i].run, lab)) {
            std::vector<std::string> cells{s.series->test_case.text(), s.series->metric,
                                           s.stage.empty() ? "whole" : s.stage, "-"};
            std::string evidence;
            for (const Counter& c : s.series->counters) {
                if (c.stage != s.stage) continue;
                if (c.samples != 0) cells[3] = figure(static_cast<double>(c.samples));
                evidence = c.evidence;
            }
            for (const std::string& name : columns) {
                const Counter* c = s.counter(name);
                cells.push_back(c == nullptr ? "-" : a_sample(*c));
            }
            cells.push_back(evidence);
            if (many) cells.insert(cells.begin(), letter(runs, i));
            table.row(cells);
        }
    std::string html = "<h3>Counters, a sample</h3>" + table.html();
    if (!zeros.empty())
        html += "<p class=\"quiet\">0 everywhere: " + escaped(joined(zeros, ", ")) + "</p>";
    return html;
}

std::string tally_table(const std::vector<StoredRun>& runs, const std::string& lab) {
    Table table("counts of " + lab);
    bool many = runs.size() > 1;
    if (many) table.column("run");
    table.column("case").column("what").column("kind").column("count", true);
    for (size_t i = 0; i < runs.size(); ++i)
        for (const Tally& tally : runs[i].run.tallies)
            for (const auto& [name, count] : tally.values) {
                if (tally.lab != lab || count == 0) continue;
                std::vector<std::string> cells{tally.test_case.text(), tally.name, name,
                                               figure(static_cast<double>(count))};
                if (many) cells.insert(cells.begin(), letter(runs, i));
                table.row(cells);
            }
    return table.empty() ? std::string() : "<h3>Counts</h3>" + table.html();
}

std::string claim_list(const std::vector<StoredRun>& runs,
                       const std::vector<PredictedRun>& predicted, const std::string& lab) {
    std::string items;
    for (size_t i = 0; i < runs.size(); ++i)
        for (const Claim& claim : runs[i].run.claims) {
            if (claim.lab != lab) continue;
            const char* style = !claim.holds ? "open" : *claim.holds ? "holds" : "refuted";
            const char* said = !claim.holds ? "cannot say" : *claim.holds ? "holds" : "refuted";
            items +=
                fmt::format("<li><span class=\"word {}\">{}</span>{}{}", style, said,
                            runs.size() > 1 ? letter(runs, i) + ": " : "", escaped(claim.text));
            if (!claim.because.empty())
                items += "<br><span class=\"quiet\">because " + escaped(claim.because) + "</span>";
            const auto& predictions = predicted[i].predictions;
            if (const ClaimPrediction* p = predictions ? predictions->find(claim) : nullptr)
                items += "<br><span class=\"quiet\">" +
                         escaped(claim_prediction_text(*p, predictions->profile)) + "</span>";
            items += "</li>";
        }
    return items.empty() ? std::string() : "<h3>Claims</h3><ul class=\"claims\">" + items + "</ul>";
}

namespace {

/// The skipped or failed cases of a lab, by reason, under a heading; "" where there are none.
std::string end_list(const std::vector<StoredRun>& runs, const std::string& lab,
                     std::vector<CaseEnd> Run::* ends, const std::string& heading) {
    std::vector<std::pair<std::string, std::string>> reasons;
    for (size_t i = 0; i < runs.size(); ++i)
        for (const CaseEnd& skip : runs[i].run.*ends) {
            if (skip.lab != lab) continue;
            std::string reason = (runs.size() > 1 ? letter(runs, i) + ": " : "") + skip.reason;
            auto at = std::find_if(reasons.begin(), reasons.end(),
                                   [&](const auto& r) { return r.first == reason; });
            std::string test_case =
                skip.test_case.pairs().empty() ? "the whole lab" : skip.test_case.text();
            if (at == reasons.end())
                reasons.emplace_back(reason, test_case);
            else
                at->second += "; " + test_case;
        }
    if (reasons.empty()) return {};
    std::string html = heading + "<ul class=\"remarks\">";
    for (const auto& [reason, cases] : reasons)
        html += "<li>" + escaped(reason) + ": " + escaped(cases) + "</li>";
    return html + "</ul>";
}

}  // namespace

std::string fail_and_skip_lists(const std::vector<StoredRun>& runs, const std::string& lab) {
    return end_list(runs, lab, &Run::failed,
                    "<h3><span class=\"word refuted\">Failed</span></h3>") +
           end_list(runs, lab, &Run::skipped, "<h3>Skipped</h3>");
}

std::string machine_section(const std::vector<StoredRun>& runs) {
    std::string html = "<section id=\"machine\"><h2>The machine and its instrument</h2>";
    fact_table(html, runs, "What the instrument says of itself", &Run::instrument);
    html += "<details><summary>The machine</summary>";
    fact_table(html, runs, "The machine", &Run::machine);
    html += "</details><p class=\"quiet\">Evidence: ";
    for (const char* evidence : {"exact", "measured", "modelled", "rough", "predicted"})
        html += fmt::format("<b>{}</b>: {}. ", evidence, meaning_of_evidence(evidence));
    return html + "</p></section>";
}

std::string again_section(const std::vector<StoredRun>& runs) {
    std::string html = "<section id=\"again\"><h2>Do it again</h2>";
    for (size_t i = 0; i < runs.size(); ++i) {
        const StoredRun& stored = runs[i];
        if (runs.size() > 1)
            html += fmt::format("<h3>{}: {}</h3>", letter(runs, i), escaped(stored.name));
        std::string folder = stored.folder.empty() ? "." : stored.folder.string();
        html += "<p>The same run, with its image, its QEMU and its seed checked first:</p><pre>" +
                escaped("doorbell reproduce " + shell_line({folder})) + "</pre>";
        if (std::string command = command_of(stored); !command.empty())
            html += "<p>As a command of its own:</p><pre>" + escaped(command) + "</pre>";
        if (!stored.run.digest.empty())
            html += "<p>Digest of its counted series: <code>" + escaped(stored.run.digest) +
                    "</code></p>";
        if (stored.manifest.is_object() && stored.manifest.contains("qemu") &&
            stored.manifest["qemu"].is_object() && stored.manifest["qemu"].contains("command") &&
            stored.manifest["qemu"]["command"].is_array()) {
            std::vector<std::string> words;
            for (const Json& word : stored.manifest["qemu"]["command"])
                if (word.is_string()) words.push_back(word.get<std::string>());
            html += "<details><summary>QEMU's command line</summary><pre>" +
                    escaped(shell_line(words)) + "</pre></details>";
        }
    }
    return html + "</section>";
}

std::string command_of(const StoredRun& stored) {
    const Json& manifest = stored.manifest;
    if (!manifest.is_object() || !manifest.contains("qemu")) return {};
    std::vector<std::string> words{"doorbell", "run"};
    auto members = [](const Json& object, const char* name) {
        auto found = object.find(name);
        return found == object.end() ? Json() : *found;
    };
    for (const Json& lab : members(manifest, "labs")) {
        std::string word = word_of(lab, "lab");
        char before = ':';
        Json keys = lab.is_object() ? members(lab, "cases") : Json();
        for (const auto& [key, value] : keys.items()) {
            word +=
                before + key + "=" + (value.is_string() ? value.get<std::string>() : value.dump());
            before = ',';
        }
        words.push_back(word);
    }
    constexpr std::pair<const char*, const char*> defaults[] = {
        {"clock", ""},   {"machine", "q35"}, {"accel", "tcg"},
        {"nic", "auto"}, {"net", "wire"},    {"model", "off"}};
    for (const auto& [name, normal] : defaults)
        if (std::string value = word_of(manifest, name); !value.empty() && value != normal) {
            words.push_back(std::string("--") + name);
            words.push_back(value);
        }
    if (uint64_t samples = whole_part(number_in(manifest, "samples")); samples != 0) {
        words.emplace_back("--samples");
        words.push_back(std::to_string(samples));
    }
    words.emplace_back("--seed");
    Json seed = members(manifest, "seed");
    words.push_back(seed.is_number() ? seed.dump() : "1");
    if (Json raw = members(manifest, "raw"); raw.is_boolean() && raw.get<bool>())
        words.emplace_back("--raw");
    Json settings = members(manifest, "settings");
    for (const auto& [key, value] : settings.items()) {
        words.emplace_back("--set");
        words.push_back(key + "=" + value.dump());
    }
    return shell_line(words);
}

}  // namespace doorbell::harness
