// The commands that read runs, as a user types them.
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/property_tree/ptree.hpp>
#include <boost/property_tree/xml_parser.hpp>
#include <cstdlib>
#include <functional>
#include <regex>
#include <sstream>

#include "harness/results/compare/again.h"
#include "harness/results/compare/history.h"
#include "harness/results/export.h"
#include "harness/results/report/quiz.h"
#include "harness/results/table/table.h"
#include "harness/run/run_folder.h"
#include "tests/results/synthetic.h"

namespace doorbell::test {
namespace {

bool have(const std::string& tool) {
    return std::system(("command -v " + tool + " >/dev/null 2>&1").c_str()) == 0;
}

StoredRun small_run(uint64_t irq = 25) {
    StoredRun stored = run_of(
        {series_of("timer", "source=lapic wait=poll", "latency", std::vector<uint64_t>(100, 5)),
         series_of("timer", "source=lapic wait=irq", "latency", std::vector<uint64_t>(100, irq))});
    stored.run.claims = {{"timer", "one is < the other", true, "5 insn & 25 insn"},
                         {"timer", "it is \"cheap\"", false, "it is not"},
                         {"timer", "who knows", std::nullopt, "nobody"}};
    stored.run.skipped = {{"timer", CaseKeys::from_text("source=hpet wait=irq"), "no HPET"}};
    return stored;
}

/// Every file below a folder with its content, to check that nothing was changed.
std::map<std::string, std::string> everything_in(const fs::path& folder) {
    std::map<std::string, std::string> all;
    for (const auto& entry : fs::recursive_directory_iterator(folder))
        if (entry.is_regular_file()) all[entry.path().string()] = content(entry.path());
    return all;
}

struct Broken {
    const char* what;
    std::function<void(const Scratch&)> make;  ///< makes a folder "run"
    const char* said;
};

/// Folders that do not hold a run that this version can read.
std::vector<Broken> broken_runs() {
    std::string good = small_run().run.json().dump();
    auto with_results = [](std::string text) {
        return [text](const Scratch& s) { s.write("run/results.json", text); };
    };
    auto replaced = [&](const std::string& from, const std::string& to) {
        std::string text = good;
        size_t at = text.find(from);
        EXPECT_NE(at, text.npos) << from;
        return text.replace(at, from.size(), to);
    };
    return {
        {"nothing there", [](const Scratch&) {}, "there is no run at run"},
        {"foreign folder", [](const Scratch& s) { s.write("run/notes.txt", "mine"); },
         "neither manifest.json nor results.json"},
        {"half-written",
         [](const Scratch& s) {
             s.write("run/manifest.json", R"({"schema":"doorbell-manifest/1","status":"running"})");
         },
         "half-written"},
        {"cut", with_results(good.substr(0, good.size() / 2)), "ends in the middle"},
        {"empty", with_results(""), "it is empty"},
        {"not JSON", with_results("{\"schema\": nonsense}"), "not JSON from byte"},
        {"wrong at its last byte", with_results("{\"schema\":]"), "not JSON from byte 11 on"},
        {"a list", with_results("[1,2]"), "is not a JSON object"},
        {"another program's", with_results("{\"benchmarks\":[]}"), "is not a run of doorbell"},
        {"older", with_results(replaced("doorbell/1", "doorbell/0")),
         "this version reads doorbell/1"},
        {"wrong type", with_results(replaced("\"count\":100", "\"count\":\"many\"")), "is damaged"},
        {"a number without bounds", with_results(replaced("\"min\":5", "\"min\":1e999")),
         "it holds a number that is too large"},
        {"min above max", with_results(replaced("\"min\":5", "\"min\":77")), "min is above max"},
        {"a changed figure", with_results(replaced("\"sum\":500", "\"sum\":400")), "digest"},
        {"broken manifest",
         [good](const Scratch& s) {
             s.write("run/results.json", good);
             s.write("run/manifest.json", "{");
         },
         "manifest.json is damaged"},
    };
}

TEST(Commands, DamagedForeignOlderAndHalfWrittenRunsGiveAClearErrorAndStay) {
    for (const Broken& broken : broken_runs()) {
        Scratch scratch;
        save(scratch, "good", small_run());
        broken.make(scratch);
        auto before = everything_in(scratch / "");
        for (const char* words :
             {"report run", "compare good run", "compare run good", "export run --format csv",
              "reproduce run", "quiz --run run --answers /dev/null"}) {
            Outcome outcome = doorbell(scratch, words);
            // An answers file without answers is wrong usage, too, and is checked first.
            if (std::string(words).starts_with("quiz")) continue;
            EXPECT_EQ(outcome.status, 2) << broken.what << ": " << words;
            EXPECT_EQ(outcome.out, "") << broken.what << ": " << words;
            EXPECT_NE(outcome.err.find(broken.said), std::string::npos)
                << broken.what << ": " << words << " says: " << outcome.err;
            EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
        }
        fs::remove(scratch / "stdout.txt");
        fs::remove(scratch / "stderr.txt");
        EXPECT_EQ(everything_in(scratch / ""), before) << broken.what;
    }
}

TEST(Commands, SamplesOutsideOfTheFolderAreNotRead) {
    Scratch scratch;
    StoredRun stored = small_run();
    stored.run.series[0].raw_file = "../../secret.txt";
    save(scratch, "run", stored);
    EXPECT_NE(doorbell(scratch, "report run").err.find("outside"), std::string::npos);
}

TEST(Commands, CompareGates) {
    Scratch scratch;
    save(scratch, "a", small_run(25));
    save(scratch, "b", small_run(30));
    EXPECT_EQ(doorbell(scratch, "compare a b").status, 0);
    Outcome gated = doorbell(scratch, "compare a b --gate 5");
    EXPECT_EQ(gated.status, 1);
    EXPECT_NE(gated.err.find("timer source=lapic wait=irq latency"), std::string::npos);
    EXPECT_NE(gated.out.find("+5 insn (+20 %)"), std::string::npos) << gated.out;
    EXPECT_EQ(doorbell(scratch, "compare b a --gate 5").status, 0) << "faster is not a failure";
    EXPECT_EQ(doorbell(scratch, "compare a b --gate 20").status, 0) << "20 % is not more than 20 %";
    EXPECT_EQ(doorbell(scratch, "compare a b --gate much").status, 2);
    Json json = Json::parse(doorbell(scratch, "compare a b --gate 5 --json").out);
    EXPECT_EQ(json["gate"]["passed"], false);
    EXPECT_EQ(json["series"][0]["word"], "slower");
}

TEST(Commands, ExportsCsvWithARowABin) {
    Scratch scratch;
    save(scratch, "run", small_run());
    Outcome outcome = doorbell(scratch, "export run --format csv");
    EXPECT_EQ(outcome.out,
              "run,lab,case,metric,unit,evidence,part,bin_low,bin_high,count\n"
              "run,timer,source=lapic wait=poll,latency,insn,exact,all,5,5,100\n"
              "run,timer,source=lapic wait=irq,latency,insn,exact,all,25,25,100\n");
}

TEST(Commands, ExportsJunitThatAnXmlParserReads) {
    Scratch scratch;
    save(scratch, "run", small_run());
    Outcome outcome = doorbell(scratch, "export run --format junit");
    std::istringstream in(outcome.out);
    boost::property_tree::ptree tree;
    boost::property_tree::read_xml(in, tree);
    EXPECT_EQ(tree.get<int>("testsuites.<xmlattr>.tests"), 6);
    EXPECT_EQ(tree.get<int>("testsuites.<xmlattr>.failures"), 1);
    EXPECT_EQ(tree.get<int>("testsuites.<xmlattr>.skipped"), 2);
    std::map<std::string, std::string> failures;
    for (const auto& [name, one] : tree.get_child("testsuites.testsuite"))
        if (auto failure = one.get_optional<std::string>("failure.<xmlattr>.message"))
            failures[one.get<std::string>("<xmlattr>.name")] = *failure;
    EXPECT_EQ(
        failures,
        (std::map<std::string, std::string>{{"claim: it is \"cheap\"", "refuted: it is not"}}));
}

// A dashboard follows a test case by its name, which stays when a claim's wording changes.
TEST(Commands, JunitNamesAClaimByItsId) {
    Scratch scratch;
    StoredRun stored = small_run();
    stored.run.claims = {{"timer", "these words may change", false, "7 against 5", "poll-sooner"}};
    save(scratch, "run", stored);
    Outcome outcome = doorbell(scratch, "export run --format junit");
    EXPECT_NE(outcome.out.find("name=\"claim: poll-sooner\""), std::string::npos) << outcome.out;
    EXPECT_NE(outcome.out.find("these words may change"), std::string::npos) << outcome.out;
}

TEST(Commands, AFailedCaseIsAFailureInEveryForm) {
    Scratch scratch;
    StoredRun stored = small_run();
    stored.run.failed = {{"timer", CaseKeys::from_text("source=pit wait=irq"), "it hangs & hangs"}};
    save(scratch, "run", stored);
    std::istringstream in(doorbell(scratch, "export run --format junit").out);
    boost::property_tree::ptree tree;
    boost::property_tree::read_xml(in, tree);
    EXPECT_EQ(tree.get<int>("testsuites.<xmlattr>.failures"), 2);
    std::string message;
    for (const auto& [name, one] : tree.get_child("testsuites.testsuite"))
        if (one.get<std::string>("<xmlattr>.name", "") == "case: source=pit wait=irq")
            message = one.get<std::string>("failure.<xmlattr>.message", "");
    EXPECT_EQ(message, "it hangs & hangs");
    std::string shown = table(stored.run);
    EXPECT_NE(shown.find("FAILED: source=pit wait=irq: it hangs & hangs"), std::string::npos)
        << shown;
    EXPECT_NE(shown.find("FAILED: 1 case"), std::string::npos) << shown;
    ASSERT_EQ(doorbell(scratch, "report run --out page.html").status, 0);
    EXPECT_NE(content(scratch / "page.html").find("it hangs &amp; hangs: source=pit wait=irq"),
              std::string::npos);
    // The other run has neither that case nor a failure.
    save(scratch, "before", small_run());
    EXPECT_EQ(doorbell(scratch, "compare before run --gate 5").status, 0);
    stored.run.failed[0].test_case = stored.run.series[0].test_case;
    save(scratch, "run", stored);
    Outcome gated = doorbell(scratch, "compare before run --gate 5");
    EXPECT_EQ(gated.status, 1);
    EXPECT_NE(gated.err.find("timer source=lapic wait=poll failed in B: it hangs & hangs"),
              std::string::npos)
        << gated.err;
}

TEST(Commands, CompareOfGoogleBenchmarkReadsTheExport) {
    std::string compare_py;
    for (const auto& place :
         {"/usr/share/benchmark/compare.py", "/usr/share/benchmark/tools/compare.py",
          "/usr/bin/google-benchmark-compare"})
        if (fs::exists(place)) compare_py = place;
    if (compare_py.empty()) {
        FILE* list = popen("dpkg -L libbenchmark-tools 2>/dev/null | grep 'compare.py$'", "r");
        char line[512] = "";
        if (list != nullptr && std::fgets(line, sizeof line, list) != nullptr)
            compare_py.assign(line, std::string(line).find('\n'));
        if (list != nullptr) pclose(list);
    }
    if (compare_py.empty() || std::system("/usr/bin/python3 -c 'import scipy' 2>/dev/null") != 0)
        FAIL() << "compare.py (libbenchmark-tools) or its SciPy (python3-scipy) is not installed";
    Scratch scratch;
    save(scratch, "a", small_run(25));
    save(scratch, "b", small_run(30));
    ASSERT_EQ(doorbell(scratch, "export a --format gbench --out a.json && " DOORBELL_COMMAND
                                " export b --format gbench --out b.json")
                  .status,
              0);
    Outcome outcome =
        shell(scratch, "/usr/bin/python3 " + compare_py + " --no-color benchmarks a.json b.json");
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_TRUE(std::regex_search(
        outcome.out,
        std::regex("timer/source:lapic/wait:irq/latency/insn +\\+0\\.2000 +\\+0\\.2000 +25 +30")))
        << outcome.out;
}

// The layout as HdrHistogram publishes it: a head, lines of value, percentile, total count and
// 1/(1-percentile), the last without the fourth, and three lines of summary.
TEST(Export, PercentilesHaveTheLayoutOfHdrHistogram) {
    std::vector<uint64_t> values;
    for (uint64_t i = 1; i <= 1000; ++i) values.push_back(i);
    std::istringstream in(export_hgrm(series_of("x", "", "latency", values)));
    std::string line;
    std::getline(in, line);
    EXPECT_EQ(line, "       Value     Percentile TotalCount 1/(1-Percentile)");
    std::getline(in, line);
    EXPECT_EQ(line, "");
    std::regex row(" *([0-9]+\\.[0-9]{3}) ([01]\\.[0-9]{12}) +([0-9]+)( +[0-9]+\\.[0-9]{2})?");
    double last_value = 0, last_share = -1;
    int rows = 0;
    bool ended = false;
    for (; std::getline(in, line) && line[0] != '#'; ++rows) {
        std::smatch match;
        ASSERT_TRUE(std::regex_match(line, match, row)) << line;
        double value = std::stod(match[1]), share = std::stod(match[2]),
               count = std::stod(match[3]);
        EXPECT_FALSE(ended) << "nothing follows 100 %";
        EXPECT_GE(value, last_value);
        EXPECT_GT(share, last_share);
        EXPECT_EQ(count, value) << "of 1 to 1000, as many are at or below a value as it says";
        EXPECT_GE(count + 1e-6, share * 1000);
        if (match[4].matched) {
            EXPECT_NEAR(std::stod(match[4]), 1 / (1 - share), 0.006);
        }
        ended = !match[4].matched;
        last_value = value;
        last_share = share;
    }
    EXPECT_TRUE(ended);
    EXPECT_EQ(last_value, 1000);
    EXPECT_EQ(last_share, 1);
    EXPECT_GT(rows, 40) << "five steps for each halving";
    EXPECT_EQ(line, "#[Mean    =      500.500, StdDeviation   =      288.675]");
    std::getline(in, line);
    EXPECT_EQ(line, "#[Max     =     1000.000, Total count    =         1000]");
}

TEST(Export, TicksBecomeNanosecondsAndUnitsSurvive) {
    StoredRun stored =
        run_of({series_of("x", "n=1", "latency", {300, 300}, "tick", "measured")}, "live");
    stored.run.machine["tsc_hz"] = 3000000000;
    Json json = Json::parse(export_gbench(stored, {&stored.run.series[0]}));
    EXPECT_DOUBLE_EQ(json["benchmarks"][0]["real_time"].get<double>(), 100);
    EXPECT_EQ(json["benchmarks"][0]["time_unit"], "ns");
    EXPECT_EQ(json["benchmarks"][0]["unit"], "tick");
    EXPECT_EQ(json["benchmarks"][0]["evidence"], "measured");
}

TEST(Quiz, CountsAndProvesByTheRun) {
    Scratch scratch;
    std::string right;
    for (const Question& question : questions()) right += std::string(1, question.right) + "\n";
    scratch.write("answers", "# mine\n" + right);
    scratch.write("wrong", "1: a\n" + right.substr(2));
    Outcome without = doorbell(scratch, "quiz --answers answers");
    EXPECT_EQ(without.status, 0);
    EXPECT_NE(without.out.find("10 of 10 right"), std::string::npos) << without.out;
    EXPECT_NE(without.out.find("doorbell run"), std::string::npos)
        << "without a run it says which lab to run";

    save(scratch, "run",
         run_of({series_of("syscall", "gate=call space=same", "cost", std::vector<uint64_t>(9, 4)),
                 series_of("syscall", "gate=syscall space=same", "cost",
                           std::vector<uint64_t>(9, 321))}));
    Outcome with = doorbell(scratch, "quiz --answers wrong --run run");
    EXPECT_NE(with.out.find("9 of 10 right"), std::string::npos);
    EXPECT_NE(with.out.find("321 insn (exact)"), std::string::npos) << with.out;
    EXPECT_EQ(doorbell(scratch, "quiz --answers /dev/null").status, 2);
    EXPECT_EQ(Json::parse(doorbell(scratch, "quiz --answers wrong --json").out)["right"], 9);
}

TEST(Quiz, ShowsTheMissesOfAColdWalkWhereTheClockCannot) {
    auto walk = [](const char* metric, uint64_t misses) {
        Series series =
            series_of("switch", "set=262144 stride=64", metric, std::vector<uint64_t>(10, 8000));
        series.counters = {{"l1d_misses", misses, "modelled", "", 10},
                           {"dtlb_misses", 10 * (misses > 100), "modelled", "", 10},
                           {"loads", 4096, "modelled", "", 10}};
        return series;
    };
    Series refill =
        series_of("switch", "set=262144 stride=64", "refill", std::vector<uint64_t>(10, 0));
    auto proof = [](const StoredRun& stored) { return questions()[2].proof(stored.run); };
    EXPECT_EQ(proof(run_of({refill, walk("walk", 40), walk("walk-after-switch", 40960)})),
              "switch set=262144 stride=64: 4 cache and TLB misses in a walk, 4,097 in the one "
              "after a switch (modelled)");
    std::string counted = proof(run_of({refill}));
    EXPECT_EQ(counted.find("0 insn"), std::string::npos) << counted;
    EXPECT_NE(counted.find("--model on"), std::string::npos) << counted;
}

TEST(Compare, NamesTheFirstOfManySeriesThatOnlyOneRunHas) {
    std::vector<Series> many;
    for (int load = 0; load < 100; ++load)
        many.push_back(series_of("livelock", "load=" + std::to_string(load), "cost",
                                 std::vector<uint64_t>(9, 4)));
    Scratch scratch;
    save(scratch, "few", run_of({many[0]}));
    save(scratch, "all", run_of(many));
    Outcome outcome = doorbell(scratch, "compare few all");
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_NE(outcome.out.find("only in B: 89 more series"), std::string::npos) << outcome.out;
    EXPECT_LT(std::count(outcome.out.begin(), outcome.out.end(), '\n'), 24);
    Outcome gated = doorbell(scratch, "compare all few --gate 5 --quiet");
    EXPECT_EQ(gated.status, 1);
    EXPECT_NE(gated.err.find("livelock load=10 cost: B does not have it"), std::string::npos);
    EXPECT_NE(gated.err.find("89 more"), std::string::npos) << gated.err;
    EXPECT_EQ(std::count(gated.err.begin(), gated.err.end(), '\n'), 11);
}

TEST(History, KeepsTheNewestAndLeavesOtherFoldersAlone) {
    Scratch scratch;
    for (int hour = 10; hour < 15; ++hour)
        save(scratch, "results/20260101T" + std::to_string(hour) + "0000Z-exact-q35", small_run());
    save(scratch, "results/mine", small_run());
    scratch.write("results/20260101T090000Z-exact-pc/notes.txt", "no run");
    EXPECT_EQ(
        run_before(scratch / "results", scratch / "results/20260101T140000Z-exact-q35")->filename(),
        "20260101T130000Z-exact-q35");
    StoredRun interrupted = small_run();
    interrupted.run.complete = false;
    interrupted.run.failure = "interrupted by SIGINT";
    save(scratch, "results/20260101T133000Z-exact-q35", interrupted);
    EXPECT_EQ(
        run_before(scratch / "results", scratch / "results/20260101T140000Z-exact-q35")->filename(),
        "20260101T130000Z-exact-q35");
    fs::remove_all(scratch / "results/20260101T133000Z-exact-q35");
    EXPECT_EQ(runs_in(scratch / "results").size(), 5u);
    EXPECT_EQ(remove_old_runs(scratch / "results", 2).size(), 3u);
    EXPECT_TRUE(fs::exists(scratch / "results/20260101T130000Z-exact-q35"));
    EXPECT_FALSE(fs::exists(scratch / "results/20260101T120000Z-exact-q35"));
    EXPECT_TRUE(fs::exists(scratch / "results/mine"));
    EXPECT_TRUE(fs::exists(scratch / "results/20260101T090000Z-exact-pc"));
    EXPECT_NE(changes_since_last(scratch / "results/20260101T140000Z-exact-q35").find("2 equal"),
              std::string::npos);
}

TEST(History, NeitherTheRunJustMadeNorTheLatestIsRemoved) {
    Scratch scratch;
    auto save = [&](const char* name, const char* time, uint64_t sequence) {
        StoredRun stored = small_run();
        stored.manifest["time"] = time;
        if (sequence != 0) stored.manifest["sequence"] = sequence;
        return test::save(scratch, std::string("results/") + name, stored);
    };
    fs::path old = save("20260101T000000Z-exact-q35", "20260101T000000Z", 0);
    fs::path ahead = save("20990101T000000Z-exact-q35", "20990101T000000Z", 3);
    fs::path other = save("20260102T000000Z-exact-q35", "20260102T000000Z", 4);
    fs::path made = save("20260103T000000Z-exact-q35", "20260103T000000Z", 2);
    fs::create_directory_symlink(ahead.filename(), scratch / "results/latest");
    EXPECT_EQ(runs_in(scratch / "results").back().path, other) << "by their sequence";
    EXPECT_EQ(remove_old_runs(scratch / "results", 2, made), std::vector<fs::path>{old});
    EXPECT_TRUE(fs::exists(ahead)) << "latest points at it";
    EXPECT_EQ(remove_old_runs(scratch / "results", 1, made), std::vector<fs::path>{other});
    fs::remove_all(ahead);
    EXPECT_TRUE(remove_old_runs(scratch / "results", 1, made).empty());
    EXPECT_EQ(fs::read_symlink(scratch / "results/latest"), made.filename()) << "it never dangles";
}

TEST(Reproduce, ProvesADigitsEqualRunAndNamesADifference) {
    ASSERT_TRUE(have("qemu-system-x86_64")) << "qemu-system-x86 is not installed";
    Scratch scratch;
    Outcome run = doorbell(scratch, "run timer:source=lapic --samples 50 --out first --quiet");
    ASSERT_EQ(run.status, 0) << run.err;
    EXPECT_TRUE(fs::exists(scratch / "first/report.html"));
    auto before = everything_in(scratch / "first");
    Outcome again = doorbell(scratch, "reproduce first --out second --quiet");
    EXPECT_EQ(again.status, 0) << again.err;
    EXPECT_TRUE(std::regex_search(again.out,
                                  std::regex("^reproduced: ([0-9]+) of \\1 series identical\n$")))
        << again.out;
    EXPECT_EQ(everything_in(scratch / "first"), before);

    // A manifest with another QEMU version and image: both are reported by name before the run.
    Json manifest = Json::parse(content(scratch / "first/manifest.json"));
    manifest["qemu"]["version"] = "1.2.3";
    manifest["image"]["sha256"] = "0";
    scratch.write("first/manifest.json", manifest.dump());
    Outcome other = doorbell(scratch, "reproduce first --out third --quiet");
    EXPECT_NE(other.err.find("QEMU's version was 1.2.3"), std::string::npos) << other.err;
    EXPECT_NE(other.err.find("SHA-256 was 0"), std::string::npos) << other.err;

    // Another seed gives other digits.
    Outcome seed = doorbell(
        scratch,
        "run timer:source=lapic --samples 50 --seed 2 --out seed --quiet && " DOORBELL_COMMAND
        " reproduce first --with seed");
    EXPECT_EQ(seed.status, 1) << seed.out;
    EXPECT_NE(seed.out.find("not reproduced: "), std::string::npos) << seed.out;
}

}  // namespace
}  // namespace doorbell::test
