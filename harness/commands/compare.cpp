// doorbell compare: what changed between two runs, and whether it is more than noise.
#include "harness/results/compare/compare.h"

#include <fmt/format.h>

#include <algorithm>

#include "harness/commands/commands.h"
#include "harness/results/compare/predicted_changes.h"
#include "harness/run/options.h"
#include "harness/system/output.h"

namespace doorbell::harness {

namespace po = boost::program_options;

namespace {

/// Names what is beyond the gate; the exit status.
int gate_status(std::optional<double> gate, const std::vector<std::string>& worse) {
    // A run of other labs misses hundreds.
    constexpr size_t most = 10;
    for (size_t i = 0; i < std::min(most, worse.size()); ++i)
        complain("doorbell compare: beyond the gate of {} %: {}", *gate * 100, worse[i]);
    if (worse.size() > most)
        complain("doorbell compare: beyond the gate of {} %: {} more", *gate * 100,
                 worse.size() - most);
    return static_cast<int>(worse.empty() ? Status::done : Status::refuted);
}

void put_gate(Json& json, double gate, const std::vector<std::string>& worse) {
    json["gate"] = {{"per_cent", gate * 100}, {"passed", worse.empty()}, {"beyond", worse}};
}

int compare_predictions(const po::variables_map& map, const StoredRun& a, const StoredRun& b,
                        std::optional<double> gate) {
    PredictedComparison comparison = compare_predicted(a, b);
    std::vector<std::string> worse;
    if (gate) worse = beyond_predicted_gate(comparison, *gate);
    if (map["json"].as<bool>()) {
        Json json = predicted_comparison_json(comparison);
        if (gate) put_gate(json, *gate, worse);
        write_out(json_document(json));
    } else if (!map["quiet"].as<bool>()) {
        say("A: {}\nB: {}\n{}", a.name, b.name, predicted_comparison_text(comparison));
    }
    return gate_status(gate, worse);
}

po::options_description compare_options() {
    po::options_description options("Options", 100);
    options.add_options()  //
        ("gate", po::value<std::string>(),
         "PCT: exit status 1 where a series got worse by more than PCT per cent, beyond noise; "
         "where B does not have a series of A, and does not say that its machine lacks it; and "
         "where a case has failed in B")  //
        ("margin", po::value<std::string>()->default_value("5"),
         "per cent that would matter: \"no change\" means less than this")  //
        ("predicted", po::bool_switch(),
         "compare what `doorbell predict` wrote into the runs' folders; with --gate, that alone is "
         "judged")                                                         //
        ("all", po::bool_switch(), "also the series that did not change")  //
        ("json", po::bool_switch(), "as JSON")                             //
        ("quiet", po::bool_switch(), "only the exit status");
    return options;
}

int run_compare(const po::variables_map& map) {
    std::vector<std::string> runs = words_of(map, "run");
    if (runs.size() != 2)
        throw UsageError(fmt::format("it takes two runs, A and B; there {} {}",
                                     runs.size() == 1 ? "is" : "are", runs.size()));
    std::optional<double> gate;
    if (auto text = said(map, "gate")) gate = parse_percent(*text, "--gate");
    CompareOptions how{.margin = parse_percent(map["margin"].as<std::string>(), "--margin")};

    StoredRun a = load_run(runs[0]), b = load_run(runs[1]);
    if (map["predicted"].as<bool>()) return compare_predictions(map, a, b, gate);
    Comparison comparison = compare(a, b, how);
    std::vector<std::string> worse;
    if (gate) worse = beyond_gate(comparison, *gate);
    if (map["json"].as<bool>()) {
        Json json = comparison_json(comparison);
        json["a"] = a.name;
        json["b"] = b.name;
        if (gate) put_gate(json, *gate, worse);
        write_out(json_document(json));
    } else if (!map["quiet"].as<bool>()) {
        std::string compilers = different_compilers(a, b);
        say("{}{}A: {}\nB: {}\n{}", compilers, compilers.empty() ? "" : "\n", a.name, b.name,
            comparison_text(comparison, map["all"].as<bool>()));
    }
    return gate_status(gate, worse);
}

}  // namespace

const Command compare_command = {
    .name = "compare",
    .words = "A B",
    .summary = "show what changed, and whether it exceeds noise",
    .help =
        "What changed from run A to run B: folders, or results.json files. Counted series are "
        "equal or differ; measured ones are tested. Runs that cannot be compared are refused with "
        "the reason (status 2).",
    .operand = "run",
    .options = compare_options,
    .run = run_compare};

}  // namespace doorbell::harness
