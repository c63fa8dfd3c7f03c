// doorbell run: labs in QEMU.
#include <fmt/ranges.h>

#include <algorithm>

#include "firmware/wire/fault.h"
#include "harness/commands/commands.h"
#include "harness/commands/documents.h"
#include "harness/results/compare/history.h"
#include "harness/results/predict/predict.h"
#include "harness/results/profile/model_words.h"
#include "harness/results/profile/published.h"
#include "harness/results/report/report.h"
#include "harness/run/options.h"
#include "harness/run/qemu_run.h"
#include "harness/system/escape.h"
#include "harness/system/file.h"
#include "harness/system/output.h"
#include "harness/text/number.h"

namespace doorbell::harness {

namespace po = boost::program_options;

namespace {

/// The words of --fault.
std::vector<std::string> faults() {
    std::vector<std::string> names;
    for (const wire::FaultName& one : wire::fault_names) names.emplace_back(one.name);
    return names;
}

/// What a run is predicted on where the command line names nothing.
std::string default_profile() {
    constexpr const char* usual = "intel-skylake-server";
    return published_profile(usual) ? usual : "none";
}

/// The profile that the command line asks for; nothing for "none". Throws UsageError.
std::optional<Profile> profile_from(const po::variables_map& map) {
    std::string word = said(map, "profile").value_or(default_profile());
    return word == "none" ? std::nullopt : std::optional(load_profile(word));
}

/// Predicts a run that has counts, and writes predictions.json into its folder.
std::optional<Predictions> predict_run(const Finished& finished, const Profile& profile) {
    const Run& run = finished.run;
    if (finished.folder.empty() ||
        std::none_of(run.series.begin(), run.series.end(),
                     [](const Series& s) { return !s.counters.empty(); }))
        return std::nullopt;
    StoredRun stored;
    stored.folder = finished.folder;
    stored.name = text_of_path(finished.folder.filename());
    stored.run = run;
    Predictions predictions = predict(stored, profile);
    if (std::string trouble =
            write_whole(finished.folder / "predictions.json", json_document(predictions.json()));
        !trouble.empty())
        complain("doorbell run: no predictions: {}", trouble);
    return predictions;
}

po::options_description run_options() {
    po::options_description options("Options", 100);
    add_machine_options(options);
    add_selection_options(options);
    options.add_options()  //
        ("out", po::value<std::string>(),
         "the run's folder (default: results/<time>-<clock>-<machine>)")  //
        ("timeout", po::value<std::string>(),
         "seconds without a record that mean a hang (default: 120, more with many --samples)")  //
        ("strict", po::bool_switch(),
         "exit status 1 where a claim is refuted, or none could be judged")         //
        ("json", po::bool_switch(), "results.json on stdout instead of the table")  //
        ("quiet", po::bool_switch(), "no table, no progress")                       //
        ("profile", po::value<std::string>(),
         ("predict what the counts cost on a profile: a name, a file, or none (default: " +
          default_profile() + ")")
             .c_str())  //
        ("keep", po::value<std::string>(),
         "keep the last N runs under results/, and say what changed since the one before")  //
        ("fault", po::value<std::string>(),
         ("have the image fail on purpose: " + fmt::format("{}", fmt::join(faults(), "|")))
             .c_str());
    return options;
}

/// What the command line asks for; where it does not name a cache model, that of the machine whose
/// prices come later. Throws UsageError.
QemuRun run_request(const po::variables_map& map, const std::optional<Profile>& profile) {
    QemuRun request;
    request.selection = selection_from(map, words_of(map, "lab"));
    request.machine = machine_from(map, profile ? model_words_of(*profile) : "on");
    if (auto out = said(map, "out")) request.out = *out;
    if (auto timeout = said(map, "timeout"))
        request.timeout_s =
            static_cast<unsigned>(parse_number(*timeout, "--timeout", 1, 1'000'000));
    if (auto fault = said(map, "fault")) {
        check_choice("--fault", *fault, faults());
        request.extra_words = "fault=" + *fault;
    }
    return request;
}

int run_run(const po::variables_map& map) {
    std::optional<Profile> profile = profile_from(map);
    QemuRun request = run_request(map, profile);
    std::optional<uint64_t> keep;
    if (auto number = said(map, "keep")) keep = parse_number(*number, "--keep", 1, 1'000'000);
    Showing showing = showing_from(map);
    request.progress = !showing.quiet;
    Finished finished = run_in_qemu(request);
    finished.strict = map["strict"].as<bool>();
    std::optional<Predictions> predictions;
    if (profile) predictions = predict_run(finished, *profile);
    if (predictions) showing.predictions = &*predictions;
    int status = show_with_report(finished, showing);
    if (finished.folder.empty()) return status;
    try {
        if (keep && !request.out && !showing.json && !showing.quiet)
            say("{}", changes_since_last(finished.folder));
    } catch (const std::exception& trouble) {
        complain("doorbell run: not compared with the run before: {}", trouble.what());
    }
    if (keep && !request.out)
        for (const auto& old :
             remove_old_runs(finished.folder.parent_path(), *keep, finished.folder))
            if (!showing.quiet)
                complain("doorbell run: removed {}, older than the last {} runs", old.string(),
                         *keep);
    return status;
}

}  // namespace

const Command run_command = {
    .name = "run",
    .words = "[LAB...]",
    .summary = "run labs in QEMU",
    .help =
        "Runs labs in QEMU. A LAB is a name (timer) or a name and cases "
        "(timer:wait=irq,source=lapic); without one, it runs all default labs. See: doorbell list",
    .operand = "lab",
    .options = run_options,
    .run = run_run};

}  // namespace doorbell::harness
