#include "firmware/cpu/pmu.h"

#include <set>
#include <string>

#include "tests/unit/fake_pmu.h"

namespace doorbell::test {
namespace {

using cpu::Pmu;
using cpu::PmuCounter;
using cpu::PmuEvent;

const PmuEvent* event(const Pmu& pmu, std::string_view name) {
    for (const PmuEvent* e : pmu.events())
        if (name == e->counter) return e;
    ADD_FAILURE() << "no event " << name;
    return nullptr;
}
bool has(const Pmu& pmu, std::string_view name) {
    for (const PmuEvent* e : pmu.events())
        if (name == e->counter) return true;
    return false;
}

class IntelVersion : public testing::TestWithParam<unsigned> {};
INSTANTIATE_TEST_SUITE_P(Versions, IntelVersion, testing::Values(1, 2, 3, 4, 5));

TEST_P(IntelVersion, InstructionsAndMissesAreCountedWhereEachVersionCountsThem) {
    FakeIntelPmu fake;
    fake.version = GetParam();
    if (fake.version == 1) fake.fixed = 0;
    auto pmu = fake.find();
    ASSERT_TRUE(pmu) << pmu.error().what;
    const PmuEvent* wanted[] = {event(*pmu, "instructions"), event(*pmu, "llc_misses")};
    PmuCounter counters[2];
    ASSERT_EQ(*pmu->program(wanted, counters), 2u);
    fake.happen(0x00C0, 5);  // not started yet
    ASSERT_TRUE(pmu->start());
    fake.happen(0x00C0, 1000);
    fake.happen(0x412E, 7);
    EXPECT_EQ(pmu->read(counters[0]), 1000u);
    EXPECT_EQ(pmu->read(counters[1]), 7u);
    bool fixed = GetParam() >= 2;
    EXPECT_EQ(counters[0].rdpmc, fixed ? 1u << 30 : 0u);
    EXPECT_EQ(counters[1].rdpmc, fixed ? 0u : 1u);
    pmu->stop();
    fake.happen(0x00C0, 1000);
    EXPECT_EQ(pmu->read(counters[0]), 1000u);
}

TEST(PmuIntel, ACounterThatOverflowsBetweenTwoReadingsIsStillRight) {
    FakeIntelPmu fake;
    fake.width = 40;
    auto pmu = fake.find();
    const PmuEvent* wanted[] = {event(*pmu, "l1d_misses")};
    PmuCounter counter[1];
    ASSERT_TRUE(pmu->program(wanted, counter));
    ASSERT_TRUE(pmu->start());
    fake.counters[0] = (1ull << 40) - 3;
    uint64_t first = pmu->read(counter[0]);
    fake.happen(0x0151, 10);
    EXPECT_EQ(fake.counters[0], 7u);
    EXPECT_EQ(fake.overflow, 1u);
    EXPECT_EQ(counter[0].between(first, pmu->read(counter[0])), 10u);
}

TEST(PmuIntel, OldOverflowBitsAreTakenAway) {
    FakeIntelPmu fake;
    auto pmu = fake.find();
    fake.overflow = 0x1;
    const PmuEvent* wanted[] = {event(*pmu, "l1d_misses")};
    PmuCounter counter[1];
    ASSERT_TRUE(pmu->program(wanted, counter));
    ASSERT_TRUE(pmu->start());
    EXPECT_EQ(fake.overflow, 0u);
}

class Frozen : public testing::TestWithParam<unsigned> {};
INSTANTIATE_TEST_SUITE_P(Versions, Frozen, testing::Values(2, 3, 4, 5));

TEST_P(Frozen, CountersThatSomebodyLeftFrozenCountAgain) {
    FakeIntelPmu fake;
    fake.version = GetParam();
    auto pmu = fake.find();
    fake.overflow = GetParam() >= 4 ? 1ull << 59 : 0;
    const PmuEvent* wanted[] = {event(*pmu, "instructions")};
    PmuCounter counter[1];
    ASSERT_TRUE(pmu->program(wanted, counter));
    ASSERT_TRUE(pmu->start());
    fake.happen(0x00C0, 1000);
    EXPECT_EQ(pmu->read(counter[0]), 1000u);
}

TEST(PmuIntel, FixedCountersThatVersion5LeavesOutAreNotUsed) {
    FakeIntelPmu fake;
    fake.version = 5;
    fake.promise();
    // EDX promises no contiguous ones, ECX only fixed counter 1: core cycles.
    fake.processor.leaves[0xA] = {5u | 4u << 8 | 48u << 16 | 7u << 24, 0, 1u << 1, 48u << 5};
    auto pmu = Pmu::find(fake.processor.cpuid(), cpu::Msrs(fake), fake.features);
    const PmuEvent* wanted[] = {event(*pmu, "instructions"), event(*pmu, "cycles")};
    PmuCounter counters[2];
    ASSERT_EQ(*pmu->program(wanted, counters), 2u);
    EXPECT_EQ(counters[0].rdpmc, 0u);
    EXPECT_EQ(counters[1].rdpmc, 1u << 30 | 1u);
    ASSERT_TRUE(pmu->start());
    fake.happen(0x00C0, 1000);
    fake.happen(0x003C, 2000);
    EXPECT_EQ(pmu->read(counters[0]), 1000u);
    EXPECT_EQ(pmu->read(counters[1]), 2000u);
}

// Many events count on the first four counters only (L1D.REPLACEMENT on Ice Lake and later, which
// have eight).
TEST(PmuIntel, OnEightCountersEachEventStillCountsOnOneOfTheFirstFour) {
    FakeIntelPmu fake;
    fake.programmable = 8;
    auto pmu = fake.find();
    auto all = pmu->events();
    for (size_t next = 0; next < all.size();) {
        PmuCounter counters[16];
        auto taken = pmu->program(all.subspan(next), counters);
        ASSERT_TRUE(taken);
        for (unsigned i = 0; i < *taken; ++i)
            if ((counters[i].rdpmc >> 30) == 0)
                EXPECT_LT(counters[i].rdpmc, 4u) << counters[i].event->counter;
        next += *taken;
    }
}

TEST(PmuIntel, MoreEventsThanCountersAreTakenInTurns) {
    FakeIntelPmu fake;
    fake.programmable = 2;
    auto pmu = fake.find();
    auto all = pmu->events();
    size_t next = 0;
    unsigned turns = 0;
    std::set<std::string> seen;
    while (next < all.size()) {
        PmuCounter counters[16];
        auto taken = pmu->program(all.subspan(next), counters);
        ASSERT_TRUE(taken);
        ASSERT_GT(*taken, 0u);
        std::set<uint32_t> indices;
        for (unsigned i = 0; i < *taken; ++i) {
            seen.insert(counters[i].event->counter);
            EXPECT_TRUE(indices.insert(counters[i].rdpmc).second);
        }
        next += *taken;
        ++turns;
    }
    EXPECT_EQ(seen.size(), all.size());
    EXPECT_GT(turns, 2u);
}

TEST(PmuIntel, AnEventThatCpuidCallsUnavailableIsNotOffered) {
    FakeIntelPmu fake;
    fake.promise();
    fake.processor.leaves[0xA].ebx = 1u << 4;  // LLC misses
    auto pmu = Pmu::find(fake.processor.cpuid(), cpu::Msrs(fake), fake.features);
    EXPECT_FALSE(has(*pmu, "llc_misses"));
    EXPECT_TRUE(has(*pmu, "llc_references"));
    fake.processor.leaves[0xA] = {4u | 4u << 8 | 48u << 16 | 2u << 24, 0, 0,
                                  3u | 48u << 5};  // EBX has two bits only
    pmu = Pmu::find(fake.processor.cpuid(), cpu::Msrs(fake), fake.features);
    EXPECT_TRUE(has(*pmu, "instructions"));
    EXPECT_FALSE(has(*pmu, "branch_misses"));
}

TEST(PmuIntel, ARegisterThatKeepsItsBitsIsReported) {
    FakeIntelPmu fake;
    fake.locked_select_bits = 1 << 22;  // the enable bit
    auto pmu = fake.find();
    const PmuEvent* wanted[] = {event(*pmu, "l1d_misses")};
    PmuCounter counter[1];
    auto taken = pmu->program(wanted, counter);
    ASSERT_FALSE(taken);
    EXPECT_EQ(taken.error().value, 0x186u);
    EXPECT_NE(std::string(taken.error().what).find("did not take"), std::string::npos);
}

TEST(PmuIntel, NoPmuIsAnErrorWithTheReason) {
    FakeIntelPmu fake;
    fake.promise();
    fake.processor.leaves[0xA] = {};
    EXPECT_FALSE(Pmu::find(fake.processor.cpuid(), cpu::Msrs(fake), fake.features));
    fake.features.max_leaf = 9;
    auto none = Pmu::find(fake.processor.cpuid(), cpu::Msrs(fake), fake.features);
    ASSERT_FALSE(none);
    EXPECT_NE(std::string(none.error().what).find("0AH"), std::string::npos);
}

class Amd : public testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Versions, Amd, testing::Values(false, true),
                         [](const auto& i) { return i.param ? "PerfMonV2" : "Core"; });

TEST_P(Amd, SixCoreCountersCountByTheirTwelveBitEvents) {
    FakeAmdPmu fake;
    fake.version2 = GetParam();
    auto pmu = fake.find();
    ASSERT_TRUE(pmu) << pmu.error().what;
    EXPECT_EQ(pmu->programmable(), 6u);
    const PmuEvent* wanted[] = {event(*pmu, "instructions"), event(*pmu, "l2_misses")};
    PmuCounter counters[2];
    ASSERT_EQ(*pmu->program(wanted, counters), 2u);
    ASSERT_TRUE(pmu->start());
    fake.happen(0x0C0, 0x00, 1000);
    fake.happen(0x064, 0x09, 3);
    EXPECT_EQ(pmu->read(counters[0]), 1000u);
    EXPECT_EQ(pmu->read(counters[1]), 3u);
    EXPECT_EQ(counters[1].rdpmc, 1u);
}

TEST(PmuAmd, CountersThatSomebodyLeftFrozenCountAgain) {
    FakeAmdPmu fake;
    fake.version2 = true;
    auto pmu = fake.find();
    fake.status = 1ull << 59;
    const PmuEvent* wanted[] = {event(*pmu, "instructions")};
    PmuCounter counter[1];
    ASSERT_TRUE(pmu->program(wanted, counter));
    ASSERT_TRUE(pmu->start());
    fake.happen(0x0C0, 0x00, 1000);
    EXPECT_EQ(pmu->read(counter[0]), 1000u);
}

// The fill sources that each family's PPR lists for PMCx043.
TEST(PmuAmd, EachFamilyCountsFillsFromTheSourcesItHas) {
    struct {
        uint32_t family, model;
        const char* table;
        uint8_t all;
        bool interrupts;
    } families[] = {
        {0x17, 0x08, "Zen, Zen+", 0x5B, false},   {0x18, 0x00, "Zen, Zen+", 0x5B, false},
        {0x17, 0x71, "Zen 2", 0x5B, true},        {0x19, 0x01, "Zen 3", 0x5F, true},
        {0x19, 0x50, "Zen 3", 0x5F, true},        {0x19, 0x11, "Zen 4, Zen 5", 0xDF, true},
        {0x19, 0x61, "Zen 4, Zen 5", 0xDF, true}, {0x1A, 0x44, "Zen 4, Zen 5", 0xDF, true}};
    for (const auto& f : families) {
        FakeAmdPmu fake;
        fake.family = f.family;
        fake.model = f.model;
        auto pmu = fake.find();
        ASSERT_TRUE(pmu);
        EXPECT_STREQ(pmu->table(), f.table);
        EXPECT_EQ(event(*pmu, "l1d_misses")->umask, f.all);
        EXPECT_EQ(event(*pmu, "llc_references")->umask, f.all & ~1);
        EXPECT_EQ(has(*pmu, "interrupts"), f.interrupts);
        for (const char* name :
             {"instructions", "cycles", "l2_misses", "llc_misses", "branch_misses", "dtlb_walks"})
            EXPECT_TRUE(has(*pmu, name)) << name;
    }
}

TEST(PmuTables, EveryTableNamesItsManualAndHasNoEventTwice) {
    auto check = [](std::span<const PmuEvent> events) {
        std::set<std::string> names;
        for (const PmuEvent& e : events) {
            EXPECT_TRUE(names.insert(e.counter).second) << e.counter;
            EXPECT_FALSE(std::string(e.name).empty());
        }
    };
    check(cpu::architectural_events());
    for (uint32_t model : {0x3C, 0x55, 0x6A, 0x8F}) {
        ASSERT_NE(cpu::intel_events(6, model), nullptr);
        EXPECT_GT(std::string(cpu::intel_events(6, model)->source).size(), 10u);
        check(cpu::intel_events(6, model)->events);
    }
    for (uint32_t family : {0x17, 0x19, 0x1A}) {
        const cpu::PmuTable& table = *cpu::amd_events(family, 0x40);
        EXPECT_GT(std::string(table.source).size(), 10u);
        std::vector<PmuEvent> all(table.events.begin(), table.events.end());
        all.insert(all.end(), table.shared.begin(), table.shared.end());
        check(all);
    }
    // Ice Lake and Golden Cove renumbered some of Skylake's events.
    auto code = [](uint32_t model, std::string_view name) {
        for (const PmuEvent& e : cpu::intel_events(6, model)->events)
            if (name == e.counter) return static_cast<unsigned>(e.umask << 8 | e.event);
        return 0u;
    };
    EXPECT_EQ(code(0x55, "l2_misses"), 0x3F24u);
    EXPECT_EQ(code(0x6A, "l2_misses"), 0x1FF1u);
    EXPECT_EQ(code(0x55, "dtlb_walks"), 0x0E08u);
    EXPECT_EQ(code(0x8F, "dtlb_walks"), 0x0E12u);
    EXPECT_EQ(cpu::intel_events(6, 0x0F), nullptr);
    EXPECT_EQ(cpu::amd_events(0x15, 0), nullptr);
}

}  // namespace
}  // namespace doorbell::test
