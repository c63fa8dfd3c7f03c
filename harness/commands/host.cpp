// doorbell host: the labs as Linux programs, on this machine.
#include <fmt/format.h>
#include <sched.h>
#include <sys/wait.h>

#include <algorithm>
#include <filesystem>

#include "harness/commands/commands.h"
#include "harness/commands/documents.h"
#include "harness/results/report/report.h"
#include "harness/results/table/table.h"
#include "harness/run/options.h"
#include "harness/run/session.h"
#include "harness/run/watch.h"
#include "harness/system/escape.h"
#include "harness/system/file.h"
#include "harness/system/output.h"
#include "harness/text/nearest.h"
#include "harness/text/number.h"
#include "host/counters/settings.h"
#include "host/counters/tune.h"

namespace doorbell::harness {

namespace fs = std::filesystem;
namespace po = boost::program_options;

namespace {

constexpr unsigned normal_timeout_s = 120;

/// The labs that the program itself lists.
Json labs_of(const fs::path& program) {
    ToolResult tool = run_tool_or_end({program.string(), "--list"}, 20);
    Json labs = Json::parse(tool.out, nullptr, false);
    if (!tool.started || !labs.is_array())
        throw MachineError(
            fmt::format("the Linux labs cannot be run: {}; build them with make",
                        tool.started ? program.string() + " gives no list" : tool.err));
    return labs;
}

/// Throws UsageError for a word that the program does not know, with the nearest one that it knows.
void check_lab_word(const Json& labs, const std::string& word) {
    size_t colon = word.find(':');
    std::string name = word.substr(0, colon);
    std::vector<std::string> names;
    const Json* lab = nullptr;
    for (const Json& one : labs) {
        names.push_back(one["lab"]);
        if (one["lab"] == name) lab = &one;
    }
    if (lab == nullptr) throw UsageError(unknown_word("Linux lab", name, names));
    if (colon == word.npos) return;
    std::string rest = word.substr(colon + 1);
    for (size_t at = 0; at <= rest.size();) {
        size_t comma = std::min(rest.find(',', at), rest.size());
        std::string pair = rest.substr(at, comma - at);
        std::vector<std::string> known;
        for (const Json& test_case : (*lab)["cases"])
            for (const auto& [key, value] : CaseKeys::from(test_case).pairs())
                if (std::string text = key + "=" + value;
                    std::find(known.begin(), known.end(), text) == known.end())
                    known.push_back(text);
        if (std::find(known.begin(), known.end(), pair) == known.end())
            throw UsageError(unknown_word("case of " + name, pair, known));
        at = comma + 1;
    }
}

void print_labs(const Json& labs, bool json) {
    if (json) {
        write_out(json_document(labs));
        return;
    }
    for (const Json& lab : labs) {
        say("{}", wrapped(lab["lab"].get<std::string>() + ": ", lab["question"]));
        say("{}", wrapped("  needs: ", lab["needs"]));
        std::string cases;
        for (const Json& test_case : lab["cases"])
            cases += (cases.empty() ? "" : "; ") + test_case.get<std::string>();
        say("{}\n", wrapped("  cases: ", cases));
    }
}

/// CPUs whose frequency is set: those that --cpus names, or the first two.
std::vector<int> cpus_of(const std::string& words) {
    std::vector<int> cpus;
    for (size_t at = 0; at <= words.size();) {
        size_t comma = std::min(words.find(',', at), words.size());
        cpus.push_back(
            static_cast<int>(parse_number(words.substr(at, comma - at), "--cpus", 0, 4095)));
        at = comma + 1;
    }
    return cpus;
}

/// Host settings, as long as this lives. Settings that a killed run left changed are restored, even
/// without --tune.
class HostSettings {
  public:
    HostSettings(bool tune, const std::vector<int>& cpus, const fs::path& root) {
        try {
            settings_.emplace(host::settings_journal(root));
        } catch (const std::runtime_error& trouble) {
            if (tune) throw MachineError(std::string("--tune: ") + trouble.what());
            complain("doorbell: {}", trouble.what());
            return;
        }
        if (settings_->leftovers() != 0)
            complain("doorbell: put back {} host setting{} that a killed run had left changed",
                     settings_->leftovers(), settings_->leftovers() == 1 ? "" : "s");
        if (tune) tuned_ = host::tune(*settings_, cpus, root);
        for (const std::string& text : tuned_.changed)
            complain("doorbell: set for this run: {}", text);
        for (const std::string& text : tuned_.refused) complain("doorbell: not set: {}", text);
        if (tune && tuned_.changed.empty() && tuned_.refused.empty())
            complain("doorbell: --tune: this host offers nothing to set, or all of it is set");
    }
    ~HostSettings() {
        if (!settings_) return;
        if (std::string trouble = settings_->put_back(); !trouble.empty())
            complain("doorbell: {}", trouble);
    }
    Json json() const { return tuned_.changed; }

  private:
    std::optional<host::Settings> settings_;
    host::Tuned tuned_;
};

std::string why_it_failed(int status, const Session& session) {
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
    std::string said = session.last_aside().empty() ? "" : ": " + session.last_aside();
    return fmt::format("the Linux labs {} {}{}", how_it_ended(status), session.where(), said);
}

/// Refuses CPUs on which this process may not run.
void check_cpus(const std::string& words) {
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    sched_getaffinity(0, sizeof allowed, &allowed);
    std::string names;
    for (size_t cpu = 0; cpu < CPU_SETSIZE; ++cpu)
        if (CPU_ISSET(cpu, &allowed)) names += (names.empty() ? "" : ", ") + std::to_string(cpu);
    for (int cpu : cpus_of(words))
        if (!CPU_ISSET(static_cast<size_t>(cpu), &allowed))
            throw UsageError(fmt::format(
                "--cpus: this process may not run on CPU {} (it may on {})", cpu, names));
}

po::options_description host_options() {
    po::options_description options("Options", 100);
    options.add_options()  //
        ("samples", po::value<std::string>()->default_value("1000"),
         "samples of each case and repetition; labs with long samples take fewer (results.json "
         "says how many)")  //
        ("warm-up", po::value<std::string>()->default_value("16"),
         "samples taken first and kept out of the series")  //
        ("repetitions", po::value<std::string>()->default_value("1"),
         "how often each case is set up and measured anew")                               //
        ("seed", po::value<std::string>()->default_value("1"), "seed of random numbers")  //
        ("cpus", po::value<std::string>(),
         "CPU[,CPU]: the CPUs of the measured task and of its partner (default: the first two "
         "allowed)")  //
        ("counters", po::value<std::string>()->default_value("perf"),
         "off; perf: one more pass of each case with perf events; all: also one pass with each "
         "of Intel PCM's programs")  //
        ("tune", po::bool_switch(),
         "during the run: governor performance, no turbo, no NMI watchdog; restored afterwards")  //
        ("root", po::value<std::string>()->default_value("/"),
         "folder that holds the settings' files and PCM (for tests)")  //
        ("raw", po::bool_switch(), "also keep each sample")            //
        ("out", po::value<std::string>(),
         "the run's folder (default: results/<time>-live-linux)")  //
        ("timeout", po::value<std::string>()->default_value(std::to_string(normal_timeout_s)),
         "seconds without a record that mean a hang")                               //
        ("list", po::bool_switch(), "print the labs and their cases, run nothing")  //
        ("json", po::bool_switch(), "results.json on stdout instead of the table")  //
        ("quiet", po::bool_switch(), "no table, no progress");
    return options;
}

/// What the command line asks for.
struct HostRequest {
    std::vector<std::string> labs;  ///< names, or names and cases
    std::vector<std::string> argv;  ///< the program and its options, without the labs
    std::optional<std::string> cpus;
    std::string root;
    bool tune = false;
    unsigned timeout_s = 0;
    std::optional<fs::path> out;
};

/// Throws UsageError where `map` asks for something that the program or this machine cannot do.
HostRequest host_request(const po::variables_map& map, const Json& labs, const fs::path& program) {
    HostRequest request;
    request.labs = words_of(map, "lab");
    for (const std::string& word : request.labs) check_lab_word(labs, word);
    request.cpus = said(map, "cpus");
    if (request.cpus) check_cpus(*request.cpus);

    std::vector<std::string>& argv = request.argv;
    argv = {program.string()};
    auto pass_number = [&](const char* option, uint64_t least, uint64_t most) {
        uint64_t value =
            parse_number(map[option].as<std::string>(), std::string("--") + option, least, most);
        argv.insert(argv.end(), {std::string("--") + option, std::to_string(value)});
        return value;
    };
    pass_number("samples", 1, 100'000'000);
    pass_number("warm-up", 1, 1'000'000);
    uint64_t repetitions = pass_number("repetitions", 1, 1000);
    pass_number("seed", 0, ~0ull);
    if (request.cpus) argv.insert(argv.end(), {"--cpus", *request.cpus});
    auto counters = map["counters"].as<std::string>();
    check_choice("--counters", counters, {"off", "perf", "all"});
    request.root = map["root"].as<std::string>();
    argv.insert(argv.end(), {"--counters", counters, "--root", request.root});
    if (map["raw"].as<bool>()) {
        if (repetitions > 1)
            throw UsageError("--raw keeps the samples of one repetition only; omit --repetitions");
        argv.emplace_back("--raw");
    }
    request.tune = map["tune"].as<bool>();
    request.timeout_s = static_cast<unsigned>(
        parse_number(map["timeout"].as<std::string>(), "--timeout", 1, 1'000'000));
    if (auto folder = said(map, "out")) request.out = *folder;
    return request;
}

Finished run_on_host(const HostRequest& request, bool progress) {
    HostSettings settings(request.tune, cpus_of(request.cpus.value_or("0,1")), request.root);
    RunFolder folder = RunFolder::create(request.out, "live", "linux");
    std::vector<std::string> argv = request.argv;
    argv.insert(argv.end(), {"--benchmark-out", (folder.path() / "benchmark.json").string()});
    argv.insert(argv.end(), request.labs.begin(), request.labs.end());
    Json manifest = manifest_head("live", "linux");
    manifest.update(Json{{"labs", texts_of_words(request.labs)},
                         {"command", texts_of_words(argv)},
                         {"host", describe_host()},
                         {"settings", settings.json()}});
    Session session(std::move(folder), manifest, progress);
    session.machine_is({{"type", "linux"}});
    session.progress().say("looking at this machine ...");
    Watch watch(session, request.timeout_s,
                [&](int status) { return why_it_failed(status, session); });
    std::string failure;
    try {
        watch.run(argv);
        failure = watch.failure();
    } catch (const std::system_error& trouble) {
        failure = trouble.what();
    }
    if (watch.end_is_lost()) session.collector().end_is_lost();
    return session.finish(failure, watch.signal(), "");
}

int run_host(const po::variables_map& map) {
    fs::path program = beside_command("doorbell-linux");
    Json labs = labs_of(program);
    Showing showing = showing_from(map);
    if (map["list"].as<bool>()) {
        print_labs(labs, showing.json);
        return 0;
    }
    return show_with_report(run_on_host(host_request(map, labs, program), !showing.quiet), showing);
}

}  // namespace

const Command host_command = {
    .name = "host",
    .words = "[LAB...]",
    .summary = "run the same labs as Linux programs, with counters",
    .help =
        "Runs the labs as Linux programs on this machine. A LAB is a name (timer) or a name and "
        "cases (timer:source=timerfd). Nothing leaves this machine: packets stay on the loopback "
        "device and in network namespaces that end with the run. Google Benchmark's own JSON is "
        "written beside results.json.",
    .operand = "lab",
    .options = host_options,
    .run = run_host};

}  // namespace doorbell::harness
