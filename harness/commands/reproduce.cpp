// doorbell reproduce: repeats a run from its manifest and proves that the digits are equal.
#include <fmt/format.h>

#include "harness/commands/commands.h"
#include "harness/results/compare/again.h"
#include "harness/results/compare/compare.h"
#include "harness/results/report/report.h"
#include "harness/run/options.h"
#include "harness/system/escape.h"
#include "harness/system/output.h"

namespace doorbell::harness {

namespace po = boost::program_options;
namespace fs = std::filesystem;

namespace {

/// What a reproduction has shown.
struct Proof {
    bool reproduced = false;
    std::string summary;
    std::vector<std::string> differences;
};

int tell(const Proof& proof, bool json, const fs::path& folder) {
    if (json) {
        write_out(json_document(Json({{"reproduced", proof.reproduced},
                                      {"summary", proof.summary},
                                      {"differences", proof.differences},
                                      {"run", text_of_path(folder)}})));
    } else {
        for (const std::string& line : proof.differences) say("{}\n", line);
        say("{}\n", proof.summary);
    }
    return static_cast<int>(proof.reproduced ? Status::done : Status::refuted);
}

const char* verdict(bool reproduced) { return reproduced ? "reproduced" : "not reproduced"; }

/// By the counted series: they must be identical.
Proof proof_by_identity(const Identity& identity) {
    Proof proof;
    // A machine that lacks all of them has reproduced nothing.
    proof.reproduced = identity.differences.empty() && identity.same != 0;
    proof.summary = fmt::format(
        "{}: {} of {} series identical{}", verdict(proof.reproduced), identity.same, identity.all,
        identity.lacking.empty()
            ? ""
            : fmt::format(", {} that this machine lacks", identity.lacking.size()));
    proof.differences = identity.differences;
    proof.differences.insert(proof.differences.end(), identity.lacking.begin(),
                             identity.lacking.end());
    return proof;
}

/// By statistics, where nothing was counted.
Proof proof_by_statistics(const StoredRun& before, const StoredRun& after) {
    Comparison comparison = compare(before, after);
    Proof proof;
    for (const SeriesChange& series : comparison.series)
        if (series.changed())
            proof.differences.push_back(series.name() + ": " + word(series.summary(), series.unit));
    size_t lacking = 0;
    for (const Missing& one : comparison.only_in_a)
        if (one.why == Missing::Why::lacking)
            ++lacking;
        else
            proof.differences.push_back(one.name + ": it was not measured this time");
    for (const CaseEnd& fail : failed_only_in(after.run, before.run))
        proof.differences.push_back(fail.name() + ": failed: " + fail.reason);
    // Without a verdict, nothing is reproduced.
    size_t said = comparison.count(Word::no_change) + comparison.count(Word::equal);
    proof.reproduced = proof.differences.empty() && said != 0;
    size_t unclear = comparison.count(Word::too_noisy) + comparison.count(Word::too_few);
    proof.summary =
        fmt::format("{}: {} of {} series without a change beyond noise{}{}",
                    verdict(proof.reproduced), said, comparison.series.size(),
                    unclear == 0 ? "" : fmt::format(", {} too noisy or too few to say", unclear),
                    lacking == 0 ? "" : fmt::format(", {} that this machine lacks", lacking));
    return proof;
}

/// Measures again what the run in `place` measured. Reports first what differs.
Finished run_again(const StoredRun& before, const fs::path& place, const po::variables_map& map) {
    QemuRun request = request_from(before.manifest);
    std::error_code error;
    if (auto image = said(map, "image"))
        request.machine.image = *image;
    else if (!fs::is_regular_file(request.machine.image, error))
        request.machine.image = image_path("");
    if (auto qemu = said(map, "qemu")) request.machine.qemu = *qemu;
    if (auto out = said(map, "out")) request.out = *out;
    if (request.out && fs::equivalent(*request.out, place, error))
        throw UsageError("--out is the run itself, which must stay as it is");
    request.progress = !map["quiet"].as<bool>();
    for (const std::string& line : differences_before(before.manifest, request))
        complain("doorbell reproduce: differs: {}", line);
    Finished finished = run_in_qemu(request);
    for (const std::string& trouble : finished.troubles)
        complain("doorbell reproduce: {}", trouble);
    if (!finished.run.failure.empty()) complain("doorbell reproduce: {}", finished.run.failure);
    return finished;
}

po::options_description reproduce_options() {
    po::options_description options("Options", 100);
    options.add_options()  //
        ("image", po::value<std::string>(),
         "the image (default: the manifest's, else doorbell.elf beside this command)")   //
        ("qemu", po::value<std::string>(), "the QEMU to run (default: the manifest's)")  //
        ("with", po::value<std::string>(),
         "RUN2: compare with this run instead of measuring; for hardware, collected by doorbell "
         "attach")  //
        ("out", po::value<std::string>(),
         "the new run's folder (default: results/<time>-<clock>-<machine>)")  //
        ("json", po::bool_switch(), "as JSON")                                //
        ("quiet", po::bool_switch(), "no progress");
    return options;
}

int run_reproduce(const po::variables_map& map) {
    std::vector<std::string> runs = words_of(map, "run");
    if (runs.size() != 1) throw UsageError(fmt::format("it takes one run, not {}", runs.size()));
    fs::path place = runs[0];
    if (place.filename() == "manifest.json")
        place = place.has_parent_path() ? place.parent_path() : fs::path(".");
    StoredRun before = load_run(place);

    fs::path folder;
    int status = 0;
    if (auto other = said(map, "with")) {
        folder = *other;
    } else {
        Finished finished = run_again(before, place, map);
        status = finished.exit_status();
        if (finished.folder.empty() || finished.signal != 0) return status;
        folder = finished.folder;
    }
    StoredRun after = load_run(folder);
    Identity identity = identity_of(before, after);
    int told =
        tell(identity.all != 0 ? proof_by_identity(identity) : proof_by_statistics(before, after),
             map["json"].as<bool>(), folder);
    return status != 0 ? status : told;
}

}  // namespace

const Command reproduce_command = {
    .name = "reproduce",
    .words = "RUN",
    .summary = "repeat a run from its manifest and prove the digits equal",
    .help =
        "Repeats RUN (a folder, or a manifest.json) from its manifest. Before the start it names "
        "what differs. Counted series must be identical; measured ones are compared statistically.",
    .operand = "run",
    .options = reproduce_options,
    .run = run_reproduce};

}  // namespace doorbell::harness
