#include "firmware/cpu/apic.h"

#include "tests/unit/fake_apic.h"

namespace doorbell::test {
namespace {

using cpu::ApicMode;
using cpu::ApicRegister;
using cpu::LocalApic;
using cpu::TimerMode;

class Apic : public testing::TestWithParam<ApicMode> {
  protected:
    Apic() {
        if (GetParam() == ApicMode::xapic) fake.processor.leaves[1].ecx &= ~(1u << 21);
        apic = *fake.bring_up();
    }
    bool x2() const { return GetParam() == ApicMode::x2apic; }
    FakeApic fake;
    LocalApic apic;
};
INSTANTIATE_TEST_SUITE_P(Modes, Apic, testing::Values(ApicMode::xapic, ApicMode::x2apic),
                         [](const auto& info) {
                             return info.param == ApicMode::xapic ? "xapic" : "x2apic";
                         });

TEST_P(Apic, ComesUpInItsModeWithEveryEntryMasked) {
    EXPECT_EQ(apic.x2(), x2());
    EXPECT_EQ(fake.x2(), x2());
    EXPECT_EQ(apic.id(), 3u);
    EXPECT_TRUE(apic.has_deadline());
    for (uint32_t lvt : {0x2F0, 0x320, 0x330, 0x340, 0x350, 0x360, 0x370})
        EXPECT_TRUE(fake.registers[lvt] & 1u << 16) << std::hex << lvt;
}

TEST_P(Apic, EnableOpensEverythingAndEndsWhatFirmwareLeftInService) {
    fake.in_service = {0x31, 0x80, 0xFE};
    apic.enable(0xEF);
    EXPECT_EQ(fake.registers[0x80], 0u);
    EXPECT_EQ(fake.registers[0xF0], 0x1EFu);
    EXPECT_TRUE(fake.in_service.empty());
    EXPECT_EQ(fake.eois, 3u);
}

TEST_P(Apic, EoiIsOneWriteOfZero) {
    fake.in_service = {0x40};
    apic.eoi();
    EXPECT_EQ(fake.eois, 1u);
    EXPECT_EQ(fake.mmio.writes.empty(), x2());
}

TEST_P(Apic, OneShotCountsDownFromTheCount) {
    apic.set_divide_1();
    EXPECT_EQ(fake.registers[0x3E0], 0xBu);
    apic.enable(0xFF);
    apic.arm_one_shot(0x41, 5000);
    EXPECT_EQ(fake.registers[0x320], 0x41u) << "one-shot, unmasked";
    EXPECT_EQ(fake.registers[0x380], 5000u);
    uint32_t first = apic.current_count();
    EXPECT_LT(first, 5001u);
    EXPECT_LT(apic.current_count(), first);
    fake.world.now += 10000;
    EXPECT_EQ(apic.current_count(), 0u);
}

TEST_P(Apic, DeadlineModeWritesTheWholeDeadline) {
    apic.enable(0xFF);
    apic.set_timer_mode(TimerMode::tsc_deadline, 0x42, false);
    EXPECT_EQ(fake.registers[0x320], 0x40042u);
    apic.arm_deadline(0x123456789ABCull);
    EXPECT_EQ(fake.deadline, 0x123456789ABCull);
}

TEST_P(Apic, TimerModeCanBeSetMasked) {
    apic.set_timer_mode(TimerMode::periodic, 0x43, true);
    EXPECT_EQ(fake.registers[0x320], 0x30043u);
    EXPECT_EQ(fake.registers[0x380], 0u) << "stopped";
}

TEST_P(Apic, SendsToItself) {
    ASSERT_TRUE(apic.send_self(0x55));
    uint64_t command = x2() ? fake.x2_command : fake.registers[0x300];
    EXPECT_EQ(command & 0xFF, 0x55u);
    EXPECT_EQ(command >> 18 & 3, 1u) << "shorthand self";
    EXPECT_EQ(command >> 8 & 7, 0u) << "fixed";
}

TEST_P(Apic, SendsToAnother) {
    ASSERT_TRUE(apic.send(7, 0x56));
    uint64_t command =
        x2() ? fake.x2_command : uint64_t{fake.registers[0x310]} << 8 | fake.registers[0x300];
    EXPECT_EQ(command >> 32, 7u) << "destination";
    EXPECT_EQ(command & 0xFFFFFFFF, 0x4056u);
    EXPECT_EQ(static_cast<bool>(apic.send(256, 0x56)), x2()) << "only an x2APIC has ids over 255";
}

TEST_P(Apic, DisableStopsTheTimerAndMasks) {
    apic.enable(0xFF);
    apic.arm_one_shot(0x41, 5000);
    apic.disable();
    EXPECT_EQ(fake.registers[0xF0] & 0x100, 0u);
    EXPECT_EQ(fake.registers[0x380], 0u);
    EXPECT_TRUE(fake.registers[0x320] & 1u << 16);
}

TEST_P(Apic, InServiceAndRequestAreReadByVector) {
    fake.in_service = {0x9F};
    EXPECT_TRUE(apic.in_service(0x9F));
    EXPECT_FALSE(apic.in_service(0x9E));
    EXPECT_FALSE(apic.requested(0x9F));
}

TEST(ApicBringUp, OlderProcessorsHaveFewerEntries) {
    for (uint32_t max_lvt : {3, 4, 5, 6}) {
        FakeApic fake;  // fails on a register that does not exist
        fake.max_lvt = max_lvt;
        EXPECT_TRUE(fake.bring_up());
    }
}

TEST(ApicBringUp, EnablesAnApicThatFirmwareLeftOff) {
    FakeApic fake;
    fake.base &= ~uint64_t{1 << 11};
    ASSERT_TRUE(fake.bring_up());
    EXPECT_TRUE(fake.x2());
    EXPECT_TRUE(fake.base & 1 << 11);
}

TEST(ApicBringUp, StaysInX2ModeWhereFirmwareChoseIt) {
    FakeApic fake;
    fake.base |= 1 << 10;
    auto apic = fake.bring_up(ApicMode::xapic);
    ASSERT_TRUE(apic);
    EXPECT_TRUE(apic->x2());
}

TEST(ApicBringUp, XapicWhereItIsWanted) {
    FakeApic fake;
    auto apic = fake.bring_up(ApicMode::xapic);
    ASSERT_TRUE(apic);
    EXPECT_FALSE(apic->x2());
}

TEST(ApicBringUp, NoApicIsAnErrorAndTouchesNothing) {
    FakeApic fake;
    fake.processor.leaves[1] = {};
    struct Nothing : FakeDevice {
    } nothing;  // fails on any access
    auto apic =
        LocalApic::bring_up(fake.processor.cpuid(), cpu::Msrs(nothing), cpu::Mmio(nothing, 0));
    ASSERT_FALSE(apic);
    EXPECT_STREQ(apic.error().what, "CPUID names no local APIC");
    EXPECT_EQ(LocalApic::page_address(fake.processor.cpuid(), cpu::Msrs(nothing)), 0u);
}

TEST(ApicBringUp, PageElsewhereIsAnError) {
    FakeApic fake;
    fake.processor.leaves[1].ecx = 0;
    fake.base = (fake.base & 0xFFF) | 0xFEC80000;
    auto apic = fake.bring_up();
    ASSERT_FALSE(apic);
    EXPECT_EQ(apic.error().value, 0xFEC80000u);
    EXPECT_EQ(LocalApic::page_address(fake.processor.cpuid(), cpu::Msrs(fake.msr)), 0xFEC80000u);
}

TEST(ApicBringUp, NoDeadlineWithoutItsCpuidBit) {
    FakeApic fake;
    fake.processor.leaves[1].ecx &= ~(1u << 24);
    EXPECT_FALSE(fake.bring_up()->has_deadline());
}

TEST(ApicCommand, WaitsWhileTheLastCommandIsPendingButNotForEver) {
    FakeApic fake;
    auto apic = *fake.bring_up(ApicMode::xapic);
    fake.command_busy_for = 50;
    EXPECT_TRUE(apic.send_self(0x40));
    EXPECT_EQ(fake.command_busy_for, 0u);
    EXPECT_EQ(fake.registers[0x300] & 0xFF, 0x40u);

    fake.command_busy_for = ~0u;
    auto sent = apic.send_self(0x41);
    ASSERT_FALSE(sent);
    EXPECT_STREQ(sent.error().what, "waited for the local APIC to send an interrupt");
    EXPECT_EQ(fake.registers[0x300] & 0xFF, 0x40u)
        << "nothing was written over the pending command";
}

}  // namespace
}  // namespace doorbell::test
