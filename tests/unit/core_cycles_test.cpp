// Core cycles beside ticks, from APERF and MPERF.
#include "firmware/cpu/core_cycles.h"

#include "tests/unit/fakes.h"

namespace doorbell::test {
namespace {

using cpu::CoreCycles;

/// A core that runs at `per_mille` of the TSC's rate while it works, and its two MSRs.
struct Core : FakeDevice {
    uint64_t cycles = 1ull << 40, ticks = 77, per_mille = 1620;
    bool counts = true;
    void work(uint64_t of_ticks) {
        ticks += counts ? of_ticks : 0;
        cycles += counts ? of_ticks * per_mille / 1000 : 0;
    }
    uint64_t on_read(uint64_t address, unsigned) override {
        if (address == 0xE7) return ticks;
        if (address == 0xE8) return cycles;
        ADD_FAILURE() << "no such MSR: " << std::hex << address;
        return 0;
    }
    void on_write(uint64_t address, unsigned, uint64_t) override {
        ADD_FAILURE() << "nothing is written: " << std::hex << address;
    }
};

Core* at_work;
void work() { at_work->work(1000000); }

class CoreCyclesOf : public testing::Test {
  protected:
    CoreCyclesOf() {
        processor.leaves[6].ecx = 1;
        features.max_leaf = 0x16;
        at_work = &core;
    }
    Result<CoreCycles> find() {
        return CoreCycles::find(processor.cpuid(), cpu::Msrs(core), features, work);
    }
    FakeCpuid processor;
    cpu::Features features;
    Core core;
};

TEST_F(CoreCyclesOf, ACoreThatIsFasterThanItsTscAreMoreThanItsTicks) {
    auto found = find();
    ASSERT_TRUE(found) << found.error().what;
    CoreCycles::Reading first = found->read();
    core.work(5000000);
    core.per_mille = 1580;
    core.work(5000000);
    EXPECT_EQ(CoreCycles::a_million_ticks(first, found->read()), 1600000u);
}

TEST_F(CoreCyclesOf, AWrapInBetweenIsNone) {
    core.cycles = ~0ull - 1000;
    auto found = find();
    ASSERT_TRUE(found);
    core.cycles = ~0ull - 10;
    CoreCycles::Reading first = found->read();
    core.work(1000);
    EXPECT_EQ(CoreCycles::a_million_ticks(first, found->read()), 1620000u);
}

TEST_F(CoreCyclesOf, WithoutTheBitOfLeaf6NothingIsRead) {
    processor.leaves[6].ecx = 0xE;
    ASSERT_FALSE(find());
    EXPECT_NE(std::string(find().error().what).find("CPUID.06H:ECX[0]"), std::string::npos);
    processor.leaves[6].ecx = 1;
    features.max_leaf = 5;
    EXPECT_FALSE(find());
    EXPECT_EQ(core.ticks, 77u) << "nor is anything run for it";
}

TEST_F(CoreCyclesOf, CountersThatStandStillAreNotBelieved) {
    core.counts = false;
    ASSERT_FALSE(find());
    EXPECT_NE(std::string(find().error().what).find("do not count"), std::string::npos);
}

TEST_F(CoreCyclesOf, NoTimeNoRate) { EXPECT_EQ(CoreCycles::a_million_ticks({5, 7}, {9, 7}), 0u); }

}  // namespace
}  // namespace doorbell::test
