// Runs of a clock with a step: what is shown and judged of them.
#include <gtest/gtest.h>

#include "harness/data/short_mean.h"
#include "harness/results/compare/compare.h"
#include "harness/results/figures.h"
#include "harness/results/report/report_tables.h"
#include "harness/results/table/table.h"
#include "tests/harness/wire_lines.h"
#include "tests/results/synthetic.h"

namespace doorbell::test {
namespace {

constexpr double pair_ticks = 53.3;
constexpr uint64_t step = 26, least_pair = 26;

/// Samples of a body of `ticks` around which a pair of timestamps was taken, the least pair off.
std::vector<uint64_t> timed(std::mt19937_64& random, size_t count, double ticks) {
    std::uniform_real_distribution<double> phase(0, step);
    std::vector<uint64_t> values(count);
    for (uint64_t& value : values)
        value =
            static_cast<uint64_t>((phase(random) + pair_ticks + ticks) / step) * step - least_pair;
    return values;
}

StoredRun coarse_run(std::vector<Series> all) {
    for (Series& series : all) {
        series.pair = true;
        series.overhead_removed = least_pair;
    }
    StoredRun stored = run_of(std::move(all), "live");
    stored.run.instrument["resolution"] = step;
    stored.run.instrument["timestamp_overhead_mean"] = pair_ticks;
    stored.run.instrument["timestamp_overhead_error"] = 0.1;
    return stored;
}

Series cost(std::mt19937_64& random, double ticks, size_t count = 10000) {
    return series_of("syscall", "gate=call", "cost", timed(random, count, ticks), "tick",
                     "measured");
}

TEST(CoarseRun, AShortBodyIsItsMeanWithAnErrorAndALongOneItsMedian) {
    std::mt19937_64 random(1);
    for (double ticks : {0.0, 2.4, 180.0}) {
        StoredRun stored = coarse_run({cost(random, ticks)});
        auto mean = short_mean(stored.run.instrument, stored.run.series[0]);
        ASSERT_TRUE(mean);
        EXPECT_LT(mean->standard_error, 0.3);
        EXPECT_NEAR(mean->mean, ticks, 4 * mean->standard_error);
        Json json = stored.run.json().at("series").at(0);
        EXPECT_EQ(json.at("short_mean").at("mean"), mean->mean);
        EXPECT_EQ(json.at("short_mean").at("standard_error"), mean->standard_error);
        harness::Run again = harness::Run::from(stored.run.json());
        EXPECT_EQ(again.json(), stored.run.json());
    }
    StoredRun lengthy = coarse_run({cost(random, 21.0 * step)});
    EXPECT_FALSE(short_mean(lengthy.run.instrument, lengthy.run.series[0]));
    StoredRun fine = coarse_run({cost(random, 2.4)});
    fine.run.instrument["resolution"] = 1;
    EXPECT_FALSE(short_mean(fine.run.instrument, fine.run.series[0]));
    StoredRun old = coarse_run({cost(random, 2.4)});
    old.run.instrument.erase("timestamp_overhead_mean");
    EXPECT_FALSE(short_mean(old.run.instrument, old.run.series[0])) << "a run of an older version";
}

TEST(CoarseRun, TheTableShowsTheStepAndTheMean) {
    std::mt19937_64 random(2);
    StoredRun stored = coarse_run({cost(random, 2.4)});
    std::string text = table(stored.run);
    auto mean = short_mean(stored.run.instrument, stored.run.series[0]);
    ASSERT_TRUE(mean);
    EXPECT_NE(text.find(mean_figure(*mean)), std::string::npos) << text;
    EXPECT_NE(text.find(" step "), std::string::npos) << text;
    EXPECT_NE(text.find(" 26  measured"), std::string::npos) << text;
    stored.run.instrument["resolution"] = 1;
    EXPECT_EQ(table(stored.run).find(" step "), std::string::npos) << "a fine clock needs no step";
}

TEST(CoarseRun, ATableOfManySeriesSaysTheStepOnceAndMeansOfWhatIsShort) {
    std::mt19937_64 random(3);
    std::vector<Series> all;
    for (int i = 0; i < 30; ++i)
        all.push_back(series_of("syscall", "n=" + std::to_string(i), "cost",
                                timed(random, 2000, 10), "tick", "measured"));
    StoredRun stored = coarse_run(std::move(all));
    std::string text = table(stored.run);
    EXPECT_NE(text.find("steps of 26"), std::string::npos) << text;
    EXPECT_NE(text.find("+-"), std::string::npos) << text;
}

TEST(CoarseRun, TheReportHasTheMeanToo) {
    std::mt19937_64 random(4);
    StoredRun stored = coarse_run({cost(random, 2.4)});
    std::string html = series_table({stored}, "syscall");
    auto mean = short_mean(stored.run.instrument, stored.run.series[0]);
    EXPECT_NE(html.find(mean_figure(*mean)), std::string::npos);
    EXPECT_NE(html.find("steps of 26"), std::string::npos);
}

TEST(CoarseRun, MeansHaveTheDigitsOfTheirError) {
    EXPECT_EQ(mean_figure({2.4321, 0.1234, 1, 0}), "2.43+-0.12");
    EXPECT_EQ(mean_figure({1234.4, 26, 1, 0}), "1,234+-26");
    EXPECT_EQ(mean_figure({-0.01, 0.2, 1, 0}), "-0.01+-0.20");
}

TEST(CoarseRun, CompareJudgesMeansAndNothingFinerThanTheirError) {
    std::mt19937_64 random(5);
    int alarms = 0;
    for (int i = 0; i < 300; ++i) {
        Comparison same =
            compare(coarse_run({cost(random, 2.4, 2000)}), coarse_run({cost(random, 2.4, 2000)}));
        EXPECT_EQ(same.series.at(0).figures.at(0).what, "mean");
        alarms += same.series.at(0).changed();
    }
    EXPECT_LE(alarms, 5) << "of 300; by chance 1.5";
    // Two ticks more, of a clock with steps of 26: the medians are the same.
    Comparison slower = compare(coarse_run({cost(random, 2.4)}), coarse_run({cost(random, 4.8)}));
    EXPECT_EQ(slower.series.at(0).summary(), Word::slower) << comparison_text(slower, true);
}

TEST(CoarseRun, CompareSaysNothingOfADifferenceBelowAStep) {
    std::mt19937_64 random(6);
    // Long bodies have medians; these are off by a tick, and most samples by a step.
    auto longer = [&](double ticks) {
        return coarse_run({series_of("syscall", "gate=call", "cost", timed(random, 5000, ticks),
                                     "tick", "measured")});
    };
    Comparison comparison = compare(longer(20 * step - 0.4 + 2 * step), longer(22 * step + 12.8));
    const FigureChange& median = comparison.series.at(0).figures.at(0);
    EXPECT_EQ(median.what, "median");
    EXPECT_GE(median.step, step);
    if (std::abs(median.b - median.a) < step) {
        EXPECT_FALSE(comparison.series.at(0).changed());
    }
    std::string text = comparison_text(comparison, true);
    EXPECT_EQ(text.find("+13 tick"), std::string::npos) << text;
}

TEST(CoarseRun, RoughMeansNearNothingAreNoAlarm) {
    std::mt19937_64 random(7);
    auto rough = [&](double ticks) {
        Series series = cost(random, ticks);
        series.evidence = "rough";
        return coarse_run({series});
    };
    EXPECT_FALSE(compare(rough(-2), rough(6)).series.at(0).changed())
        << "less than a step, and the host's load moves it";
    EXPECT_EQ(compare(rough(40), rough(170)).series.at(0).summary(), Word::slower);
}

TEST(CoarseRun, ThousandthsOfTheWireAreUnitsInTheResults) {
    harness::Run run = collect(
        Lines()
            .add(
                R"({"t":"instrument","unit":"tick","resolution":26,"timestamp_overhead_mean_milli":53312,"timestamp_overhead_error_milli":97})")
            .end()
            .text());
    EXPECT_EQ(run.instrument.at("timestamp_overhead_mean"), 53.312);
    EXPECT_EQ(run.instrument.at("timestamp_overhead_error"), 0.097);
    EXPECT_FALSE(run.instrument.contains("timestamp_overhead_mean_milli"));
}

harness::Run with_core(const std::string& core) {
    return collect(
        Lines()
            .add(R"({"t":"machine","tsc_hz":2000000000})")
            .add(
                R"({"t":"series","id":1,"lab":"syscall","case":"gate=call","metric":"cost","unit":"tick","evidence":"measured","count":2,"min":100,"max":100,"sum":200,"pair":true,"overhead_removed":26,"flags":[]})")
            .add(R"({"t":"histogram","of":1,"part":"all","bins":[[100,2]]})")
            .add(core)
            .end()
            .text());
}

TEST(Yardstick, StandsBesideEachSeriesOfItsCaseAndFlagsADrift) {
    harness::Run steady = with_core(
        R"({"t":"core","lab":"syscall","case":"gate=call","yardstick":[1620000,1650000]})");
    ASSERT_TRUE(steady.complete) << steady.failure;
    Json json = steady.json().at("series").at(0);
    EXPECT_EQ(json.at("yardstick"), Json({{"before", 1.62}, {"after", 1.65}}));
    EXPECT_TRUE(json.at("flags").empty());
    EXPECT_FALSE(json.contains("cycles")) << "no counter was read";
    EXPECT_EQ(harness::Run::from(steady.json()).json(), steady.json());

    Json drifted =
        with_core(
            R"({"t":"core","lab":"syscall","case":"gate=call","yardstick":[1620000,1653000]})")
            .json()
            .at("series")
            .at(0);
    ASSERT_EQ(drifted.at("flags").size(), 1u);
    EXPECT_NE(drifted.at("flags").at(0).get<std::string>().find("1.620 core cycles a tick"),
              std::string::npos);
    EXPECT_TRUE(
        with_core(R"({"t":"core","lab":"syscall","case":"gate=int","yardstick":[1620000,1820000]})")
            .json()
            .at("series")
            .at(0)
            .at("flags")
            .empty())
        << "another case's";
}

TEST(Yardstick, ACounterOfCoreCyclesGivesCyclesBesideTicks) {
    harness::Run run = with_core(
        R"({"t":"core","lab":"syscall","case":"gate=call","yardstick":[1620000,1620000],"counted":1615000,"counter":"aperf"})");
    Json cycles = run.json().at("series").at(0).at("cycles");
    EXPECT_EQ(cycles.at("counter"), "aperf");
    EXPECT_DOUBLE_EQ(cycles.at("per_tick").get<double>(), 1.615);
    EXPECT_DOUBLE_EQ(cycles.at("p50").get<double>(), 161.5);
    EXPECT_EQ(harness::Run::from(run.json()).json(), run.json());
}

}  // namespace
}  // namespace doorbell::test
