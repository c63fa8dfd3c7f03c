// doorbell compare: what changed between two runs, and whether it is more than noise.
#include "harness/results/compare/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "harness/commands/commands.h"
#include "harness/run/options.h"
#include "harness/system/output.h"

namespace doorbell::harness {

namespace po = boost::program_options;

namespace {

double parse_percent(const std::string& text, const std::string& option) {
    double value = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || !(value >= 0 && value <= 1000))
        throw UsageError(
            fmt::format("{}: \"{}\" is not a number of per cent from 0 to 1000", option, text));
    return value / 100;
}

}  // namespace

int command_compare(const std::vector<std::string>& args) {
    po::options_description options("Options", 100);
    options.add_options()  //
        ("gate", po::value<std::string>(),
         "PCT: exit status 1 where a series got worse by more than PCT per cent, beyond noise; "
         "where B does not have a series of A, and does not say that its machine lacks it; and "
         "where a case has failed in B")  //
        ("margin", po::value<std::string>()->default_value("5"),
         "per cent that would matter: \"no change\" means less than this")  //
        ("all", po::bool_switch(), "also the series that did not change")   //
        ("json", po::bool_switch(), "as JSON")                              //
        ("quiet", po::bool_switch(), "only the exit status");
    auto map = parse(args,
                     "doorbell compare A B\n\nWhat changed from run A to run B: folders, or "
                     "results.json files. Counted series are equal or differ;\n"
                     "measured ones are tested. Runs that cannot be compared are refused with the "
                     "reason (status 2).\n",
                     options, "run");
    if (!map) return 0;
    std::vector<std::string> runs = words_of(*map, "run");
    if (runs.size() != 2)
        throw UsageError(fmt::format("it takes two runs, A and B; there {} {}",
                                     runs.size() == 1 ? "is" : "are", runs.size()));
    std::optional<double> gate;
    if (auto text = said(*map, "gate")) gate = parse_percent(*text, "--gate");
    CompareOptions how{.margin = parse_percent((*map)["margin"].as<std::string>(), "--margin")};

    StoredRun a = load_run(runs[0]), b = load_run(runs[1]);
    Comparison comparison = compare(a, b, how);
    std::vector<std::string> worse;
    if (gate) worse = beyond_gate(comparison, *gate);
    if ((*map)["json"].as<bool>()) {
        Json json = comparison_json(comparison);
        json["a"] = a.name;
        json["b"] = b.name;
        if (gate)
            json["gate"] = {
                {"per_cent", *gate * 100}, {"passed", worse.empty()}, {"beyond", worse}};
        write_out(json_document(json));
    } else if (!(*map)["quiet"].as<bool>()) {
        std::string compilers = different_compilers(a, b);
        say("{}{}A: {}\nB: {}\n{}", compilers, compilers.empty() ? "" : "\n", a.name, b.name,
            comparison_text(comparison, (*map)["all"].as<bool>()));
    }
    // A run of other labs misses hundreds.
    constexpr size_t most = 10;
    for (size_t i = 0; i < std::min(most, worse.size()); ++i)
        complain("doorbell compare: beyond the gate of {} %: {}", *gate * 100, worse[i]);
    if (worse.size() > most)
        complain("doorbell compare: beyond the gate of {} %: {} more", *gate * 100,
                 worse.size() - most);
    return static_cast<int>(worse.empty() ? Status::done : Status::refuted);
}

}  // namespace doorbell::harness
