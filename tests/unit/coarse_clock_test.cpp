// A clock that advances in steps, as on AMD's Zen, and what the instrument finds.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "firmware/measure/mean.h"
#include "firmware/measure/resolution.h"

namespace doorbell::measure {
namespace {

/// Time that a test advances, read through a clock with a step.
class CoarseClock {
  public:
    /// `ties_broken`: the clock never gives a value twice: it adds 1 instead, as an emulator may.
    explicit CoarseClock(uint64_t step, bool ties_broken = false)
        : step_(step), ties_broken_(ties_broken) {}
    void pass(double ticks) { now_ += ticks; }
    uint64_t read() {
        uint64_t value = static_cast<uint64_t>(now_) / step_ * step_;
        if (ties_broken_ && value <= last_) value = last_ + 1;
        return last_ = value;
    }

  private:
    uint64_t step_;
    bool ties_broken_;
    double now_ = 1e6;
    uint64_t last_ = 0;
};

struct Kind {
    uint64_t step;
    bool ties_broken;
    double pair;  ///< ticks that an empty pair takes
};

class CoarseClocks : public testing::TestWithParam<Kind> {
  protected:
    /// One difference: a body of that many ticks.
    uint64_t time(double body) {
        clock_.pass(gap_(random_));
        uint64_t begin = clock_.read();
        clock_.pass(GetParam().pair + body);
        return clock_.read() - begin;
    }
    std::vector<uint64_t> bodies_of_many_lengths() {
        std::vector<uint64_t> differences;
        for (int i = 0; i < 1000; ++i) differences.push_back(time(i % 64 * 1.85 + i * 7 % 61 / 8.));
        return differences;
    }
    Histogram& histogram_of(double body, uint64_t samples, Histogram& h) {
        h.clear();
        for (uint64_t i = 0; i < samples; ++i) h.record(time(body));
        return h;
    }

    std::mt19937_64 random_{1};
    std::uniform_real_distribution<double> gap_{100, 1000};
    CoarseClock clock_{GetParam().step, GetParam().ties_broken};
};

TEST_P(CoarseClocks, TheirStepIsFound) {
    EXPECT_EQ(find_step(bodies_of_many_lengths()), GetParam().step);
}

TEST_P(CoarseClocks, TheirStepIsFoundAmongReadingsThatAreNotMultiples) {
    std::vector<uint64_t> differences = bodies_of_many_lengths();
    // Another processor's clock is off by a few ticks; a preempted task returns late.
    for (size_t i = 0; i < differences.size(); i += 25)
        differences[i] += i % 50 == 0 ? 7 : 123457 + i;
    EXPECT_EQ(find_step(differences), GetParam().step);
}

TEST_P(CoarseClocks, AnEmptyBodyIsNothingAndAShortOneIsItsLength) {
    Histogram& h = *new Histogram;
    Mean empty = mean_of(histogram_of(0, 20000, h), GetParam().step);
    Mean again = mean_of(histogram_of(0, 20000, h), GetParam().step) - empty;
    EXPECT_LE(std::abs(again.milli), 4 * static_cast<int64_t>(again.error_milli));
    for (double body : {2.5, 21.3, 185.0}) {
        if (GetParam().ties_broken && body < 20) continue;  // the empty pair has ties of its own
        Mean mean = mean_of(histogram_of(body, 20000, h), GetParam().step) - empty;
        double error = static_cast<double>(mean.error_milli) / 1000;
        // A tie that is broken adds up to a tick to what would be 0.
        double bias = GetParam().ties_broken ? 1 : 0.001;
        EXPECT_NEAR(static_cast<double>(mean.milli) / 1000, body, 4 * error + bias)
            << "+- " << error;
        EXPECT_LT(error, 0.3);
    }
    delete &h;
}

TEST_P(CoarseClocks, AnInterruptInTheMiddleOfASampleIsSetApart) {
    Histogram& h = *new Histogram;
    Mean empty = mean_of(histogram_of(0, 20000, h), GetParam().step);
    histogram_of(21.3, 20000, h);
    for (int i = 0; i < 20; ++i) h.record(1000000);
    Mean mean = mean_of(h, GetParam().step) - empty;
    EXPECT_EQ(mean.apart, 20u);
    EXPECT_EQ(mean.samples, 20000u);
    EXPECT_NEAR(static_cast<double>(mean.milli) / 1000, 21.3, 2);
    delete &h;
}

INSTANTIATE_TEST_SUITE_P(Steps, CoarseClocks,
                         testing::Values(Kind{1, false, 24.3}, Kind{2, false, 24.3},
                                         Kind{21, false, 43.7}, Kind{26, false, 52.6},
                                         Kind{40, false, 61.2}, Kind{21, true, 9.4},
                                         Kind{26, true, 8.6}, Kind{40, true, 31.8}),
                         [](const auto& info) {
                             return std::to_string(info.param.step) +
                                    (info.param.ties_broken ? "WithTiesBroken" : "");
                         });

TEST(CoarseClock, AStepLongerThanAnyBodyIsFoundWhereNothingDisturbsIt) {
    std::vector<uint64_t> differences(1000, 0);
    for (size_t i = 0; i < differences.size(); i += 10) differences[i] = 3000;
    EXPECT_EQ(find_step(differences), 3000u);
}

TEST(CoarseClock, ANeighbourThatFitsTooIsNotTheStep) {
    // Bodies of one or two steps, as an emulator that breaks ties shows them.
    std::vector<uint64_t> differences;
    for (uint64_t i = 0; i < 1000; ++i)
        differences.push_back(std::vector<uint64_t>{26, 26, 1, 52, 25, 26, 27, 52}[i % 8]);
    EXPECT_EQ(find_step(differences), 26u);
}

TEST(CoarseClock, AClockThatNeverMovesHasNoStep) {
    EXPECT_EQ(find_step(std::vector<uint64_t>(1000, 0)), 0u);
    EXPECT_EQ(find_step({}), 0u);
}

TEST(CoarseClock, CountedInstructionsAreFine) {
    std::vector<uint64_t> differences;
    for (uint64_t i = 0; i < 1000; ++i) differences.push_back(7 + 61 - i * 7 % 61 + 3 * (i % 64));
    EXPECT_EQ(find_step(differences), 1u);
}

TEST(CoarseClock, SamplesThatAllBeginAtOneMomentOfAStepAreWorthAStep) {
    MeanSum sum(52, 26);
    sum.add(52, 1000);
    EXPECT_EQ(sum.mean().milli, 52000);
    EXPECT_EQ(sum.mean().error_milli, 26000u);
}

TEST(CoarseClock, AMeanHasTheStandardErrorOfTheTextbook) {
    MeanSum sum(4, 26);
    for (uint64_t value : {2, 4, 4, 4, 5, 5, 7, 9}) sum.add(value, 1);
    // Sum of squares about the mean 32, seven degrees of freedom: sqrt(32 / 7 / 8).
    EXPECT_EQ(sum.mean().milli, 5000);
    EXPECT_EQ(sum.mean().error_milli, 756u);
    EXPECT_EQ((sum.mean() - sum.mean()).error_milli, 1069u);
}

}  // namespace
}  // namespace doorbell::measure
