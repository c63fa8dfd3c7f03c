// What this machine's clock says of bodies shorter than its step. Ratios within one run: medians of
// rounds, in each of which everything is measured in turns.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <vector>

#include "firmware/measure/mean.h"
#include "firmware/measure/resolution.h"
#include "firmware/measure/timestamp.h"
#include "firmware/measure/yardstick.h"
#include "tests/image/run.h"

namespace doorbell::test {
namespace {

using namespace measure;

constexpr int rounds = 21;
constexpr uint64_t turns = 2000, turns_a_slope = 50;

[[gnu::noinline]] void empty_call() { asm volatile(""); }

uint64_t step_of_this_clock() {
    std::vector<uint64_t> differences;
    for (uint64_t i = 0; i < 1000; ++i) {
        uint64_t t = begin();
        imul_chain_from(i * 7 % 61);
        differences.push_back(end() - t);
    }
    return find_step(differences);
}

double median(std::vector<double> values) {
    auto middle = values.begin() + static_cast<ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

template <class Body>
void time(Histogram& h, uint64_t number, Body&& body) {
    dither(number);
    uint64_t t = begin();
    body();
    h.record(end() - t);
}

template <class Body>
uint64_t once(Body&& body) {
    uint64_t t = begin();
    body();
    return end() - t;
}

/// Means of one round, in ticks; the slope is that of 100 IMULs.
struct Round {
    Mean empty, again, call, chain, twice;
    double slope;
};

Round one_round(uint64_t step) {
    auto h = std::make_unique<std::array<Histogram, 5>>();
    for (Histogram& one : *h) one.clear();
    auto& [empty, again, call, chain, twice] = *h;
    std::vector<double> slopes;
    for (uint64_t i = 0; i < turns; ++i) {
        time(empty, i, [] {});
        time(chain, 3 * i, [] { imul_chain_100(); });
        time(again, 5 * i, [] {});
        time(twice, 11 * i, [] {
            imul_chain_100();
            imul_chain_100();
        });
        time(call, 13 * i, [] { empty_call(); });
        if (i % turns_a_slope != 0) continue;
        uint64_t few = once([] { imul_chain(1); }), many = once([] { imul_chain(101); });
        slopes.push_back((static_cast<double>(many) - static_cast<double>(few)) / 100);
    }
    Mean pair = mean_of(empty, step);
    return {pair,
            mean_of(again, step) - pair,
            mean_of(call, step) - pair,
            mean_of(chain, step) - pair,
            mean_of(twice, step) - mean_of(chain, step),
            median(slopes)};
}

class ThisClock : public testing::Test {
  protected:
    static void SetUpTestSuite() {
        step = step_of_this_clock();
        for (int i = 0; i < rounds; ++i) all.push_back(one_round(step));
    }
    static double median_of(double (*figure)(const Round&)) {
        std::vector<double> values;
        for (const Round& round : all) values.push_back(figure(round));
        return median(values);
    }
    static double ticks(const Mean& mean) { return static_cast<double>(mean.milli) / 1000; }

    static inline uint64_t step;
    static inline std::vector<Round> all;
};

TEST_F(ThisClock, HasAStepAndTheSameOneWhenLookedAtAgain) {
    ASSERT_GT(step, 0u);
    int same = 0;
    for (int i = 0; i < 9; ++i) same += step_of_this_clock() == step;
    EXPECT_GE(same, 8) << "step " << step;
}

TEST_F(ThisClock, AChainOf100ImulsIsWithin2PercentOfTheSlopeOf10000) {
    double ratio = median_of([](const Round& r) { return ticks(r.twice) / r.slope; });
    EXPECT_NEAR(ratio, 1, 0.02) << "200 IMULs less 100, over the slope";
    // Less a pair it is as much, but for the few cycles by which the fences hide in a body.
    double less_a_pair = median_of([](const Round& r) { return ticks(r.chain) / r.slope; });
    EXPECT_NEAR(less_a_pair, 1, 0.05);
}

TEST_F(ThisClock, AnEmptyBodyIsNothingWithinItsError) {
    double errors = median_of([](const Round& r) {
        return std::abs(static_cast<double>(r.again.milli) /
                        static_cast<double>(std::max<uint64_t>(r.again.error_milli, 1)));
    });
    EXPECT_LT(errors, 3);
    EXPECT_LT(std::abs(median_of([](const Round& r) { return ticks(r.again); })), 1);
}

TEST_F(ThisClock, ACallIsWellUnder26Ticks) {
    double call = median_of([](const Round& r) { return ticks(r.call); });
    EXPECT_LT(call, 13);
    EXPECT_GT(call, 0) << "CALL and RET are not nothing";
}

TEST(DoorbellHost, SaysWhatACallCostsWithItsErrorWhereTheClockHasAStep) {
    Scratch scratch;
    Outcome run =
        shell(scratch, DOORBELL_COMMAND " host syscall:gate=call --samples 5000 --out run");
    ASSERT_EQ(run.status, 0) << run.err;
    Json got = results(scratch);
    const Json& instrument = got.at("instrument");
    Json cost = series(got, "syscall", {{"gate", "call"}}, "cost");
    ASSERT_FALSE(cost.is_null());
    // What the chain says of the core stands beside each case.
    ASSERT_EQ(cost.at("evidence"), "measured");
    EXPECT_GT(cost.at("yardstick").at("before").get<double>(), 0.1);
    EXPECT_GT(cost.at("yardstick").at("after").get<double>(), 0.1);
    EXPECT_LT(cost.at("yardstick").at("before").get<double>(), 10);
    if (instrument.at("resolution") == 1) {
        EXPECT_LT(cost.at("p50").get<double>(), 26);
        EXPECT_FALSE(cost.contains("short_mean"));
        return;
    }
    double mean = cost.at("short_mean").at("mean"),
           error = cost.at("short_mean").at("standard_error");
    EXPECT_LT(mean, 13);
    EXPECT_GT(mean, -4 * error);
    EXPECT_LT(error, 2);
    EXPECT_NE(run.out.find("+-"), std::string::npos) << run.out;
    EXPECT_EQ(instrument.at("timestamp_overhead"),
              std::llround(instrument.at("timestamp_overhead_mean").get<double>()));
}

}  // namespace
}  // namespace doorbell::test
