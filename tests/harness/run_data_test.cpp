#include <gtest/gtest.h>

#include <sstream>

#include "firmware/measure/histogram.h"
#include "harness/data/case_list.h"
#include "harness/data/digest.h"
#include "harness/results/table/table.h"
#include "harness/system/sha256.h"
#include "tests/harness/wire_lines.h"

namespace doorbell::harness {
namespace {

Run two_series(bool swapped, std::string_view extra = R"("flags":[])") {
    Lines lines;
    lines.add(R"({"t":"hello"})");
    lines.series(swapped ? 1 : 0, swapped ? "source=pit wait=irq" : "source=lapic wait=irq", 9,
                 extra);
    lines.series(swapped ? 0 : 1, swapped ? "source=lapic wait=irq" : "source=pit wait=irq", 9,
                 extra);
    return collect(lines.end().text());
}

TEST(Tallies, ComeFromTheWireAreKeptShownAndChangeNoDigest) {
    Lines lines;
    lines.add(R"({"t":"hello"})").series(0, "wait=irq");
    lines.add(R"({"t":"alive","lab":"timer","case":"wait=irq","frames":7})");
    lines
        .add(
            R"({"t":"tally","lab":"timer","case":"wait=irq","name":"frames","values":[["arp",2],["runt",0],["vlan",12345]]})")
        .end();
    harness::Run run = collect(lines.text());
    EXPECT_TRUE(run.complete) << run.failure;
    harness::Run again = Run::from(run.json());
    ASSERT_EQ(again.tallies.size(), 1u);
    EXPECT_EQ(again.tallies[0].test_case["wait"], "irq");
    EXPECT_EQ(again.tallies[0].values, (std::vector<std::pair<std::string, uint64_t>>{
                                           {"arp", 2}, {"runt", 0}, {"vlan", 12345}}));
    EXPECT_EQ(again.json(), run.json());
    EXPECT_NE(table(run).find("frames: wait=irq: arp 2, vlan 12,345"), std::string::npos)
        << table(run);
    Lines plain;
    plain.add(R"({"t":"hello"})").series(0, "wait=irq").end();
    EXPECT_EQ(run.digest, collect(plain.text()).digest);
    EXPECT_FALSE(collect(plain.text()).json().contains("tallies"))
        << "nothing new where there is nothing to say";
    Lines bad;
    bad.add(R"({"t":"hello"})")
        .add(R"({"t":"tally","lab":"a","case":"","name":"x","values":[["arp",-1]]})")
        .end();
    EXPECT_EQ(collect(bad.text()).wire.damaged, 1u);
}

TEST(Digest, IsTheKnownOne) {
    // The format itself, so that changing it is a decision and not an accident.
    Lines lines;
    lines.add(R"({"t":"hello"})").series(0, "wait=irq source=lapic").end();
    EXPECT_EQ(canonical_form(collect(lines.text())),
              "doorbell-digest/1\n"
              "[\"timer\",{\"source\":\"lapic\",\"wait\":\"irq\"},\"latency\",\"insn\",3,5,9,19,[["
              "5,2],[9,1]],[],[]]\n");
    EXPECT_EQ(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Digest, DoesNotDependOnTheOrder) {
    EXPECT_EQ(two_series(false).digest, two_series(true).digest);
}

TEST(Digest, ChangesWithEachCountedThing) {
    harness::Run run = two_series(false);
    std::string before = digest(run);
    auto differs = [&](auto change) {
        harness::Run other = run;
        change(other.series[0]);
        return digest(other) != before;
    };
    EXPECT_TRUE(differs([](Series& s) { s.bins.add(5, 1); }));
    EXPECT_TRUE(differs([](Series& s) { ++s.count; }));
    EXPECT_TRUE(differs([](Series& s) { ++s.max; }));
    EXPECT_TRUE(
        differs([](Series& s) { s.test_case = CaseKeys::from_text("source=hpet wait=irq"); }));
    EXPECT_TRUE(differs([](Series& s) { s.stages.push_back({"entry", {}, 0, 0, 0}); }));
    EXPECT_TRUE(differs([](Series& s) { s.counters.push_back({"l1d_misses", 3, "modelled"}); }));
    EXPECT_FALSE(differs([](Series& s) { s.counters.push_back({"cycles", 3, "measured"}); }));
    EXPECT_FALSE(differs([](Series& s) { s.cold = {{"count", 1}}; }));
}

TEST(Digest, LeavesOutWhatIsUnstableOrNotExact) {
    harness::Run run = two_series(false);
    run.series[0].flags.push_back("unstable: hlt");
    harness::Run without = run;
    without.series.erase(without.series.begin());
    EXPECT_EQ(digest(run), digest(without));
    run.series[1].evidence = "rough";
    EXPECT_EQ(digest(run), "");
}

TEST(Digest, OutlivesTheFile) {
    harness::Run run = two_series(
        false, R"("flags":["a"],"counters":[{"name":"n","value":7,"evidence":"exact"}])");
    EXPECT_EQ(digest(harness::Run::from(Json::parse(run.json().dump()))), run.digest);
}

TEST(Results, ReadBackWhatTheyWrote) {
    harness::Run run = two_series(false);
    run.claims.push_back({"timer", "text", std::nullopt, "too few"});
    run.claims.push_back({"timer", "other", false, ""});
    run.claims.push_back({"timer", "with an id", true, "so", "an-id"});
    run.skipped.push_back({"timer", CaseKeys::from_text("source=hpet"), "none"});
    run.failed.push_back({"timer", CaseKeys::from_text("source=pit"), "it hangs"});
    run.series[0].better = wire::Better::neither;
    run.series[0].shape = wire::Shape::total;
    harness::Run again = harness::Run::from(run.json());
    EXPECT_EQ(again.json(), run.json());
    ASSERT_EQ(again.failed.size(), 1u);
    EXPECT_EQ(again.failed[0].name(), "timer source=pit");
    EXPECT_EQ(again.series[0].better, wire::Better::neither);
    EXPECT_EQ(again.series[0].shape, wire::Shape::total);
}

TEST(Results, OfOlderVersionsAreReadAsTheyWereMeant) {
    struct {
        const char *metric, *unit;
        wire::Better better;
        wire::Shape shape;
    } const then[] = {{"latency", "insn", wire::Better::less, wire::Shape::distribution},
                      {"delivered", "ppm", wire::Better::more, wire::Shape::distribution},
                      {"committed", "batch", wire::Better::more, wire::Shape::total},
                      {"torn", "batch", wire::Better::less, wire::Shape::total},
                      {"exception", "vector", wire::Better::neither, wire::Shape::distribution}};
    for (const auto& one : then) {
        Json json = two_series(false).json();
        json.erase("failed");
        json["series"][0]["metric"] = one.metric;
        json["series"][0]["unit"] = one.unit;
        json["series"][0].erase("better");
        json["series"][0].erase("shape");
        Series series = harness::Run::from(json).series[0];
        EXPECT_EQ(series.better, one.better) << one.metric;
        EXPECT_EQ(series.shape, one.shape) << one.metric;
    }
}

TEST(Results, IgnoreUnknownMembersAndRefuseAnotherSchema) {
    Json json = two_series(false).json();
    json["tomorrow"] = {1, 2};
    json["series"][0]["tomorrow"] = "x";
    EXPECT_EQ(harness::Run::from(json).series.size(), 2u);
    json["schema"] = "doorbell/9";
    EXPECT_THROW(harness::Run::from(json), std::runtime_error);
    EXPECT_THROW(harness::Run::from(Json::object()), std::runtime_error);
    EXPECT_THROW(harness::Run::from({{"schema", "doorbell/1"}, {"series", 5}}), std::runtime_error);
}

TEST(Results, ConvertTicksToTimeAndInstructionsNever) {
    harness::Run run = two_series(false);
    run.machine["tsc_hz"] = 2000000000;
    run.series[1].unit = "tick";
    run.series[1].evidence = "measured";
    Json json = run.json();
    EXPECT_FALSE(json["series"][0].contains("ns"));
    EXPECT_DOUBLE_EQ(json["series"][1]["ns"]["max"].get<double>(), 4.5);
}

TEST(Bins, HaveTheImagesPercentiles) {
    static measure::Histogram image;
    image.clear();
    uint64_t x = 1;
    for (int i = 0; i < 10000; ++i) {
        x = x * 6364136223846793005ull + 1442695040888963407ull;
        image.record(x >> (20 + i % 40));
    }
    Bins bins;
    for (size_t bin = 0; bin < measure::Histogram::bins; ++bin)
        if (image.at(bin) != 0) bins.add(measure::Histogram::lowest_of(bin), image.at(bin));
    for (uint64_t p : {1ull, 50000ull, 90000ull, 99000ull, 99900ull, 100000ull})
        EXPECT_EQ(bins.percentile(p, image.min(), image.max()), image.percentile(p)) << p;
}

TEST(Table, FitsAHundredColumns) {
    harness::Run run = two_series(false);
    run.series[0].test_case = CaseKeys::from_text(
        "model=e1000e op=receive burst=32 policy=hybrid threshold=1000000 wait=irq-halt");
    run.series[0].max = 123456789012345;
    run.series[0].flags.push_back(
        "a flag with a good many words in it, so that it has to go on in a second line of the "
        "table");
    run.claims.push_back(
        {"timer",
         "a claim that takes quite a lot of words to say what it says about the world of timers",
         false, "45 insn against 12,010 insn"});
    run.skipped.push_back({"timer", CaseKeys::from_text("source=tsc-deadline wait=irq"),
                           "this processor has no such timer, says CPUID"});
    run.failure =
        std::string(10, 'x') +
        " and then it went on and on until nobody could read it any more in one line of text";
    std::istringstream lines(table(run));
    for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 100u) << line;
}

TEST(Table, ShowsUnitEvidenceClaimAndSkip) {
    harness::Run run = two_series(false);
    run.claims.push_back({"timer", "the sky is up", false, "it fell"});
    run.skipped.push_back({"timer", CaseKeys::from_text("source=hpet"), "there is no HPET"});
    std::string text = table(run);
    for (const char* words :
         {"source=lapic", "irq", "insn", "exact", "REFUTED: the sky is up (it fell)",
          "source=hpet: there is no HPET", "sha256:"})
        EXPECT_NE(text.find(words), std::string::npos) << words << "\n" << text;
    EXPECT_EQ(text.find("cycle"), text.find("cycles")) << "instructions are not cycles";
}

TEST(Table, GivesEachCaseARowWhereRowsWouldNotFitAScreen) {
    harness::Run run = two_series(false);
    Series one = run.series[0];
    run.series.clear();
    for (int load = 1; load <= 10; ++load)
        for (const char* metric : {"delivered", "wasted", "cost"}) {
            one.test_case = CaseKeys::from_text("load=" + std::to_string(load));
            one.metric = metric;
            one.flags.clear();
            if (load == 3) one.flags = {"noisy: somebody knocked"};
            run.series.push_back(one);
        }
    std::string text = table(run);
    size_t rows = 0, named = 0;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        rows += line.starts_with("  load=");
        named += line.find("delivered") != line.npos && line.find("wasted") != line.npos &&
                 line.find("cost") != line.npos;
        EXPECT_LE(line.size(), 100u) << line;
    }
    EXPECT_EQ(rows, 10u) << text;
    EXPECT_EQ(named, 2u) << "the heading, and the flag that three series share:\n" << text;
    EXPECT_NE(text.find("* load=3, delivered, wasted, cost: noisy: somebody knocked"),
              std::string::npos)
        << text;
}

TEST(Cases, AreFoldedKeyByKey) {
    std::vector<CaseKeys> grid;
    for (const char* policy : {"irq", "poll"})
        for (const char* load : {"1", "2", "3"})
            grid.push_back(CaseKeys::from_text(std::string("policy=") + policy + " load=" + load));
    EXPECT_EQ(folded_text(grid), "policy=irq|poll load=1|2|3");
    grid.push_back(grid.front());
    EXPECT_EQ(folded_text(grid), "policy=irq|poll load=1|2|3") << "each case once";
    grid.erase(grid.begin() + 1);
    EXPECT_EQ(folded_text(grid), "policy=irq load=1|3; policy=poll load=1|2|3")
        << "no case that is not there";
    EXPECT_EQ(folded_text({CaseKeys::from_text("a=1"), CaseKeys::from_text("b=1"), CaseKeys()}),
              "a=1; b=1; ");
}

TEST(Wrapped, BreaksALongListOfAlternatives) {
    std::string text = wrapped(
        "  case: ", "try=" + std::string(30, 'a') + "|" + std::string(30, 'b') + "|c ring=0", 50);
    EXPECT_EQ(text, "  case: try=" + std::string(30, 'a') + "|\n        " + std::string(30, 'b') +
                        "|c ring=0\n");
}

}  // namespace
}  // namespace doorbell::harness
