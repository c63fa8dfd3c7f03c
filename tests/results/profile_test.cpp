// Profiles: levels and their knees, refusals, units, and invalid files.
#include "harness/results/profile/profile.h"

#include <gtest/gtest.h>

#include "harness/results/profile/levels.h"
#include "harness/results/profile/model_words.h"
#include "harness/system/failure.h"
#include "host/model/geometry.h"
#include "tests/results/synthetic.h"

namespace doorbell::test {
namespace {

SweepPoint point(uint64_t size, double price, bool steady = true) {
    return {size, {price, price * 0.9, price * 1.1}, steady};
}

TEST(Levels, AreThePlateausAndEndAtTheKnees) {
    auto levels = levels_of({point(8, 4), point(16, 4), point(32, 4.2), point(48, 9), point(64, 14),
                             point(128, 14.5), point(256, 200), point(512, 210)});
    ASSERT_EQ(levels.size(), 3u);
    EXPECT_EQ(levels[0].last, 32u);
    EXPECT_EQ(levels[0].beyond, 48u);
    EXPECT_EQ(levels[1].first, 64u);
    EXPECT_EQ(levels[1].last, 128u);
    EXPECT_DOUBLE_EQ(levels[0].price->value, 4);
    EXPECT_DOUBLE_EQ(levels[2].price->high, 231);
    EXPECT_EQ(levels[2].beyond, 0u);
}

TEST(Levels, HaveNoPriceOfWhatWasNotSteady) {
    auto levels =
        levels_of({point(8, 4), point(16, 4.1, false), point(32, 90, false), point(64, 95, false)});
    ASSERT_EQ(levels.size(), 2u);
    EXPECT_DOUBLE_EQ(levels[0].price->high, 4.4);
    EXPECT_FALSE(levels[1].price.has_value());
}

/// A run of lab prices: 26 % of the samples at the least value, so that p25 is that one.
StoredRun run_with(const std::string& evidence,
                   const std::vector<std::pair<std::string, uint64_t>>& prices) {
    StoredRun stored;
    stored.name = "a-run";
    stored.run.instrument["evidence"] = evidence;
    stored.run.machine["tsc_hz"] = 2'000'000'000;
    bool exact = evidence == "exact";
    for (const auto& [test_case, milli] : prices) {
        const char* unit = exact ? "milli-insn" : "millitick";
        stored.run.series.push_back(series_of("prices", test_case, "price",
                                              {milli, milli, milli, milli + 10}, unit, evidence));
        stored.run.series.push_back(
            series_of("prices", test_case, "yardstick", {1500, 1500, 1500, 1500}, unit, evidence));
    }
    return stored;
}

TEST(Profile, HasTicksCyclesAndNanosecondsOfAProcessor) {
    Profile p = profile_of(run_with(
        "measured", {{"primitive=yardstick", 1500}, {"primitive=int-iretq ring=3", 400'000}}));
    const Price* price = p.find("int-iretq-ring3");
    ASSERT_NE(price, nullptr);
    EXPECT_NEAR(price->ticks->value, 400, 0.5);
    EXPECT_NEAR(price->cycles->value, 800, 1);
    EXPECT_NEAR(price->ns->value, 200, 0.3);
    EXPECT_FALSE(price->insn.has_value());
    EXPECT_NEAR(p.yardstick->value, 2, 0.01);
    EXPECT_EQ(price->evidence, "measured");
}

TEST(Profile, HasTheModelOfItsCapacities) {
    Profile p;
    EXPECT_EQ(model_words_of(p), "on");
    p.capacities = {{"l1d", "byte", 49152, 65536},
                    {"l2", "byte", 1 << 20, 0},
                    {"llc", "byte", 1408 * 1024, 0},
                    {"dtlb-4k", "page", 96, 128},
                    {"l2-tlb-4k", "page", 1536, 2048}};
    EXPECT_EQ(model_words_of(p),
              "on,l1d=49152:12:64,l2=1048576:8:64,llc=1441792:11:64,dtlb=96:96,stlb=1536:12");
    EXPECT_EQ(model::parse(model_words_of(p)).llc.bytes, 1408u * 1024);
    p.model = "zen2,llc=32M:16:64";
    EXPECT_EQ(model_words_of(p), p.model);
}

TEST(Profile, NeverSpeaksOfCyclesUnderEmulation) {
    Profile rough = profile_of(run_with("rough", {{"primitive=lfence", 8000}}));
    EXPECT_FALSE(rough.find("lfence")->cycles.has_value());
    Profile exact = profile_of(run_with("exact", {{"primitive=lfence", 1000}}));
    EXPECT_FALSE(exact.find("lfence")->ticks.has_value());
    EXPECT_FALSE(exact.find("lfence")->ns.has_value());
    EXPECT_DOUBLE_EQ(exact.find("lfence")->insn->value, 1);
}

TEST(Profile, ListsWhatWasRefusedWithItsReason) {
    StoredRun stored = run_with("measured", {{"primitive=clflush", 5000}});
    stored.run.series[0].flags.push_back("refused: the price is not steady");
    stored.run.skipped.push_back({"prices", CaseKeys::from_text("primitive=rdtscp"), "no RDTSCP"});
    Profile p = profile_of(stored);
    EXPECT_EQ(p.find("clflush"), nullptr);
    ASSERT_EQ(p.refused.size(), 1u);
    EXPECT_EQ(p.refused[0].reason, "refused: the price is not steady");
    ASSERT_EQ(p.absent.size(), 1u);
    EXPECT_EQ(p.absent[0].reason, "no RDTSCP");
}

TEST(Profile, TakesTheTablesLinesOutOfScatteredLoads) {
    // A scattered access is two instructions, and one in sixteen begins a line of its table.
    StoredRun stored = run_with("rough", {{"primitive=load-chained bytes=8192", 1000},
                                          {"primitive=load-chained bytes=16384", 1000},
                                          {"primitive=load-chained bytes=65536", 33'000},
                                          {"primitive=load-chained bytes=131072", 33'000},
                                          {"primitive=load-streamed bytes=16384", 1000},
                                          {"primitive=load-streamed bytes=131072", 33'000},
                                          {"primitive=load-scattered bytes=16384", 2000},
                                          {"primitive=load-scattered bytes=131072", 36'000}});
    Profile p = profile_of(stored);
    EXPECT_NEAR(p.find("load-scattered-l1d")->ticks->value, 2, 1e-9);
    // The last level of the sweep is the memory.
    EXPECT_NEAR(p.find("load-scattered-memory")->ticks->value, 34, 0.05);
}

TEST(Profile, HasTheFlagsOfTheSizesThatALevelComesFrom) {
    StoredRun stored = run_with("measured", {{"primitive=load-chained bytes=8192", 1000},
                                             {"primitive=load-chained bytes=16384", 1000},
                                             {"primitive=load-chained bytes=65536", 9000},
                                             {"primitive=load-chained bytes=131072", 9000}});
    for (Series& s : stored.run.series)
        if (s.metric == "price" && s.test_case["bytes"] == "65536")
            s.flags.push_back("small pages");
    Profile p = profile_of(stored);
    EXPECT_TRUE(p.find("load-chained-l1d")->flags.empty());
    EXPECT_EQ(p.find("load-chained-memory")->flags, std::vector<std::string>{"small pages"});
}

TEST(Profile, SaysWhatTheMachinePromisesAndWhatDisturbedIt) {
    StoredRun stored = run_with("measured", {{"primitive=load-chained bytes=8192", 1000},
                                             {"primitive=load-chained bytes=16384", 1000},
                                             {"primitive=load-chained bytes=65536", 9000},
                                             {"primitive=load-chained bytes=131072", 9000}});
    EXPECT_TRUE(profile_of(stored).notes.empty());
    EXPECT_TRUE(profile_of(stored).smt.is_null());
    stored.run.machine["smt"] = true;
    stored.run.machine["page_bytes"] = 2 << 20;
    stored.run.machine["caches"] = {{"l1d", 32768}};
    Profile right = profile_of(stored);
    EXPECT_TRUE(right.notes.empty()) << "the knee lies between 16384 and 65536";
    EXPECT_EQ(right.smt, Json(true));
    EXPECT_EQ(right.page_bytes, 2u << 20);
    stored.run.machine["caches"] = {{"l1d", 131072}};
    stored.run.instrument["gap_share_ppm"] = 1200;
    stored.run.instrument["gap_longest"] = 90000;
    stored.run.instrument["unit"] = "tick";
    Profile p = profile_of(stored);
    ASSERT_EQ(p.notes.size(), 2u);
    EXPECT_TRUE(p.notes[0].starts_with("1200 ppm of the time went elsewhere")) << p.notes[0];
    EXPECT_EQ(p.notes[1],
              "l1d: CPUID promises 131072 bytes, and loads over more than 16384 are slower");
    EXPECT_EQ(Profile::from(p.json()).notes, p.notes);
}

TEST(Profile, NeedsARunWithPrices) {
    StoredRun stored;
    stored.name = "other";
    stored.run.series.push_back(series_of("timer", "wait=irq", "latency", {1}));
    EXPECT_THROW(profile_of(stored), UsageError);
}

TEST(Profile, IsReadBackAsItWasWritten) {
    Profile p = profile_of(run_with("measured", {{"primitive=yardstick", 1500},
                                                 {"primitive=lfence", 8000},
                                                 {"primitive=load-chained bytes=8192", 2000},
                                                 {"primitive=load-chained bytes=16384", 2000},
                                                 {"primitive=load-chained bytes=65536", 9000},
                                                 {"primitive=load-chained bytes=131072", 9000}}));
    Json once = p.json();
    EXPECT_EQ(Profile::from(once).json(), once);
    EXPECT_EQ(once.at("schema"), "doorbell-profile/1");
    EXPECT_NE(p.find("load-chained-l1d"), nullptr);
    EXPECT_NE(p.find("load-chained-memory"), nullptr);
    ASSERT_EQ(p.capacities.size(), 1u);
    EXPECT_EQ(p.capacities[0].low, 16384u);
    EXPECT_EQ(p.capacities[0].high, 65536u);
}

std::string why_not(const std::string& text) {
    try {
        Profile::from(Json::parse(text));
        return "";
    } catch (const std::exception& error) {
        return error.what();
    }
}

TEST(Profile, SaysWhatIsWrongWithAFile) {
    EXPECT_EQ(why_not(R"({"schema":"doorbell/1"})"),
              "its schema is \"doorbell/1\", not doorbell-profile/1");
    const std::string head = R"({"schema":"doorbell-profile/1","evidence":"published","prices":)";
    EXPECT_EQ(why_not(head + R"([{"name":"lfence","cycles":{"value":4,"low":5,"high":6}}]})"),
              "price \"lfence\": cycles is not in the order 0 <= low <= value <= high");
    EXPECT_EQ(why_not(head + R"([{"name":"lfence","cycles":{"value":4,"low":4,"high":6}}]})"),
              "price \"lfence\" is published, and \"from\" names no source");
    EXPECT_EQ(why_not(head + R"([{"name":"lfence","from":["x"]}]})"),
              "price \"lfence\" has a value in none of insn, ticks, cycles and ns");
    EXPECT_EQ(why_not(head + R"(7})"), "\"prices\" is not a list");
}

}  // namespace
}  // namespace doorbell::test
