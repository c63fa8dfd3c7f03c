#include "firmware/measure/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <vector>

namespace doorbell::test {
namespace {

using measure::Histogram;

TEST(HistogramBins, EveryEdgeBelongsToItsBinAndTheBinsLeaveNoGap) {
    uint64_t expected = 0;
    for (size_t bin = 0; bin < Histogram::bins; ++bin) {
        uint64_t low = Histogram::lowest_of(bin), high = Histogram::highest_of(bin);
        ASSERT_EQ(low, expected) << "bin " << bin << " does not begin where the last one ended";
        ASSERT_LE(low, high);
        ASSERT_EQ(Histogram::bin_of(low), bin);
        ASSERT_EQ(Histogram::bin_of(high), bin);
        ASSERT_EQ(Histogram::bin_of(low + (high - low) / 2), bin);
        expected = high + 1;
    }
    EXPECT_EQ(expected, 0u) << "the last bin ends with the largest 64-bit value";
}

TEST(HistogramBins, ABinIsNeverWiderThanAThousandthOfItsValues) {
    for (size_t bin = 0; bin < Histogram::bins; ++bin) {
        uint64_t low = Histogram::lowest_of(bin), width = Histogram::highest_of(bin) - low + 1;
        if (low < Histogram::sub_count)
            ASSERT_EQ(width, 1u);
        else
            ASSERT_LE(width * 1024, low) << bin;
    }
}

struct HistogramTest : testing::Test {
    std::unique_ptr<Histogram> histogram = std::make_unique<Histogram>();
};

TEST_F(HistogramTest, AnEmptyOneReportsThat) {
    EXPECT_EQ(histogram->count(), 0u);
    EXPECT_EQ(histogram->min(), ~0ull);
    EXPECT_EQ(histogram->max(), 0u);
    EXPECT_EQ(histogram->percentile(50000), 0u);
}

TEST_F(HistogramTest, OneValueIsEveryPercentile) {
    for (uint64_t value : {0ull, 1ull, 2047ull, 2049ull, 123456789ull, (1ull << 48) - 1, ~0ull}) {
        histogram->clear();
        histogram->record(value);
        for (uint64_t p : {0, 1, 50000, 99999, 100000}) EXPECT_EQ(histogram->percentile(p), value);
    }
}

TEST_F(HistogramTest, TheLargestValuesHaveBinsTooAndSumsWrap) {
    uint64_t huge = ~0ull;
    histogram->record(5);
    histogram->record(1ull << 48);
    histogram->record(huge);
    EXPECT_EQ(histogram->count(), 3u);
    EXPECT_EQ(histogram->at(Histogram::bin_of(1ull << 48)), 1u);
    EXPECT_EQ(histogram->at(Histogram::bins - 1), 1u);
    EXPECT_EQ(histogram->max(), huge);
    EXPECT_EQ(histogram->min(), 5u);
    EXPECT_EQ(histogram->sum(), 5 + (1ull << 48) + huge);  // modulo 2^64
    EXPECT_EQ(histogram->percentile(100000), huge);
}

TEST_F(HistogramTest, ClearForgetsEverything) {
    for (uint64_t v = 1; v != 0 && v < 1ull << 50; v *= 3) histogram->record(v);
    histogram->clear();
    EXPECT_EQ(histogram->count(), 0u);
    EXPECT_EQ(histogram->sum(), 0u);
    EXPECT_EQ(histogram->max(), 0u);
    EXPECT_EQ(histogram->min(), ~0ull);
}

/// The value of rank ceil(n * p / 100000), as percentile() promises.
uint64_t exact_percentile(const std::vector<uint64_t>& sorted, uint64_t per_100000) {
    unsigned __int128 product = static_cast<unsigned __int128>(sorted.size()) * per_100000;
    auto rank = static_cast<size_t>((product + 99999) / 100000);
    return sorted[std::clamp<size_t>(rank, 1, sorted.size()) - 1];
}

TEST_F(HistogramTest, PercentilesAreThoseOfTheSortedValuesToThreeDigits) {
    std::mt19937_64 random(7);
    for (size_t count : {1, 2, 3, 10, 999, 1000, 10007, 100000}) {
        for (unsigned bits : {4, 11, 12, 20, 33, 47}) {
            histogram->clear();
            std::vector<uint64_t> values;
            uint64_t sum = 0;
            for (size_t i = 0; i < count; ++i) {
                // Both uniform and bunched near small values.
                uint64_t value = random() >> (64 - bits);
                if (i % 3 == 0) value >>= random() % bits;
                values.push_back(value);
                sum += value;
                histogram->record(value);
            }
            std::sort(values.begin(), values.end());
            EXPECT_EQ(histogram->count(), count);
            EXPECT_EQ(histogram->sum(), sum);
            EXPECT_EQ(histogram->min(), values.front());
            EXPECT_EQ(histogram->max(), values.back());
            for (uint64_t p :
                 {0, 1, 10, 1000, 25000, 50000, 90000, 99000, 99900, 99990, 99999, 100000}) {
                uint64_t truth = exact_percentile(values, p), said = histogram->percentile(p);
                ASSERT_GE(said, truth) << count << " values of " << bits << " bits, p" << p;
                ASSERT_LE(said - truth, truth / 1024)
                    << count << " values of " << bits << " bits, p" << p;
                if (bits <= 11) ASSERT_EQ(said, truth) << "small values are exact";
            }
        }
    }
}

}  // namespace
}  // namespace doorbell::test
