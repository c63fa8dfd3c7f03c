// doorbell predict: what the counts of a run cost on the machine of a profile.
#include "harness/results/predict/predict.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "harness/commands/commands.h"
#include "harness/commands/documents.h"
#include "harness/results/predict/against.h"
#include "harness/results/predict/predict_text.h"
#include "harness/results/profile/published.h"
#include "harness/run/options.h"
#include "harness/system/output.h"
#include "harness/text/members.h"
#include "harness/text/nearest.h"
#include "labs/catalogue.h"

namespace doorbell::harness {

namespace po = boost::program_options;
namespace fs = std::filesystem;

namespace {

po::options_description predict_options() {
    po::options_description options("Options", 100);
    std::string names;
    for (const std::string& name : published_profiles())
        names += (names.empty() ? ": " : ", ") + name;
    options.add_options()  //
        ("profile", po::value<std::string>(),
         ("the prices: a profile.json, a folder with one, or a published profile's name" + names)
             .c_str())                                                          //
        ("full", po::bool_switch(), "also the parts of each series and stage")  //
        ("out", po::value<std::string>(),
         "the file (default: predictions.json in the run's folder; -: standard output)")  //
        ("json", po::bool_switch(), "print predictions.json and nothing else")            //
        ("against", po::value<std::string>(),
         "a run of the machine: each prediction beside its measured median, and the error")  //
        ("gate", po::value<std::string>(),
         "PCT: with --against, exit status 1 where the geometric mean of the error is larger")  //
        ("quiet", po::bool_switch(), "print nothing");
    return options;
}

/// The run that the words name, and the labs behind it.
struct PredictWords {
    std::string run = "results/latest";
    std::vector<std::string> labs;
};

PredictWords words_from(const po::variables_map& map) {
    PredictWords words;
    std::vector<std::string> all, names;
    if (map.count("run") != 0) all = map["run"].as<std::vector<std::string>>();
    for (const labs::Lab* lab : labs::catalogue()) names.emplace_back(lab->name);
    std::error_code error;
    if (!all.empty() && (labs::find(all.front()) == nullptr || fs::exists(all.front(), error))) {
        words.run = all.front();
        all.erase(all.begin());
    }
    for (const std::string& lab : all)
        if (labs::find(lab) == nullptr) throw UsageError(unknown_word("lab", lab, names));
    words.labs = all;
    return words;
}

/// A sentence where the profile is of one processor and the run was measured on another: the error
/// is that of the wrong prices, too.
std::string other_processor(const Profile& profile, const StoredRun& measured) {
    auto same = [&](const char* name) {
        const Json &a = member(profile.machine, name), &b = member(measured.run.machine, name);
        return a.is_null() || b.is_null() || a == b;
    };
    bool numbered = measured.run.machine.contains("family") && profile.machine.contains("family");
    bool one = numbered ? same("vendor") && same("family") && same("model") : same("cpu");
    if (one) return {};
    auto name = [](const Json& machine) { return word_of(machine, "cpu"); };
    return fmt::format(
        "profile {} is of another processor ({}) than the one that {} was measured on ({}): the "
        "error is the model's and that of the wrong prices",
        profile.name, name(profile.machine), measured.name, name(measured.run.machine));
}

/// The comparison with a measured run, shown; the exit status.
int show_against(const po::variables_map& map, const Against& against, std::optional<double> gate,
                 const std::string& note) {
    bool passed = !gate || against.geomean_error <= *gate;
    if (map["json"].as<bool>()) {
        Json json = against.json();
        if (!note.empty()) json["note"] = note;
        if (gate) json["gate"] = {{"per_cent", *gate * 100}, {"passed", passed}};
        write_out(json_document(json));
    } else if (!map["quiet"].as<bool>()) {
        print_text(against_text(against));
    }
    if (!note.empty() && !map["quiet"].as<bool>()) complain("doorbell predict: {}", note);
    if (!passed)
        complain(
            "doorbell predict: beyond the gate of {} %: the geometric mean of the error is "
            "{:.1f} %",
            *gate * 100, against.geomean_error * 100);
    return static_cast<int>(passed ? Status::done : Status::refuted);
}

int run_predict(const po::variables_map& map) {
    auto profile_word = said(map, "profile");
    if (!profile_word) {
        std::vector<std::string> names = published_profiles();
        throw UsageError(fmt::format("--profile is missing: a profile.json{}{}",
                                     names.empty() ? "" : ", or one of ", fmt::join(names, ", ")));
    }
    PredictWords words = words_from(map);
    std::optional<double> gate;
    if (auto percent = said(map, "gate")) gate = parse_percent(*percent, "--gate");
    if (gate && map.count("against") == 0)
        throw UsageError("--gate is about --against RUN, which is missing");
    Profile profile = load_profile(*profile_word);
    StoredRun stored = load_run(words.run);
    if (std::all_of(stored.run.series.begin(), stored.run.series.end(),
                    [](const Series& s) { return s.counters.empty(); }))
        throw UsageError(fmt::format(
            "{} has no counts to price; make a run with the cache model: doorbell run --model on",
            stored.name));
    Predictions predictions = predict(stored, profile);
    std::optional<Against> against;
    std::string note;
    if (auto word = said(map, "against")) {
        StoredRun measured = load_run(*word);
        against = compare_with(predictions, measured);
        note = other_processor(profile, measured);
        predictions.against = against->json();
    }
    std::string text = json_document(predictions.json());
    // Standard output is for one document.
    if (against && said(map, "out") == "-") return show_against(map, *against, gate, note);
    auto out = write_document(map, stored.folder, "predictions.json", text);
    if (against) return show_against(map, *against, gate, note);
    if (!out) return 0;
    if (map["json"].as<bool>()) write_out(text);
    if (map["json"].as<bool>() || map["quiet"].as<bool>()) return 0;
    say("{}{}\n", predictions_text(predictions, words.labs, map["full"].as<bool>()), *out);
    return 0;
}

}  // namespace

const Command predict_command = {
    .name = "predict",
    .words = "RUN [LAB...]",
    .required = "--profile FILE|NAME",
    .summary = "predict what a run's counts cost on a machine",
    .help =
        "What the counts of a run cost on a machine: each count times its price in the profile, as "
        "a value and an interval. A RUN is a folder or its results.json; without one it is "
        "results/latest. It needs a run with the cache model.",
    .operand = "run",
    .options = predict_options,
    .run = run_predict};

}  // namespace doorbell::harness
