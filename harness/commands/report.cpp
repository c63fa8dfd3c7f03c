// doorbell report: runs as one HTML page.
#include "harness/results/report/report.h"

#include <fmt/format.h>

#include "harness/commands/commands.h"
#include "harness/commands/documents.h"
#include "harness/run/options.h"
#include "harness/run/run_folder.h"
#include "harness/system/output.h"

namespace doorbell::harness {

namespace po = boost::program_options;

namespace {

po::options_description report_options() {
    po::options_description options("Options", 100);
    options.add_options()  //
        ("out", po::value<std::string>(),
         "the page (default: report.html in the first run's folder; -: standard output)")  //
        ("quiet", po::bool_switch(), "do not print the page's path");
    return options;
}

int run_report(const po::variables_map& map) {
    std::vector<StoredRun> runs;
    for (const std::string& name : run_names(map)) runs.push_back(load_run(name));
    auto file = write_document(map, runs.front().folder, "report.html", report_page(runs));
    if (file && !map["quiet"].as<bool>()) say("{}\n", *file);
    return 0;
}

}  // namespace

const Command report_command = {
    .name = "report",
    .words = "RUN...",
    .summary = "write one self-contained HTML page",
    .help =
        "One self-contained HTML page of a run, or of several side by side. A RUN is a folder or "
        "its results.json; without one it is results/latest.",
    .operand = "run",
    .options = report_options,
    .run = run_report};

}  // namespace doorbell::harness
