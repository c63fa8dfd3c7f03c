// The parts of a price, without a clock: differences, the 25th percentile, drift, steadiness.
#include "firmware/measure/price.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <vector>

#include "labs/kit/primitives.h"
#include "labs/kit/ring0_primitives.h"

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

TEST(Price, OfMwaitIsTakenForTheStatesThatCpuidEnumerates) {
    // Skylake: two sub-states of C1, one of C2 (the processor's C3), two of C3 (C6); none of C4.
    constexpr uint32_t skylake = 0x00002120;
    EXPECT_TRUE(labs::has_mwait_hint(skylake, 0x00));
    EXPECT_TRUE(labs::has_mwait_hint(skylake, 0x01));
    EXPECT_FALSE(labs::has_mwait_hint(skylake, 0x02));
    EXPECT_TRUE(labs::has_mwait_hint(skylake, 0x10));
    EXPECT_FALSE(labs::has_mwait_hint(skylake, 0x11));
    EXPECT_TRUE(labs::has_mwait_hint(skylake, 0x21));
    EXPECT_FALSE(labs::has_mwait_hint(skylake, 0x30));
    EXPECT_FALSE(labs::has_mwait_hint(0, 0x00)) << "QEMU";
    EXPECT_FALSE(labs::has_mwait_hint(~0u, 0x70)) << "hints end at C7";
}

TEST(Price, OfALateBranchMeetsFreshBitsInLinesOfTheirOwn) {
    constexpr uint64_t bytes = 131072, lines = bytes / labs::cache_line;
    std::vector<uint64_t> zeros(bytes / 8, ~0ull), bits(bytes / 8);
    std::vector<uint32_t> table(lines);
    labs::LateBranchPlaces places{{}, {}, Random(3), 0};
    PricePlan plan = labs::plan_late_branch(zeros.data(), bits.data(), bytes, table.data(), places);
    auto taken = [&](const std::vector<uint64_t>& memory) {
        std::vector<bool> all;
        for (uint64_t i = 0; i < lines; ++i) all.push_back((memory[8 * i] & 1) != 0);
        return all;
    };
    EXPECT_EQ(taken(zeros), std::vector<bool>(lines, false));
    auto before = taken(bits);
    plan.freshen(plan.more_place);
    auto after = taken(bits);
    uint64_t set = 0, changed = 0;
    for (uint64_t i = 0; i < lines; ++i) set += after[i], changed += after[i] != before[i];
    EXPECT_NEAR(static_cast<double>(set), lines / 2.0, lines / 10.0);
    EXPECT_NEAR(static_cast<double>(changed), lines / 2.0, lines / 10.0);
    EXPECT_EQ(plan.units, 128u) << "every second of 256";
}

TEST(Price, OfAnotherCoresLineIsTheOnlyDifferenceOfItsBodies) {
    std::vector<uint64_t> memory(3 * labs::core_lines * labs::cache_line / 8);
    std::vector<uint32_t> table(2 * labs::core_lines);
    Random random(5);
    unsigned written = 0;
    labs::OtherCorePlaces places{{}, {}, [](void* n) { ++*static_cast<unsigned*>(n); }, &written};
    PricePlan plan = labs::plan_line_from_core(memory.data(), table.data(), random, places);
    plan.freshen(plan.more_place);
    EXPECT_EQ(written, 1u);
    auto start = reinterpret_cast<uint64_t>(memory.data());
    auto round = [](uint64_t first) {
        std::set<uint64_t> seen;
        uint64_t at = first;
        do {
            seen.insert(at);
            at = *reinterpret_cast<uint64_t*>(at);
        } while (at != first);
        return seen;
    };
    auto own = round(places.own.at), all = round(places.all.at);
    EXPECT_EQ(own.size(), labs::core_lines);
    EXPECT_EQ(all.size(), 2 * labs::core_lines);
    EXPECT_LT(*own.rbegin(), start + labs::core_lines * labs::cache_line);
    EXPECT_GE(*all.begin(), start + labs::core_lines * labs::cache_line);
    EXPECT_EQ(plan.units * plan.turns, labs::core_lines);
}

}  // namespace
}  // namespace doorbell::measure
