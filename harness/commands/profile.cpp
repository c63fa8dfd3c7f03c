// doorbell profile: the prices of a machine, from a run of lab `prices`.
#include "harness/results/profile/profile.h"

#include <fmt/format.h>

#include "harness/commands/commands.h"
#include "harness/commands/documents.h"
#include "harness/run/options.h"
#include "harness/system/output.h"
#include "harness/system/terminal.h"

namespace doorbell::harness {

namespace po = boost::program_options;
namespace fs = std::filesystem;

namespace {

std::string estimate_text(const std::optional<Estimate>& i, const char* unit) {
    if (!i) return "";
    return fmt::format("{:.2f} {} ({:.2f} to {:.2f})", i->value, unit, i->low, i->high);
}

void print_prices(const Profile& profile) {
    for (const Price& price : profile.prices) {
        std::string main = price.cycles  ? estimate_text(price.cycles, "cycles")
                           : price.ticks ? estimate_text(price.ticks, "ticks")
                                         : estimate_text(price.insn, "insn");
        say("  {:<24} {:<40} {}\n", price.name, main, estimate_text(price.ns, "ns"));
        for (const std::string& flag : price.flags) print_text(wrapped("    ", flag));
    }
    for (const Capacity& c : profile.capacities)
        say("  {:<24} {} {}{} fit\n", c.name, c.low, c.unit, c.low == 1 ? "" : "s");
    for (const NoPrice& m : profile.refused)
        print_text(wrapped(fmt::format("  {:<24} ", m.name), m.reason));
    for (const NoPrice& m : profile.absent)
        print_text(wrapped(fmt::format("  {:<24} absent: ", m.name), m.reason));
    for (const std::string& note : profile.notes) print_text(wrapped("note: ", note));
}

po::options_description profile_options() {
    po::options_description options("Options", 100);
    options.add_options()  //
        ("out", po::value<std::string>(),
         "the file (default: profile.json in the run's folder; -: standard output)")  //
        ("json", po::bool_switch(), "print the profile as JSON and nothing else")     //
        ("quiet", po::bool_switch(), "print nothing");
    return options;
}

int run_profile(const po::variables_map& map) {
    StoredRun stored = load_run(run_name(map));
    Profile profile = profile_of(stored);
    std::string text = json_document(profile.json());
    std::optional<std::string> file = write_document(map, stored.folder, "profile.json", text);
    if (!file) return 0;
    Showing showing = showing_from(map);
    if (showing.json) write_out(text);
    if (showing.json || showing.quiet) return 0;
    say("prices of {} ({})\n", stored.name, profile.evidence);
    print_prices(profile);
    say("{}\n", *file);
    return 0;
}

}  // namespace

const Command profile_command = {
    .name = "profile",
    .words = "RUN",
    .summary = "write the prices of a machine as profile.json",
    .help =
        "The prices of a machine as profile.json, from a run of lab prices. A RUN is a folder or "
        "its results.json; without one it is results/latest.",
    .operand = "run",
    .options = profile_options,
    .run = run_profile};

}  // namespace doorbell::harness
