// doorbell export: a run in other tools' formats.
#include "harness/results/export.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "harness/commands/commands.h"
#include "harness/commands/documents.h"
#include "harness/run/options.h"
#include "harness/run/run_folder.h"
#include "harness/system/output.h"

namespace doorbell::harness {

namespace po = boost::program_options;
namespace fs = std::filesystem;

namespace {

/// The series whose name ("timer source=lapic wait=irq latency") holds every word of `only`.
std::vector<const Series*> chosen(const StoredRun& stored, const std::string& only) {
    std::vector<const Series*> some;
    for (const Series& series : stored.run.series) {
        std::string name = " " + series.name() + " ";
        bool all = true;
        for (size_t at = 0; at < only.size();) {
            size_t end = std::min(only.find(' ', at), only.size());
            all = all && name.find(" " + only.substr(at, end - at) + " ") != name.npos;
            at = end + 1;
        }
        if (all) some.push_back(&series);
    }
    if (some.empty())
        throw UsageError(only.empty() ? fmt::format("{} holds no series", stored.name)
                                      : fmt::format("--only: no series of {} has all of \"{}\"",
                                                    stored.name, only));
    return some;
}

std::string file_name(const Series& series) {
    std::string name = series.name();
    for (char& c : name)
        if (!isalnum(static_cast<unsigned char>(c)) && c != '=' && c != '.' && c != '-') c = '_';
    return name + "." + series.unit + ".hgrm";
}

po::options_description export_options() {
    po::options_description options("Options", 100);
    options.add_options()                                              //
        ("format", po::value<std::string>(), "gbench|hgrm|csv|junit")  //
        ("only", po::value<std::string>()->default_value(""),
         "words that a series' name must have: \"timer wait=irq latency\"")  //
        ("out", po::value<std::string>(),
         "a file, for hgrm of several series a folder (default: standard output)");
    return options;
}

int run_export(const po::variables_map& map) {
    std::string run = run_name(map);
    auto format = said(map, "format");
    if (!format) throw UsageError("--format is missing: gbench, hgrm, csv or junit");
    check_choice("--format", *format, {"gbench", "hgrm", "csv", "junit"});
    StoredRun stored = load_run(run);
    std::string out = said(map, "out").value_or("-");
    if (*format == "junit") {
        write_or_print(out, export_junit(stored));
        return 0;
    }
    std::vector<const Series*> series = chosen(stored, map["only"].as<std::string>());
    if (*format == "gbench") write_or_print(out, export_gbench(stored, series));
    if (*format == "csv") write_or_print(out, export_csv(stored, series));
    if (*format != "hgrm") return 0;

    std::erase_if(series, [](const Series* one) { return !one->whole(); });
    if (series.empty()) throw UsageError("none of these series has a whole histogram");
    if (series.size() == 1 && !fs::is_directory(out)) {
        write_or_print(out, export_hgrm(*series[0]));
        return 0;
    }
    if (out == "-")
        throw UsageError(
            fmt::format("hgrm holds one series a file, and there are {}: name a folder with --out, "
                        "or one of them with --only",
                        series.size()));
    std::error_code error;
    fs::create_directories(out, error);
    if (error) throw UsageError(fmt::format("--out {}: {}", out, error.message()));
    for (const Series* one : series)
        write_or_print((fs::path(out) / file_name(*one)).string(), export_hgrm(*one));
    complain("doorbell export: {} files in {}", series.size(), out);
    return 0;
}

}  // namespace

const Command export_command = {
    .name = "export",
    .words = "RUN",
    .required = "--format FORMAT",
    .summary = "convert a run for other tools: gbench, hgrm, csv, junit",
    .help =
        "gbench: Google Benchmark's JSON (compare.py reads it); hgrm: HdrHistogram's percentiles, "
        "one file a series; csv: one row a bin; junit: claims, failed and skipped cases as test "
        "cases.",
    .operand = "run",
    .options = export_options,
    .run = run_export};

}  // namespace doorbell::harness
