#include "harness/results/report/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "harness/machine/machine.h"
#include "harness/results/figures.h"
#include "harness/results/predict/predicted_verdict.h"
#include "harness/results/report/charts.h"
#include "harness/results/report/report_tables.h"
#include "harness/run/run_folder.h"
#include "harness/system/escape.h"
#include "harness/system/failure.h"
#include "harness/system/file.h"
#include "harness/system/output.h"
#include "harness/system/version.h"
#include "labs/catalogue.h"

// In page.S: the charting library, the page's script and style.
extern "C" const char doorbell_page_chart[], doorbell_page_chart_end[], doorbell_page_script[],
    doorbell_page_script_end[], doorbell_page_style[], doorbell_page_style_end[];

namespace doorbell::harness {
namespace {

constexpr const char* question =
    "When something happens outside the CPU, what does it cost to find out: by asking (polling) or "
    "by being told (an interrupt)?";

/// The labs of all runs, in the catalogue's order; unknown labs last.
std::vector<std::string> labs_of(const std::vector<StoredRun>& runs) {
    std::vector<std::string> seen, ordered;
    auto see = [&](const std::string& lab) {
        if (std::find(seen.begin(), seen.end(), lab) == seen.end()) seen.push_back(lab);
    };
    for (const StoredRun& stored : runs) {
        for (const Series& series : stored.run.series) see(series.lab);
        for (const Claim& claim : stored.run.claims) see(claim.lab);
        for (const auto* ends : {&stored.run.failed, &stored.run.skipped})
            for (const CaseEnd& end : *ends) see(end.lab);
    }
    for (const labs::Lab* lab : labs::catalogue())
        if (std::find(seen.begin(), seen.end(), lab->name) != seen.end())
            ordered.emplace_back(lab->name);
    for (const std::string& lab : seen)
        if (std::find(ordered.begin(), ordered.end(), lab) == ordered.end()) ordered.push_back(lab);
    return ordered;
}

class Page {
  public:
    explicit Page(const std::vector<StoredRun>& runs) : runs_(runs) {
        for (const StoredRun& stored : runs) predicted_.push_back(predicted_run(stored));
    }

    std::string write(const Detail& detail) {
        std::string body = header();
        std::vector<std::string> labs = labs_of(runs_);
        std::string links = "<li><a href=\"#answer\">Answer</a></li>";
        std::string sections;
        for (const std::string& lab : labs) {
            links += fmt::format("<li><a href=\"#lab-{0}\">{0}</a></li>", escaped(lab));
            sections += section(lab, detail);
        }
        links +=
            "<li><a href=\"#machine\">machine and instrument</a></li><li><a href=\"#again\">do it "
            "again</a></li>";
        body += "<nav aria-label=\"Parts of this page\"><ul>" + links +
                "</ul></nav><main id=\"main\">" + sections;
        if (labs.empty()) body += "<p class=\"warning\">No series arrived.</p>";
        body += machine_section(runs_) + again_section(runs_) + "</main>";
        body += fmt::format(
            "<footer><p>Written by doorbell {}. Charts: Chart.js, MIT license, in this "
            "file.</p></footer>",
            version);
        return whole(body);
    }

  private:
    std::string figure_html(const Chart& chart) {
        size_t number = specs_.size();
        specs_.push_back(chart.spec);
        std::string html = fmt::format(
            "<figure><figcaption>{}</figcaption><div class=\"canvas\"><canvas data-chart=\"{}\" "
            "role=\"img\" aria-label=\"{}\"></canvas></div>",
            escaped(chart.title), number, escaped(chart.title + ": " + chart.summary));
        if (!chart.remarks.empty()) {
            html += "<ul class=\"remarks\">";
            for (const std::string& remark : chart.remarks)
                html += "<li>" + escaped(remark) + "</li>";
            html += "</ul>";
        }
        return html + "</figure>";
    }

    std::string header() {
        std::string html = fmt::format(
            "<a class=\"skip\" href=\"#main\">To the labs</a><header id=\"answer\"><p "
            "class=\"name\">Doorbell</p><h1>{}</h1>",
            escaped(question));
        std::string verdicts, caveats;
        for (size_t i = 0; i < runs_.size(); ++i) {
            std::string said = verdict(runs_[i].run);
            if (said.empty()) continue;
            verdicts += "<p class=\"verdict\">" +
                        escaped((runs_.size() > 1 ? letter(runs_, i) + ": " : "") + said) + "</p>";
            std::string caveat = verdict_caveat(runs_[i].run) + " ";
            if (caveats.find(caveat) == caveats.npos) caveats += caveat;
        }
        // What it costs first, where that is known; then the exact lengths of the paths.
        std::string costs, unknown;
        for (size_t i = 0; i < runs_.size(); ++i) {
            if (!predicted_[i].predictions) continue;
            const Predictions& predictions = *predicted_[i].predictions;
            std::string said = predicted_verdict(runs_[i].run, predictions);
            bool known = predicted_contest(runs_[i].run, predictions).why_not.empty();
            if (!said.empty())
                (known ? costs : unknown) +=
                    "<p class=\"verdict\">" +
                    escaped((runs_.size() > 1 ? letter(runs_, i) + ": " : "") + said) + "</p>";
        }
        html += costs;
        html += verdicts.empty()
                    ? "<p class=\"verdict\">Nothing here holds poll and interrupt of one event, so "
                      "nothing can be said. <code>doorbell run timer</code> measures both.</p>"
                    : verdicts + "<p class=\"quiet\">" + escaped(caveats) + "</p>";
        html += unknown;
        html += "<p class=\"quiet\">" + run_lines() + "</p>";
        for (size_t i = 0; i < runs_.size(); ++i)
            for (const std::string& note : runs_[i].notes)
                html += "<p class=\"warning\">" +
                        escaped((runs_.size() > 1 ? letter(runs_, i) + ": " : "") + note) + "</p>";
        for (const PredictedRun& run : predicted_)
            if (auto picture = predicted_picture(run)) html += figure_html(*picture);
        for (const Chart& picture : first_pictures(runs_)) html += figure_html(picture);
        for (const PredictedRun& run : predicted_)
            if (auto picture = against_picture(run)) html += figure_html(*picture);
        return html +
               "<noscript><p class=\"warning\">The charts need JavaScript; the tables hold the "
               "same figures.</p></noscript></header>";
    }

    std::string run_lines() const {
        std::string html;
        for (size_t i = 0; i < runs_.size(); ++i) {
            const Run& run = runs_[i].run;
            std::string words;
            for (const char* name : {"clock", "type", "accel", "cpu"})
                if (std::string word = word_of(run.machine, name); !word.empty())
                    words += (words.empty() ? "" : ", ") +
                             (std::string(name) == "clock" ? word + " clock" : word);
            html += fmt::format("{}{}<b>{}</b>: {}", i == 0 ? "" : "<br>",
                                runs_.size() > 1 ? letter(runs_, i) + " is " : std::string("Run "),
                                escaped(runs_[i].name), escaped(words));
        }
        return html;
    }

    std::string section(const std::string& lab, const Detail& detail) {
        const labs::Lab* known = labs::find(lab);
        std::string html = fmt::format("<section id=\"lab-{0}\"><h2>{0}</h2>", escaped(lab));
        if (known != nullptr) html += fmt::format("<p>{}</p>", escaped(known->question.text()));
        html += "<div class=\"charts\">";
        for (const Chart& chart : charts_of(runs_, lab, detail)) html += figure_html(chart);
        html += "</div>" + series_table(runs_, predicted_, lab) +
                rate_table(runs_, predicted_, lab) + counter_table(runs_, lab) +
                tally_table(runs_, lab) + claim_list(runs_, predicted_, lab) +
                fail_and_skip_lists(runs_, lab);
        return html + "</section>";
    }

    std::string whole(const std::string& body) const {
        std::string charts = Json(specs_).dump(-1, ' ', false, Json::error_handler_t::replace);
        // In a script element, only "<" could end the element.
        for (size_t at = 0; (at = charts.find('<', at)) != charts.npos;)
            charts.replace(at, 1, "\\u003c");
        std::string html =
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta "
            "name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; script-src "
            "'unsafe-inline'; style-src 'unsafe-inline'; img-src data:\">"
            "<link rel=\"icon\" href=\"data:,\">";
        html += "<title>Doorbell: " + escaped(runs_.front().name) +
                (runs_.size() > 1 ? fmt::format(" and {} more", runs_.size() - 1) : "") +
                "</title>";
        html += "<style>" + std::string(doorbell_page_style, doorbell_page_style_end) +
                "</style></head><body>\n";
        html += body;
        html +=
            "\n<script type=\"application/json\" id=\"charts\">" + charts + "</script>\n<script>";
        html.append(doorbell_page_chart, doorbell_page_chart_end);
        html += "</script>\n<script>";
        html.append(doorbell_page_script, doorbell_page_script_end);
        return html + "</script></body></html>\n";
    }

    const std::vector<StoredRun>& runs_;
    std::vector<PredictedRun> predicted_;  // a place for each run
    std::vector<Json> specs_;
};

}  // namespace

std::string report_page(const std::vector<StoredRun>& runs) {
    // Coarser charts where many series would make the page too large.
    for (Detail detail : {Detail{8, 100}, Detail{5, 40}, Detail{3, 0}}) {
        std::string page = Page(runs).write(detail);
        if (page.size() <= largest_page) return page;
    }
    throw UsageError(
        fmt::format("the page would be larger than {} bytes; name fewer runs", largest_page));
}

std::filesystem::path write_report(const std::filesystem::path& folder) {
    std::vector<StoredRun> runs;
    runs.push_back(load_run(folder));
    std::filesystem::path file = folder / "report.html";
    if (std::string trouble = write_whole(file, report_page(runs)); !trouble.empty())
        throw std::runtime_error(trouble);
    return file;
}

int show_with_report(const Finished& finished, const Showing& showing) {
    int status = show(finished, showing);
    if (finished.folder.empty()) return status;
    try {
        std::string page = write_report(finished.folder).string();
        // For people: to stderr where stdout is for JSON.
        if (showing.quiet) return status;
        if (showing.json)
            complain("report: {}", page);
        else
            say("report: {}\n", page);
    } catch (const std::exception& trouble) {
        complain("doorbell: no report: {}", trouble.what());
    }
    return status;
}

}  // namespace doorbell::harness
