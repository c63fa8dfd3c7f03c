// doorbell list: the labs, their questions, cases and needs.
#include <fmt/format.h>

#include <algorithm>

#include "harness/commands/commands.h"
#include "harness/data/case_list.h"
#include "harness/data/run_data.h"
#include "harness/results/table/table.h"
#include "harness/run/options.h"
#include "harness/system/output.h"
#include "harness/text/nearest.h"
#include "labs/catalogue.h"

namespace doorbell::harness {

namespace po = boost::program_options;

namespace {

Json json_of(const labs::Lab& lab) {
    Json cases = Json::array(), settings = Json::array(), claims = Json::array(),
         claim_ids = Json::array();
    for (const labs::Case& one : lab.cases) cases.push_back(CaseKeys::from_text(one.text()).json());
    for (const labs::Setting& one : lab.settings)
        settings.push_back({{"name", one.name},
                            {"default", one.normal},
                            {"least", one.least},
                            {"most", one.most},
                            {"unit", one.unit.text()},
                            {"help", one.help.text()}});
    for (const labs::Claim& one : lab.claims)
        claims.push_back(one.text), claim_ids.push_back(one.id);
    return {{"lab", lab.name},
            {"question", lab.question.text()},
            {"needs", lab.needs.text()},
            {"by_default", lab.by_default},
            {"cases", cases},
            {"settings", settings},
            {"claims", claims},
            {"claim_ids", claim_ids}};
}

void print(const labs::Lab& lab) {
    say("{}", wrapped(std::string(lab.name) + (lab.by_default ? ": " : " (not by default): "),
                      lab.question.text()));
    say("{}", wrapped("  needs: ", lab.needs.text()));
    std::vector<CaseKeys> cases;
    for (const labs::Case& one : lab.cases) cases.push_back(CaseKeys::from_text(one.text()));
    for (const std::string& line : folded(cases)) say("{}", wrapped("  case: ", line));
    for (const labs::Setting& one : lab.settings)
        say("{}", wrapped("  --set ", fmt::format("{}={} ({}, {} to {}): {}", one.name,
                                                  setting_text(one, one.normal), one.unit.text(),
                                                  setting_text(one, one.least),
                                                  setting_text(one, one.most), one.help.text())));
    for (const labs::Claim& claim : lab.claims) say("{}", wrapped("  claim: ", claim.text));
}

po::options_description list_options() {
    po::options_description options("Options", 100);
    options.add_options()("json", po::bool_switch(), "as JSON");
    return options;
}

int run_list(const po::variables_map& map) {
    std::vector<std::string> wanted = words_of(map, "lab");
    for (const std::string& name : wanted)
        if (labs::find(name) == nullptr) throw UsageError(unknown_word("lab", name, lab_names()));
    bool json = map["json"].as<bool>();
    Json all = Json::array();
    bool first = true;
    for (const labs::Lab* lab : labs::catalogue()) {
        if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), lab->name) == wanted.end())
            continue;
        if (json) {
            all.push_back(json_of(*lab));
            continue;
        }
        if (!first) say("\n");
        first = false;
        print(*lab);
    }
    if (json) write_out(json_document(all));
    return 0;
}

}  // namespace

const Command list_command = {.name = "list",
                              .words = "[LAB...]",
                              .summary = "list the labs with their questions, cases and needs",
                              .help = "The labs, their questions, cases, needs and settings.",
                              .operand = "lab",
                              .options = list_options,
                              .run = run_list};

}  // namespace doorbell::harness
