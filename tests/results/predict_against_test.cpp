// Predictions beside measurements.
#include <gtest/gtest.h>

#include "harness/results/predict/against.h"
#include "harness/system/failure.h"
#include "tests/results/predict_fixture.h"

namespace doorbell::test {
namespace {

Predictions three_bodies() {
    Profile p = profile_of_prices({price_in_cycles("load-chained-memory", 204, 184, 304)});
    StoredRun counted =
        run_of({counted_series("caches", "body=a", "cost", 100, {{"instructions", 200}}),
                counted_series("caches", "body=b", "cost", 100, {{"instructions", 400}}),
                counted_series("caches", "body=c", "cost", 100,
                               {{"instructions", 200},
                                {"path_steps", 1},
                                {"l1d_misses", 2},
                                {"llc_misses", 2},
                                {"loads", 50},
                                {"chained_memory", 2}})});
    // The samples are as long as they have instructions.
    for (Series& s : counted.run.series) s.sum = s.count * 400;
    return predict(counted, p);
}

Series measured_body(const std::string& test_case, uint64_t ticks) {
    return series_of("caches", test_case, "cost", std::vector<uint64_t>(9, ticks), "tick",
                     "measured");
}

StoredRun measured_run(std::vector<Series> series) {
    StoredRun run = run_of(std::move(series), "live");
    run.name = "hardware";
    return run;
}

TEST(Against, ComparesInNanosecondsByTheTscsFrequency) {
    // Predicted: 50, 100 and 250 ns (225 to 350). The TSC has 1 GHz.
    Against a = compare_with(three_bodies(),
                             measured_run({measured_body("body=a", 50), measured_body("body=b", 80),
                                           measured_body("body=c", 300)}));
    ASSERT_EQ(a.bodies.size(), 3u);
    EXPECT_EQ(a.bodies[0].unit, "ns");
    EXPECT_NEAR(a.bodies[0].error(), 0, 1e-9);
    EXPECT_NEAR(a.bodies[1].error(), 0.25, 1e-9);
    EXPECT_NEAR(a.bodies[2].error(), 0.2, 1e-9);
    EXPECT_NEAR(a.geomean_error, std::cbrt(1 * 1.25 * 1.2) - 1, 1e-9);
    EXPECT_NEAR(a.within_10, 1.0 / 3, 1e-9);
    EXPECT_NEAR(a.within_25, 1, 1e-9);
    EXPECT_NEAR(a.inside_interval, 2.0 / 3, 1e-9);
}

TEST(Against, TakesAnErrorInEitherDirectionForTheSame) {
    Against high = compare_with(three_bodies(), measured_run({measured_body("body=a", 25)}));
    Against low = compare_with(three_bodies(), measured_run({measured_body("body=a", 100)}));
    EXPECT_NEAR(high.geomean_error, 1, 1e-9);
    EXPECT_NEAR(low.geomean_error, 1, 1e-9);
}

TEST(Against, PrefersCoreCyclesWhereTheRunHasThem) {
    Series by_yardstick = measured_body("body=a", 60);
    Series yardstick = series_of("caches", "body=a", "yardstick", std::vector<uint64_t>(9, 1500),
                                 "millitick", "measured");
    Series by_counter = measured_body("body=b", 60);
    by_counter.counters.push_back({"cycles", 2000, "measured", "", 10});
    Against a = compare_with(three_bodies(), measured_run({by_yardstick, yardstick, by_counter}));
    ASSERT_EQ(a.bodies.size(), 2u);
    EXPECT_EQ(a.bodies[0].unit, "cycles");
    // An IMUL of three cycles took 1.5 ticks.
    EXPECT_NEAR(a.bodies[0].measured, 120, 1);
    EXPECT_NEAR(a.bodies[0].predicted.value, 100, 1e-9);
    EXPECT_NEAR(a.bodies[1].measured, 200, 1e-9);
}

TEST(Against, FormulasHaveTheBestScaleThatThereIs) {
    Against a = compare_with(
        three_bodies(), measured_run({measured_body("body=a", 50), measured_body("body=b", 100),
                                      measured_body("body=c", 250)}));
    EXPECT_NEAR(a.geomean_error, 0, 1e-9);
    // 200, 400, and 200 + 10 * 2 + 100 * 2.
    EXPECT_DOUBLE_EQ(a.bodies[2].kcachegrind, 420);
    // 250 accesses: 248 hits, 2 of RAM.
    EXPECT_DOUBLE_EQ(a.bodies[2].iai, 248 + 35 * 2);
    double log_scale = (std::log(50.0 / 200) + std::log(100.0 / 400) + std::log(250.0 / 420)) / 3;
    EXPECT_NEAR(a.kcachegrind.scale, std::exp(log_scale), 1e-9);
    double error =
        (2 * std::abs(std::log(0.25) - log_scale) + std::abs(std::log(250.0 / 420) - log_scale)) /
        3;
    EXPECT_NEAR(a.kcachegrind.geomean_error, std::exp(error) - 1, 1e-9);
}

TEST(Against, SaysWhatItLeavesOut) {
    StoredRun run = measured_run({measured_body("body=a", 50), measured_body("body=b", 0)});
    Against a = compare_with(three_bodies(), run);
    EXPECT_EQ(a.bodies.size(), 1u);
    ASSERT_EQ(a.left_out.size(), 1u);
    EXPECT_EQ(a.left_out[0], "caches body=b cost: it took less than the clock's step");
    EXPECT_THROW(compare_with(three_bodies(), measured_run({measured_body("body=z", 5)})),
                 UsageError);
}

TEST(Against, AsJsonIsOneObjectWithItsShares) {
    Against a = compare_with(
        three_bodies(), measured_run({measured_body("body=a", 50), measured_body("body=b", 80)}));
    Json json = a.json();
    EXPECT_EQ(json.at("bodies"), 2);
    for (const char* share : {"within_10", "within_25", "inside_interval"}) {
        EXPECT_GE(json.at(share).get<double>(), 0);
        EXPECT_LE(json.at(share).get<double>(), 1);
    }
    EXPECT_NEAR(json.at("geomean_error").get<double>(), std::sqrt(1.25) - 1, 1e-9);
    EXPECT_EQ(json.at("list").size(), 2u);
    Against again = Against::from(json);
    EXPECT_NEAR(again.geomean_error, a.geomean_error, 1e-9);
    EXPECT_EQ(again.bodies[1].name(), "caches body=b cost");
}

}  // namespace
}  // namespace doorbell::test
