// The parts of a price, without a clock: differences, the 25th percentile, drift, steadiness.
#include "firmware/measure/price.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <vector>

#include "labs/kit/primitives.h"

namespace doorbell::measure {
namespace {

TEST(Price, IsTheDifferenceOverTheEventsInThousandths) {
    EXPECT_EQ(milli_an_event(1000, 3048, 1024), 2000u);
    EXPECT_EQ(milli_an_event(100, 101, 3), 333u);
    EXPECT_EQ(milli_an_event(100, 102, 3), 667u);
}

TEST(Price, IsNothingWhereMoreWorkWasQuicker) {
    EXPECT_EQ(milli_an_event(5000, 4999, 16), 0u);
    EXPECT_EQ(milli_an_event(5000, 6000, 0), 0u);
}

TEST(Price, TakesItsBaseFromAllSamples) {
    std::vector<PriceSample> samples;
    for (uint64_t base : {900, 100, 101, 700, 102, 103, 800, 104})
        samples.push_back({.base = base});
    EXPECT_EQ(quarter_of_bases(samples), 101u);
    EXPECT_EQ(quarter_of_bases({}), 0u);
}

TEST(Price, DriftsByMoreThanTwoPercent) {
    EXPECT_FALSE(drifted(1'600'000, 1'632'000));
    EXPECT_TRUE(drifted(1'600'000, 1'632'001));
    EXPECT_TRUE(drifted(1'600'000, 1'567'999));
    EXPECT_TRUE(drifted(0, 1'600'000)) << "a clock that stands still has no yardstick";
}

TEST(Price, IsSteadyUpToOnePointThree) {
    EXPECT_TRUE(steady(1000, 1300));
    EXPECT_FALSE(steady(1000, 1301));
    EXPECT_TRUE(steady(0, 0)) << "an event that costs nothing, always";
    EXPECT_FALSE(steady(0, 1));
}

TEST(Price, RingOfRandomOrderVisitsEachLineOnce) {
    constexpr uint64_t bytes = 16384;
    alignas(4096) static char memory[bytes];
    std::vector<uint32_t> table(bytes / 64);
    Random random(7);
    PrimitivePlace place{};
    labs::plan_memory(labs::Access::chained, memory, bytes, table.data(), random, place);
    std::set<uint64_t> seen;
    uint64_t at = place.at;
    unsigned neighbours = 0;
    for (uint64_t i = 0; i < bytes / 64; ++i) {
        seen.insert(at);
        uint64_t next = *reinterpret_cast<uint64_t*>(at);
        neighbours += next == at + 64;
        at = next;
    }
    EXPECT_EQ(seen.size(), bytes / 64);
    EXPECT_EQ(at, place.at);
    EXPECT_LT(neighbours, 10u) << "a prefetcher would find this order";
}

TEST(Price, OneLoadAPageSharesNoSet) {
    constexpr uint64_t pages = 256, page = 4096;
    std::vector<char> memory(pages * page + page);
    auto start = (reinterpret_cast<uint64_t>(memory.data()) + page - 1) & ~(page - 1);
    std::vector<uint32_t> table(pages);
    Random random(7);
    PrimitivePlace place{};
    labs::plan_pages(reinterpret_cast<void*>(start), pages, page, table.data(), random, place);
    std::map<uint64_t, unsigned> of_line;
    uint64_t at = place.at;
    for (uint64_t i = 0; i < pages; ++i, at = *reinterpret_cast<uint64_t*>(at))
        ++of_line[at % page];
    EXPECT_EQ(of_line.size(), 64u);
    for (const auto& [line, count] : of_line) EXPECT_EQ(count, pages / 64) << line;
}

}  // namespace
}  // namespace doorbell::measure
