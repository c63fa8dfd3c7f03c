// The labs' own judges, asked about predicted values.
#include <gtest/gtest.h>

#include "harness/results/predict/claim_predictions.h"
#include "tests/results/predict_fixture.h"

namespace doorbell::test {
namespace {

using Verdict = ClaimPrediction::Verdict;

/// SYSCALL and INT as their gates cost, as lab syscall has them.
StoredRun gates() {
    StoredRun stored = run_of(
        {counted_series("syscall", "gate=syscall space=same", "cost", 21,
                        {{"instructions", 20}, {"path_steps", 1}, {"syscall", 1}, {"sysret", 1}}),
         counted_series("syscall", "gate=int space=same", "cost", 20,
                        {{"instructions", 20}, {"path_steps", 1}, {"int", 1}, {"iretq", 1}}),
         counted_series("syscall", "gate=syscall space=other", "cost", 25,
                        {{"instructions", 20},
                         {"path_steps", 1},
                         {"syscall", 1},
                         {"sysret", 1},
                         {"cr3_writes", 2}})});
    stored.run.claims = {
        {"syscall", "SYSCALL is cheaper than INT", std::nullopt, "it counts", "syscall-below-int"},
        {"syscall", "a kernel in an address space of its own costs more", std::nullopt, "it counts",
         "other-space-costs"}};
    return stored;
}

const ClaimPrediction& only(const Predictions& p, const std::string& id) {
    for (const ClaimPrediction& c : p.claims)
        if (c.id == id) return c;
    static const ClaimPrediction none;
    ADD_FAILURE() << "no prediction of " << id;
    return none;
}

TEST(ClaimPredictions, HoldWhereTheyHoldAtAllCorners) {
    Profile p = profile_of_prices({price_in_cycles("syscall-sysret", 90, 70, 100),
                                   price_in_cycles("int-iretq-ring3", 600, 500, 700)});
    const ClaimPrediction c = only(predict(gates(), p), "syscall-below-int");
    EXPECT_EQ(c.verdict, Verdict::holds);
    EXPECT_EQ(c.measured, std::nullopt);
    EXPECT_EQ(
        c.because,
        "gate=syscall space=same cost 49.5 ns (37.8 to 57.0); gate=int space=same cost 305 ns "
        "(253 to 357)");
}

TEST(ClaimPredictions, DoNotHoldWhereTheyHoldAtNone) {
    Profile p = profile_of_prices({price_in_cycles("syscall-sysret", 900, 800, 1000),
                                   price_in_cycles("int-iretq-ring3", 600, 500, 700)});
    EXPECT_EQ(only(predict(gates(), p), "syscall-below-int").verdict, Verdict::does_not_hold);
}

TEST(ClaimPredictions, AreOpenWhereTheIntervalsOverlap) {
    Profile p = profile_of_prices({price_in_cycles("syscall-sysret", 400, 70, 800),
                                   price_in_cycles("int-iretq-ring3", 600, 500, 700)});
    ClaimPrediction c = only(predict(gates(), p), "syscall-below-int");
    EXPECT_EQ(c.verdict, Verdict::open);
    EXPECT_NE(c.because.find("the intervals overlap"), std::string::npos) << c.because;
}

TEST(ClaimPredictions, TakeAnEventsPriceAsTheSameInAllSeries) {
    // A system call costs 70 or 800, but as much in either address space: the other one costs more.
    Profile p = profile_of_prices({price_in_cycles("syscall-sysret", 400, 70, 800),
                                   price_in_cycles("cr3-write", 100, 50, 200)});
    EXPECT_EQ(only(predict(gates(), p), "other-space-costs").verdict, Verdict::holds);
}

TEST(ClaimPredictions, HoldInCoreCyclesWhateverTheCoresFrequencyIs) {
    Profile p = profile_of_prices(
        {price_in_cycles("syscall-sysret", 300), price_in_cycles("int-iretq-ring3", 400)});
    // In ns the slowest SYSCALL is slower than the fastest INT.
    p.machine["core_hz"] = {{"value", 2e9}, {"low", 1e9}, {"high", 3e9}};
    ClaimPrediction c = only(predict(gates(), p), "syscall-below-int");
    EXPECT_EQ(c.verdict, Verdict::holds);
    EXPECT_EQ(c.because,
              "gate=syscall space=same cost 309 cycles (306 to 314); gate=int space=same cost 409 "
              "cycles (406 to 414)");
}

TEST(ClaimPredictions, NameThePriceThatIsMissing) {
    Profile p = profile_of_prices({price_in_cycles("syscall-sysret", 90)});
    ClaimPrediction c = only(predict(gates(), p), "syscall-below-int");
    EXPECT_EQ(c.verdict, Verdict::cannot_say);
    EXPECT_EQ(c.because, "gate=int space=same cost: the profile has no price int-iretq-ring3");
}

TEST(ClaimPredictions, LeaveOutWhatTheRunHasDecidedAndNoPriceSaysMoreOf) {
    StoredRun stored = gates();
    stored.run.claims.push_back(
        {"syscall", "a function call ...", true, "counted", "call-below-syscall"});
    stored.run.claims.push_back({"rings", "both", true, "refused", "ring0-refused-user-pages"});
    Predictions p = predict(stored, profile_of_prices({}));
    for (const ClaimPrediction& c : p.claims) EXPECT_EQ(c.measured, std::nullopt) << c.id;
    EXPECT_EQ(p.claims.size(), 2u);
}

TEST(ClaimPredictions, PassOnWhatIsNotATime) {
    // Lab moderation compares numbers of interrupts, which no price changes.
    StoredRun stored = run_of({series_of("moderation", "model=e1000e interval=1000", "interrupts",
                                         {40}, "per 1000 packets"),
                               series_of("moderation", "model=e1000e interval=130", "interrupts",
                                         {286}, "per 1000 packets")});
    stored.run.claims = {
        {"moderation", "x", std::nullopt, "not judged", "interval-saves-interrupts"}};
    Predictions p = predict(stored, profile_of_prices({}));
    ASSERT_EQ(p.claims.size(), 1u);
    EXPECT_EQ(p.claims[0].verdict, Verdict::cannot_say);
    EXPECT_EQ(p.claims[0].because, "not judged");
}

TEST(ClaimPredictions, OfManySeriesTryCornersUntilOneIsOtherwise) {
    // All 18 cases of the claim, each share within its own interval.
    StoredRun stored;
    std::vector<Series> series;
    for (const char* rate : {"10", "100", "1000", "10000", "100000", "1000000"})
        for (const char* wait : {"wait=irq rate=", "wait=poll every=256 rate="}) {
            std::string test_case = wait + std::string(rate);
            double misses = test_case.starts_with("wait=irq") ? 30 : 1;
            series.push_back(counted_series(
                "pizza", test_case, "total", 1000,
                {{"instructions", 1000}, {"path_steps", 1}, {"chained_memory", misses}}));
            auto work = counted_series("pizza", test_case, "work", 900000, {}, "share of total");
            work.unit = "ppm";
            series.push_back(work);
        }
    stored = run_of(series);
    stored.run.claims = {{"pizza", "x", std::nullopt, "counted", "polling-wins-at-high-rate"}};
    auto verdict_with = [&](double low, double high) {
        Profile p = profile_of_prices({price_in_cycles("load-chained-memory", 204, low, high)});
        return only(predict(stored, p), "polling-wins-at-high-rate").verdict;
    };
    EXPECT_EQ(verdict_with(200, 210), Verdict::holds);
    EXPECT_EQ(verdict_with(4, 6000), Verdict::open);
}

}  // namespace
}  // namespace doorbell::test
