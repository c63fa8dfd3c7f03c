// PIT, PM timer and the two 8259s.
#include "firmware/platform/pic.h"
#include "firmware/platform/pit.h"
#include "firmware/platform/pm_timer.h"
#include "tests/unit/fake_timers.h"

namespace doorbell::test {
namespace {

using platform::AcpiFixed;
using platform::AcpiRegister;
using platform::Pit;
using platform::PmTimer;

struct PitTest : testing::Test {
    World world;
    FakePit fake{world};
    PitTest() { world.device_cost = 100; }
    uint64_t ticks() const { return world.counter(fake.millihertz); }
};

TEST_F(PitTest, ComesUpWithTheSpeakerOffAndTheGateOn) {
    fake.gate = 0x3F;  // status bits set, speaker on, both NMI masks on
    ASSERT_TRUE(Pit::bring_up(cpu::Ports(fake)));
    EXPECT_EQ(fake.gate, 0x0D) << "gate on, speaker off, the NMI masks as they were";
}

TEST_F(PitTest, AStuckPitIsAnError) {
    fake.stuck = true;
    auto pit = Pit::bring_up(cpu::Ports(fake));
    ASSERT_FALSE(pit);
    EXPECT_STREQ(pit.error().what, "the PIT does not count");
}

TEST_F(PitTest, OneShotExpiresOnceItsCountHasPassed) {
    Pit pit = *Pit::bring_up(cpu::Ports(fake));
    for (uint32_t count : {1u, 1000u, 0xFFFFu, 0u}) {
        pit.arm_one_shot(static_cast<uint16_t>(count));
        uint64_t start = fake.channels[0].start, length = count == 0 ? 65536 : count;
        while (!pit.expired()) ASSERT_LT(ticks() - start, 2 * length + 10);
        EXPECT_GE(ticks() - start, length + 1);
        EXPECT_LE(ticks() - start, length + 2) << "the poll sees it at once";
    }
}

TEST_F(PitTest, StopLeavesChannel0LowForEver) {
    Pit pit = *Pit::bring_up(cpu::Ports(fake));
    pit.arm_one_shot(10);
    pit.stop();
    world.now += 1000000000;
    EXPECT_FALSE(pit.expired());
}

TEST_F(PitTest, ReadGivesBothBytesOfOneMoment) {
    Pit pit = *Pit::bring_up(cpu::Ports(fake));
    world.device_cost = 300;  // the count changes between the two bytes
    pit.arm_one_shot(0x0402);
    uint16_t last = 0x0402;
    for (int i = 0; i < 500; ++i) {
        uint16_t now = pit.read();
        ASSERT_LE(static_cast<uint16_t>(last - now), 4) << "torn between its bytes";
        last = now;
    }
}

TEST_F(PitTest, WaitTakesAsLongAsItWasAsked) {
    Pit pit = *Pit::bring_up(cpu::Ports(fake));
    for (uint32_t length : {1u, 100u, 11932u, 200000u}) {  // the last is longer than the counter
        uint64_t start = ticks();
        ASSERT_TRUE(pit.wait(length));
        EXPECT_GE(ticks() - start, length);
        EXPECT_LE(ticks() - start, length + 3);
    }
}

TEST_F(PitTest, WaitOnAStoppedPitEnds) {
    Pit pit = *Pit::bring_up(cpu::Ports(fake));
    fake.stuck = true;
    EXPECT_FALSE(pit.wait(10));
}

AcpiFixed with_pm_timer(AcpiRegister::Space space, bool wide) {
    AcpiFixed fixed;
    fixed.present = true;
    fixed.pm_timer = {space, 32, 0x608};
    fixed.pm_timer_32 = wide;
    return fixed;
}

TEST(PmTimerTest, KeepsTo24BitsUnlessTheFadtSays32) {
    World world;
    FakePmTimer fake(world);
    fake.upper = 0xAB000000;
    auto narrow =
        PmTimer::bring_up(cpu::Ports(fake), with_pm_timer(AcpiRegister::Space::io, false));
    ASSERT_TRUE(narrow);
    EXPECT_EQ(narrow->mask(), 0xFFFFFFu);
    EXPECT_LT(narrow->read(), 0x1000000u);
    fake.mask = 0xFFFFFFFF;
    fake.offset = 0xF0000000;
    auto wide = PmTimer::bring_up(cpu::Ports(fake), with_pm_timer(AcpiRegister::Space::io, true));
    ASSERT_TRUE(wide);
    EXPECT_GE(wide->read(), 0xF0000000u);
}

TEST(PmTimerTest, AbsentElsewhereOrStuckIsAnError) {
    World world;
    FakePmTimer fake(world);
    EXPECT_FALSE(PmTimer::bring_up(cpu::Ports(fake), AcpiFixed{}));
    EXPECT_FALSE(
        PmTimer::bring_up(cpu::Ports(fake), with_pm_timer(AcpiRegister::Space::memory, false)));
    fake.stuck = true;
    auto timer = PmTimer::bring_up(cpu::Ports(fake), with_pm_timer(AcpiRegister::Space::io, false));
    ASSERT_FALSE(timer);
    EXPECT_STREQ(timer.error().what, "the PM timer stands still");
}

/// An 8259A that expects its initialisation words in order.
struct FakePics : FakeDevice {
    struct Chip {
        int expects = 0;  // the next initialisation word, 0: none
        uint8_t vector = 0, cascade = 0, mode = 0, mask = 0;
    } chips[2];
    void on_write(uint64_t port, unsigned bytes, uint64_t value) override {
        if (bytes != 1 || (port & ~0x81ull) != 0x20)
            return FakeDevice::on_write(port, bytes, value);
        Chip& c = chips[port >> 7];
        auto v = static_cast<uint8_t>(value);
        if ((port & 1) == 0) {
            EXPECT_EQ(v, 0x11) << "ICW1: edge, cascade, ICW4 follows";
            c = {2, 0, 0, 0, 0};  // initialisation clears the mask
            return;
        }
        switch (c.expects) {
            case 0:
                c.mask = v;
                break;
            case 2:
                c.vector = v;
                c.expects = 3;
                break;
            case 3:
                c.cascade = v;
                c.expects = 4;
                break;
            case 4:
                c.mode = v;
                c.expects = 0;
                break;
        }
    }
};

TEST(PicTest, BothAreMovedOffTheExceptionsAndMasked) {
    FakePics fake;
    platform::silence_pics(cpu::Ports(fake), 0x20);
    EXPECT_EQ(fake.chips[0].vector, 0x20);
    EXPECT_EQ(fake.chips[1].vector, 0x28);
    EXPECT_EQ(fake.chips[0].cascade, 4);
    EXPECT_EQ(fake.chips[1].cascade, 2);
    for (auto& c : fake.chips) {
        EXPECT_EQ(c.mode, 1);
        EXPECT_EQ(c.mask, 0xFF);
        EXPECT_EQ(c.expects, 0);
    }
}

}  // namespace
}  // namespace doorbell::test
