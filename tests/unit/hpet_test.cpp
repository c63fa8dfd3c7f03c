#include "firmware/platform/hpet.h"

#include "tests/unit/fake_timers.h"

namespace doorbell::test {
namespace {

using platform::Hpet;
using platform::Trigger;

struct HpetTest : testing::Test {
    World world;
    FakeHpet fake{world};
    Result<Hpet> bring_up() { return Hpet::bring_up(cpu::Mmio(fake, FakeHpet::base)); }
};

TEST_F(HpetTest, ComesUpRunningAndSilent) {
    auto hpet = bring_up();
    ASSERT_TRUE(hpet);
    EXPECT_EQ(hpet->period_fs(), 10000000u);
    EXPECT_EQ(hpet->timers(), 3u);
    EXPECT_TRUE(hpet->wide());
    EXPECT_EQ(fake.configuration, 1u);
    for (uint32_t c : fake.timer_configuration)
        EXPECT_EQ(c & 0x400C, 0u) << "interrupt, periodic or FSB left on";
}

TEST_F(HpetTest, APeriodOfNothingOrOver100NsIsAnError) {
    for (uint32_t period : {0u, 0x05F5E101u, 0xFFFFFFFFu}) {
        fake.period = period;
        auto hpet = bring_up();
        ASSERT_FALSE(hpet) << period;
        EXPECT_STREQ(hpet.error().what, "the HPET reports an impossible period");
        EXPECT_EQ(hpet.error().value, period);
    }
    fake.period = 0x05F5E100;
    EXPECT_TRUE(bring_up());
}

TEST_F(HpetTest, NothingThereIsAnError) {
    for (uint32_t nothing : {0u, ~0u}) {
        fake.capabilities = nothing;
        EXPECT_FALSE(bring_up());
        EXPECT_TRUE(fake.writes.empty()) << "nothing is written where no HPET answers";
    }
}

TEST_F(HpetTest, AStuckCounterIsAnError) {
    fake.stuck = true;
    fake.offset = 77;
    auto hpet = bring_up();
    ASSERT_FALSE(hpet);
    EXPECT_STREQ(hpet.error().what, "the HPET's counter stands still");
    EXPECT_EQ(hpet.error().value, 77u);
}

TEST_F(HpetTest, CounterIsRightWhileTheLowerHalfWraps) {
    auto hpet = *bring_up();
    // An access takes less than a tick, so over all phases the wrap falls between any two of the
    // reads.
    world.device_cost = 7;
    for (unsigned phase = 0; phase < 10; ++phase)
        for (uint64_t start = 0x1FFFFFFFD; start < 0x200000001; ++start) {
            world.now += 10 - world.now % 10 + phase;
            fake.offset = start - world.counter(fake.millihertz);
            uint64_t value = hpet.counter();
            EXPECT_GE(value, start);
            EXPECT_LE(value, fake.counter());
        }
}

TEST_F(HpetTest, ANarrowCounterHas32Bits) {
    fake.capabilities &= ~(1u << 13);
    fake.offset = 0xFFFFFFFFF0000000;
    auto hpet = *bring_up();
    EXPECT_FALSE(hpet.wide());
    EXPECT_EQ(hpet.counter() >> 32, 0u);
}

TEST_F(HpetTest, ConfigureRoutesOnlyWhereTheTimerCanGo) {
    auto hpet = *bring_up();
    EXPECT_TRUE(hpet.configure(0, 2, Trigger::edge));
    EXPECT_TRUE(hpet.configure(1, 23, Trigger::edge));
    EXPECT_FALSE(hpet.configure(0, 3, Trigger::edge));
    EXPECT_FALSE(hpet.configure(0, 32, Trigger::edge));
    EXPECT_FALSE(hpet.configure(2, 2, Trigger::edge)) << "no route at all";
    EXPECT_FALSE(hpet.configure(3, 2, Trigger::edge)) << "no such timer";
    EXPECT_EQ(hpet.routes(3), 0u);
    EXPECT_EQ(fake.timer_configuration[1], 23u << 9 | 0x104u)
        << "route 23, 32-bit mode, interrupt on, edge, one-shot";
}

TEST_F(HpetTest, ConfiguringDoesNotExpireAndArmingDoes) {
    auto hpet = *bring_up();
    ASSERT_TRUE(hpet.configure(0, 2, Trigger::level));
    world.now += 1000000;
    EXPECT_FALSE(hpet.expired(0)) << "not armed yet";
    hpet.arm_one_shot(0, hpet.counter32() + 1000);
    EXPECT_FALSE(hpet.expired(0));
    world.now += 9000;  // 900 of the 1000 ticks
    EXPECT_FALSE(hpet.expired(0));
    world.now += 2000;
    EXPECT_TRUE(hpet.expired(0));
    EXPECT_FALSE(hpet.expired(1));
    hpet.arm_one_shot(0, hpet.counter32() + 1000);
    hpet.clear(0);
    EXPECT_FALSE(hpet.expired(0));
    hpet.silence(0);
    world.now += 100000;
    EXPECT_FALSE(hpet.expired(0)) << "a silent timer does not expire";
}

}  // namespace
}  // namespace doorbell::test
