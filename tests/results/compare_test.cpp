// Comparisons of samples with known differences.
#include "harness/results/compare/compare.h"

#include <gtest/gtest.h>

#include <cmath>

#include "harness/results/compare/again.h"
#include "harness/system/failure.h"
#include "tests/results/synthetic.h"

namespace doorbell::test {
namespace {

StoredRun measured(std::mt19937_64& random, size_t series, size_t samples, double median,
                   double spread = 0.1) {
    std::vector<Series> all;
    for (size_t i = 0; i < series; ++i)
        all.push_back(series_of(
            "synthetic", "n=" + std::to_string(i), "latency",
            latencies(random, samples, median * (1 + static_cast<double>(i) / 10), spread), "tick",
            "measured"));
    return run_of(std::move(all), "live");
}

const SeriesChange& only(const Comparison& comparison) { return comparison.series.at(0); }

TEST(Compare, RaisesAtMostOneFalseAlarmInAHundredRuns) {
    std::mt19937_64 random(1);
    constexpr int runs = 300;
    int alarms = 0, gated = 0;
    for (int i = 0; i < runs; ++i) {
        Comparison comparison =
            compare(measured(random, 10, 1500, 1000), measured(random, 10, 1500, 1000));
        alarms += comparison.count(Word::faster) + comparison.count(Word::slower) != 0;
        gated += !beyond_gate(comparison, 0.05).empty();
    }
    EXPECT_LE(alarms, runs / 100);
    EXPECT_LE(gated, runs / 100);
}

TEST(Compare, FindsAFivePerCentShiftOfTenThousandSamples) {
    std::mt19937_64 random(2);
    int found = 0, gated = 0;
    constexpr int runs = 200;
    for (int i = 0; i < runs; ++i) {
        Comparison comparison =
            compare(measured(random, 1, 10000, 1000, 0.5), measured(random, 1, 10000, 1050, 0.5));
        found += only(comparison).figures.at(0).word == Word::slower;
        gated += !beyond_gate(comparison, 0.02).empty();
    }
    EXPECT_GE(found, runs * 99 / 100);
    EXPECT_GE(gated, runs * 99 / 100);
}

TEST(Compare, SaysFasterWhenItIs) {
    std::mt19937_64 random(3);
    Comparison comparison =
        compare(measured(random, 1, 5000, 1000), measured(random, 1, 5000, 800));
    EXPECT_EQ(only(comparison).summary(), Word::faster);
    EXPECT_TRUE(beyond_gate(comparison, 0.05).empty());
}

TEST(Compare, FindsATailThatTheMedianDoesNotShow) {
    std::mt19937_64 random(4);
    std::vector<uint64_t> before = latencies(random, 20000, 1000, 0.05),
                          after = latencies(random, 20000, 1000, 0.05);
    for (size_t i = 0; i < after.size(); i += 50) after[i] *= 3;
    auto run = [](std::vector<uint64_t>& values) {
        return run_of({series_of("x", "", "latency", values, "tick", "measured")}, "live");
    };
    Comparison comparison = compare(run(before), run(after));
    EXPECT_EQ(only(comparison).figures.at(0).word, Word::no_change);
    EXPECT_EQ(only(comparison).figures.at(1).word, Word::slower);
    EXPECT_EQ(beyond_gate(comparison, 0.05).size(), 1u);
}

TEST(Compare, SaysWhereThereAreTooFewSamplesOrTooMuchNoise) {
    std::mt19937_64 random(5);
    Comparison few = compare(measured(random, 1, 10, 1000), measured(random, 1, 10, 3000));
    EXPECT_EQ(only(few).summary(), Word::too_few);
    Comparison noisy =
        compare(measured(random, 1, 50, 1000, 1.0), measured(random, 1, 50, 1000, 1.0));
    EXPECT_EQ(only(noisy).figures.at(0).word, Word::too_noisy);
    EXPECT_EQ(only(noisy).figures.at(1).word, Word::too_few) << "50 samples have no p99";
}

TEST(Compare, MoreDeliveredIsBetter) {
    std::mt19937_64 random(6);
    auto run = [&](double median) {
        return run_of({series_of("livelock", "load=2", "delivered",
                                 latencies(random, 5000, median, 0.02), "ppm", "measured")},
                      "live");
    };
    Comparison comparison = compare(run(900000), run(700000));
    EXPECT_EQ(only(comparison).summary(), Word::slower);
    EXPECT_STREQ(word(only(comparison).summary(), only(comparison).unit), "worse");
    EXPECT_FALSE(beyond_gate(comparison, 0.05).empty());
}

TEST(Compare, RoughFiguresNeedAFactorOfTwo) {
    std::mt19937_64 random(7);
    auto run = [&](double median) {
        return run_of(
            {series_of("x", "", "latency", latencies(random, 5000, median), "tick", "rough")},
            "live");
    };
    EXPECT_EQ(only(compare(run(1000), run(1500))).summary(), Word::too_noisy);
    EXPECT_EQ(only(compare(run(1000), run(2500))).summary(), Word::slower);
}

TEST(Compare, DependentSamplesCountLess) {
    // A random walk has many samples, but each is almost the same as the previous one.
    std::mt19937_64 random(8);
    std::normal_distribution<double> step(0, 1);
    std::vector<uint64_t> walk(10000), independent = latencies(random, 10000, 1000);
    double at = 0;
    for (uint64_t& value : walk)
        value = static_cast<uint64_t>(1000 + (at = 0.99 * at + step(random)) * 10);
    EXPECT_GT(dependence_of(walk), 20);
    EXPECT_LT(dependence_of(independent), 2);
}

TEST(Compare, CountedSeriesAreEqualOrDiffer) {
    auto run = [](uint64_t entry, uint64_t rest) {
        Series series =
            series_of("timer", "wait=irq", "round-trip", std::vector<uint64_t>(100, entry + rest));
        series.stages = {stage_of("entry", std::vector<uint64_t>(100, entry)),
                         stage_of("resume", std::vector<uint64_t>(100, rest))};
        return run_of(
            {series, series_of("timer", "wait=poll", "latency", std::vector<uint64_t>(100, 50))});
    };
    Comparison same = compare(run(10, 20), run(10, 20));
    EXPECT_EQ(same.count(Word::equal), 2u);
    EXPECT_TRUE(beyond_gate(same, 0).empty());

    Comparison changed = compare(run(10, 20), run(11, 25));
    EXPECT_EQ(changed.count(Word::slower), 1u);
    const SeriesChange& worse = changed.series.at(0);
    EXPECT_EQ(worse.name(), "timer wait=irq round-trip");
    EXPECT_EQ(worse.figures.at(0).interval.difference, 6);
    ASSERT_EQ(worse.stages.size(), 2u);
    EXPECT_EQ(worse.stages[0].name, "resume") << "the largest share first";
    EXPECT_NEAR(worse.stages[0].share, 5.0 / 6, 1e-9);
    EXPECT_FALSE(beyond_gate(changed, 0.05).empty());
    EXPECT_TRUE(beyond_gate(changed, 0.21).empty()) << "30 to 36 insn are 20 %";
}

TEST(Compare, CountersThatDifferAreNamed) {
    auto run = [](uint64_t misses, uint64_t measured) {
        Series series = series_of("switch", "set=32768", "walk", std::vector<uint64_t>(100, 50));
        series.counters = {{"l1d_misses", misses, "modelled", "", 100},
                           {"loads", 500, "modelled", "", 100},
                           {"cycles", measured, "measured", "", 100}};
        return run_of({series});
    };
    Comparison changed = compare(run(800, 1), run(51200, 2));
    ASSERT_EQ(changed.series.at(0).counters.size(), 1u)
        << "what is measured is not a fact, and loads are equal";
    EXPECT_EQ(changed.series[0].counters[0].a, 8);
    EXPECT_EQ(changed.series[0].counters[0].b, 512);
    EXPECT_NE(
        comparison_text(changed, false).find("counter l1d_misses: 8 -> 512 a sample (modelled)"),
        std::string::npos)
        << comparison_text(changed, false);
    EXPECT_TRUE(compare(run(800, 1), run(800, 2)).series[0].identical);
}

TEST(Compare, TheLargestShareComesFirst) {
    auto run = [](uint64_t a, uint64_t b) {
        return run_of({series_of("x", "n=1", "cost", std::vector<uint64_t>(100, a)),
                       series_of("x", "n=2", "cost", std::vector<uint64_t>(100, b))});
    };
    Comparison comparison = compare(run(1000, 10), run(1010, 12));
    EXPECT_EQ(comparison.series.at(0).test_case, "n=2") << "20 % of the whole, though only 2 insn";
}

TEST(Compare, CodesAreEqualOrDifferentAndNeverWorse) {
    auto counted = [](uint64_t vector) {
        return run_of({series_of("rings", "try=hlt", "exception",
                                 std::vector<uint64_t>(100, vector), "vector")});
    };
    for (auto [a, b] : {std::pair{13, 6}, std::pair{6, 13}}) {
        Comparison changed = compare(counted(a), counted(b));
        EXPECT_EQ(only(changed).summary(), Word::different);
        EXPECT_STREQ(word(only(changed).summary(), "vector"), "different");
        EXPECT_TRUE(beyond_gate(changed, 0).empty());
        EXPECT_NE(comparison_text(changed, false).find("1 series: 1 different"), std::string::npos)
            << comparison_text(changed, false);
    }
    EXPECT_EQ(only(compare(counted(13), counted(13))).summary(), Word::equal);
    std::mt19937_64 random(11);
    auto rough = [&](double median) {
        return run_of({series_of("hostile", "", "ended-by", latencies(random, 5000, median),
                                 "signal", "measured")},
                      "live");
    };
    EXPECT_EQ(only(compare(rough(1000), rough(2000))).summary(), Word::different);
}

TEST(Compare, TheSeriesSaysWhatIsBetterWhateverItIsCalled) {
    auto run = [](uint64_t value) {
        Series series = series_of("x", "", "a-metric-of-tomorrow", {value, value, value}, "thing");
        series.better = wire::Better::more;
        return run_of({series});
    };
    Scratch scratch;
    save(scratch, "a", run(100)), save(scratch, "b", run(50));
    EXPECT_EQ(doorbell(scratch, "compare a b --gate 5").status, 1);
    EXPECT_EQ(doorbell(scratch, "compare b a --gate 5").status, 0);
}

/// Two cases with a series each; `b` without the second.
struct Halved {
    StoredRun a = run_of({series_of("timer", "wait=poll", "latency", std::vector<uint64_t>(9, 5)),
                          series_of("timer", "wait=irq", "latency", std::vector<uint64_t>(9, 7))});
    StoredRun b = run_of({series_of("timer", "wait=poll", "latency", std::vector<uint64_t>(9, 5))});
    CaseEnd end{"timer", CaseKeys::from_text("wait=irq"), "there is no timer"};
};

TEST(Gate, ASeriesThatIsMissingFailsUnlessTheMachineLacksIt) {
    Halved halved;
    auto beyond = beyond_gate(compare(halved.a, halved.b), 1);
    ASSERT_EQ(beyond.size(), 1u);
    EXPECT_EQ(beyond[0], "timer wait=irq latency: B does not have it");
    EXPECT_TRUE(beyond_gate(compare(halved.b, halved.a), 1).empty()) << "more is not a failure";

    StoredRun lacks = halved.b;
    lacks.run.skipped = {halved.end};
    Comparison comparison = compare(halved.a, lacks);
    EXPECT_TRUE(beyond_gate(comparison, 0).empty());
    EXPECT_NE(comparison_text(comparison, false)
                  .find("only in A: timer wait=irq latency: skipped in B: there is no timer"),
              std::string::npos)
        << comparison_text(comparison, false);
    // Another case's skip is not an excuse.
    lacks.run.skipped[0].test_case = CaseKeys::from_text("wait=irq source=hpet");
    EXPECT_EQ(beyond_gate(compare(halved.a, lacks), 0).size(), 1u);
}

TEST(Gate, ACaseThatFailsInBFails) {
    Halved halved;
    StoredRun failed = halved.b;
    failed.run.failed = {halved.end};
    failed.run.skipped = {halved.end};  // a failure counts more than a skip
    auto beyond = beyond_gate(compare(halved.a, failed), 1);
    ASSERT_EQ(beyond.size(), 1u);
    EXPECT_EQ(beyond[0], "timer wait=irq failed in B: there is no timer");
    // Its series may have been sound all the same.
    failed = halved.a;
    failed.run.failed = {halved.end};
    EXPECT_EQ(beyond_gate(compare(halved.a, failed), 1).size(), 1u);
    EXPECT_TRUE(beyond_gate(compare(failed, failed), 1).empty()) << "it failed in A as well";
    // A lab that A did not run does not concern A.
    failed.run.failed[0].lab = "nic";
    EXPECT_TRUE(beyond_gate(compare(halved.a, failed), 1).empty());
}

TEST(Gate, ASeriesWithTooFewSamplesFails) {
    std::mt19937_64 random(12);
    StoredRun many = measured(random, 1, 5000, 1000), few = measured(random, 1, 5, 1000);
    EXPECT_EQ(beyond_gate(compare(many, few), 10).size(), 2u) << "neither a median nor a p99";
    EXPECT_TRUE(beyond_gate(compare(few, few), 10).empty()) << "A could not say more";
    StoredRun none = many;
    none.run.series[0].count = 0;
    none.run.series[0].bins = {};
    EXPECT_EQ(beyond_gate(compare(many, none), 10).size(), 1u);
}

TEST(Reproduce, NamesWhatFailedAndForgivesOnlyWhatTheMachineLacks) {
    Halved halved;
    Identity identity = identity_of(halved.a, halved.b);
    EXPECT_EQ(identity.differences,
              std::vector<std::string>{"timer wait=irq latency: it was not measured this time"});
    StoredRun lacks = halved.b;
    lacks.run.skipped = {halved.end};
    identity = identity_of(halved.a, lacks);
    EXPECT_TRUE(identity.differences.empty());
    EXPECT_EQ(identity.lacking.size(), 1u);
    EXPECT_EQ(identity.same, 1u);
    StoredRun failed = halved.a;
    failed.run.failed = {halved.end};
    EXPECT_EQ(identity_of(halved.a, failed).differences,
              std::vector<std::string>{"timer wait=irq: failed: there is no timer"});
    EXPECT_TRUE(identity_of(failed, failed).differences.empty());

    // A run whose machine lacks everything reproduces nothing.
    Scratch scratch;
    lacks.run.skipped.push_back({"timer", CaseKeys::from_text("wait=poll"), "nor this"});
    lacks.run.series.clear();
    lacks.run.digest.clear();
    save(scratch, "a", halved.a), save(scratch, "b", lacks);
    Outcome nothing = doorbell(scratch, "reproduce a --with b");
    EXPECT_EQ(nothing.status, 1) << nothing.out;
    EXPECT_NE(
        nothing.out.find("not reproduced: 0 of 2 series identical, 2 that this machine lacks"),
        std::string::npos)
        << nothing.out;
}

TEST(Compare, RefusesWhatCannotBeCompared) {
    std::mt19937_64 random(9);
    StoredRun exact = run_of({series_of("x", "", "cost", {1, 2, 3})}),
              live = measured(random, 1, 100, 1000);
    EXPECT_NE(why_not_comparable(exact, live).find("clocks"), std::string::npos);
    StoredRun rough = live;
    rough.run.series[0].evidence = "rough";
    EXPECT_NE(why_not_comparable(live, rough).find("evidence"), std::string::npos);
    StoredRun geometry = exact;
    geometry.manifest["model"] = "l1d=32K";
    EXPECT_NE(why_not_comparable(exact, geometry).find("geometr"), std::string::npos);
    StoredRun slower_clock = live;
    slower_clock.run.machine["tsc_hz"] = 2000000000;
    EXPECT_NE(why_not_comparable(live, slower_clock).find("ticks"), std::string::npos);
    StoredRun other_cpu = live;
    other_cpu.run.machine["cpu"] = "another CPU";
    EXPECT_NE(why_not_comparable(live, other_cpu).find("processors"), std::string::npos);
    StoredRun stranger = run_of({series_of("y", "", "cost", {1, 2, 3})});
    EXPECT_NE(why_not_comparable(exact, stranger).find("in common"), std::string::npos);
    EXPECT_EQ(why_not_comparable(exact, exact), "");
    EXPECT_THROW(compare(exact, live), UsageError);
}

TEST(Statistics, HolmKeepsTheOrderAndNeverLowers) {
    std::vector<double> adjusted = holm({0.01, 0.04, 0.03});
    EXPECT_DOUBLE_EQ(adjusted[0], 0.03);
    EXPECT_DOUBLE_EQ(adjusted[2], 0.06);
    EXPECT_DOUBLE_EQ(adjusted[1], 0.06) << "never below the one before";
}

TEST(Statistics, MannWhitneyAgreesWithAHandCountWithTies) {
    // B wins 16.5 of 20 pairs; ties 2,2 and 3,3,3: the variance is 20/12 * (10 - 30/72).
    double p = mann_whitney(Sample::of({1, 2, 3, 3}), Sample::of({2, 3, 4, 5, 6}));
    EXPECT_NEAR(p, std::erfc(6.5 / std::sqrt(20.0 / 12 * (10 - 30.0 / 72)) / std::sqrt(2.0)),
                1e-12);
    EXPECT_EQ(mann_whitney(Sample::of({7, 7, 7}), Sample::of({7, 7})), 1);
}

TEST(Statistics, TheIntervalHoldsTheTruthAboutAsOftenAsItPromises) {
    std::mt19937_64 random(10);
    int held = 0;
    for (int i = 0; i < 400; ++i) {
        auto sample = [&](double median) {
            std::vector<double> values;
            for (uint64_t v : latencies(random, 300, median, 0.3))
                values.push_back(static_cast<double>(v));
            return Sample::of(values);
        };
        Interval interval = quantile_difference(sample(1000), sample(1200), 0.5, 0.95);
        held += interval.low <= 200 && 200 <= interval.high;
    }
    EXPECT_GE(held, 400 * 92 / 100);
    EXPECT_LE(held, 400 * 985 / 1000);
}

TEST(Compare, NamesTheCompilersOfTheImagesWhereTheyDiffer) {
    std::mt19937_64 random(12);
    StoredRun a = measured(random, 1, 100, 1000), b = measured(random, 1, 100, 1000);
    EXPECT_EQ(different_compilers(a, b), "") << "neither run says what built its image";
    a.run.machine["compiler"] = "g++ 12.2.0";
    EXPECT_EQ(different_compilers(a, b), "") << "an older run does not say it";
    b.run.machine["compiler"] = "g++ 12.2.0";
    EXPECT_EQ(different_compilers(a, b), "");
    b.run.machine["compiler"] = "clang 14.0.6";
    EXPECT_TRUE(different_compilers(a, b).starts_with("A: g++ 12.2.0, B: clang 14.0.6: "));
}

// Claims are matched by lab and id, or by their texts where a run has no ids.
TEST(Compare, NamesClaimsWhoseVerdictsDiffer) {
    auto remarks = [](std::vector<Claim> in_a, std::vector<Claim> in_b) {
        std::mt19937_64 random(4);
        StoredRun a = measured(random, 1, 100, 1000), b = a;
        a.run.claims = std::move(in_a);
        b.run.claims = std::move(in_b);
        return compare(a, b).remarks;
    };
    using Remarks = std::vector<std::string>;
    EXPECT_EQ(remarks({{"nic", "old words", true, "", "cheap"}},
                      {{"nic", "new words", false, "why", "cheap"}}),
              Remarks{"claim nic cheap: holds in A, refuted in B (why)"});
    EXPECT_EQ(
        remarks({{"nic", "words", true, ""}}, {{"nic", "words", std::nullopt, "why", "cheap"}}),
        Remarks{"claim nic cheap: holds in A, cannot say in B (why)"})
        << "an old run has no ids";
    EXPECT_EQ(remarks({{"nic", "words", true, "", "cheap"}}, {{"nic", "words", true, "", "cheap"}}),
              Remarks{});
    EXPECT_EQ(
        remarks({{"nic", "words", true, "", "cheap"}}, {{"burst", "words", false, "", "cheap"}}),
        Remarks{})
        << "ids belong to a lab";
}

}  // namespace
}  // namespace doorbell::test
