// doorbell run: labs in QEMU.
#include <fmt/format.h>

#include "harness/commands.h"
#include "harness/number.h"
#include "harness/options.h"
#include "harness/qemu_run.h"

namespace doorbell::harness {

namespace po = boost::program_options;

int command_run(const std::vector<std::string>& args) {
    po::options_description options("Options", 100);
    add_machine_options(options);
    add_selection_options(options);
    options.add_options()                                                                                       //
        ("out", po::value<std::string>(), "the run's folder (default: results/<time>-<clock>-<machine>)")        //
        ("timeout", po::value<std::string>(), "seconds without a record that mean a hang (default: 120, more with many --samples)")  //
        ("strict", po::bool_switch(), "exit status 1 where a claim is refuted")                                  //
        ("json", po::bool_switch(), "results.json on stdout instead of the table")                               //
        ("quiet", po::bool_switch(), "no table, no progress")                                                    //
        ("fault", po::value<std::string>(), "have the image fail on purpose: early|lab|double|triple|hang|stack|write-code|run-data|null");
    auto map = parse(args,
                     "doorbell run [LAB...]\n\nRuns labs in QEMU. A LAB is a name (timer) or a name and cases (timer:wait=irq,source=lapic);\n"
                     "without one, all labs that run by default. See: doorbell list\n",
                     options, "lab");
    if (!map) return 0;
    std::vector<std::string> labs;
    if (map->count("lab") != 0) labs = (*map)["lab"].as<std::vector<std::string>>();

    QemuRun request;
    request.selection = selection_from(*map, labs);
    request.machine = machine_from(*map);
    if (auto out = said(*map, "out")) request.out = *out;
    if (auto timeout = said(*map, "timeout")) request.timeout_s = static_cast<unsigned>(parse_number(*timeout, "--timeout", 1, 1'000'000));
    if (auto fault = said(*map, "fault")) {
        check_choice("--fault", *fault, {"early", "lab", "double", "triple", "hang", "stack", "write-code", "run-data", "null"});
        request.extra_words = "fault=" + *fault;
    }
    Showing showing{(*map)["json"].as<bool>(), (*map)["quiet"].as<bool>()};
    request.progress = !showing.quiet;
    Finished finished = run_in_qemu(request);
    finished.strict = (*map)["strict"].as<bool>();
    return show(finished, showing);
}

}  // namespace doorbell::harness
