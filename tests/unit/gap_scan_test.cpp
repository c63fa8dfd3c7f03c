// What the instrument reports about a clock that jumps, goes back or stands still.
#include "firmware/measure/gap_scan.h"

#include <gtest/gtest.h>

#include <functional>

namespace doorbell::test {
namespace {

using measure::GapScan;

constexpr uint64_t usual = 20, threshold = usual * 10 + 100;

/// Scans a clock whose value at each read follows from the one before and the number of the read.
GapScan scan(const std::function<uint64_t(uint64_t last, uint64_t read)>& next,
             uint64_t span = 10000, uint64_t most_still = 1000) {
    uint64_t now = 5000, reads = 0;
    auto clock = [&] { return now = next(now, reads++); };
    return measure::scan_for_gaps(clock, span, usual, most_still);
}

TEST(GapScan, AClockThatRunsEvenlyHasNoGaps) {
    GapScan seen = scan([](uint64_t last, uint64_t) { return last + usual; });
    EXPECT_EQ(seen.scanned, 10000u);
    EXPECT_EQ(seen.gaps, 0u);
    EXPECT_EQ(seen.lost, 0u);
    EXPECT_EQ(seen.backward, 0u);
    EXPECT_FALSE(seen.stopped);
}

TEST(GapScan, AStepOverTheThresholdIsAGapAndCostsWhatIsAboveAUsualStep) {
    GapScan seen = scan([](uint64_t last, uint64_t read) {
        if (read == 5) return last + threshold;
        if (read == 10) return last + threshold + 1;
        if (read == 20) return last + 3000;
        if (read == 30) return last + 1000;
        return last + usual;
    });
    EXPECT_EQ(seen.gaps, 3u) << "a step of the threshold itself is not a gap";
    EXPECT_EQ(seen.longest, 3000u);
    EXPECT_EQ(seen.lost, threshold + 1 + 3000 + 1000 - 3 * usual);
}

TEST(GapScan, AStepBackIsCountedAndIsNotAGap) {
    GapScan seen =
        scan([](uint64_t last, uint64_t read) { return read == 100 ? last - 1500 : last + usual; });
    EXPECT_EQ(seen.backward, 1u);
    EXPECT_EQ(seen.gaps, 0u);
    EXPECT_EQ(seen.scanned, 10000u) << "the scan goes on from where the clock jumped to";
    EXPECT_FALSE(seen.stopped);
}

TEST(GapScan, AClockThatStandsStillEndsTheScan) {
    GapScan seen =
        scan([](uint64_t last, uint64_t read) { return read < 10 ? last + usual : last; });
    EXPECT_TRUE(seen.stopped);
    EXPECT_EQ(seen.scanned, 9 * usual);
    GapScan never_moved = scan([](uint64_t last, uint64_t) { return last; });
    EXPECT_TRUE(never_moved.stopped);
    EXPECT_EQ(never_moved.scanned, 1u) << "a share of what was scanned can be formed";
}

TEST(GapScan, ACoarseClockDoesNotStandStill) {
    GapScan seen =
        scan([](uint64_t last, uint64_t read) { return read % 900 == 0 ? last + 200 : last; });
    EXPECT_FALSE(seen.stopped);
    EXPECT_EQ(seen.gaps, 0u);
}

TEST(GapScan, AClockThatGoesBackAgainAndAgainEndsTheScan) {
    GapScan seen =
        scan([](uint64_t last, uint64_t read) { return read % 2 == 0 ? last + 10 : last - 10; });
    EXPECT_TRUE(seen.stopped);
    EXPECT_EQ(seen.backward, 1000u);
}

}  // namespace
}  // namespace doorbell::test
