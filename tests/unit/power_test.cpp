#include "firmware/platform/power.h"

#include <algorithm>

#include "tests/unit/fakes.h"

namespace doorbell::test {
namespace {

using platform::AcpiFixed;
using platform::AcpiRegister;

/// PM1 control at 0x604 and 0x704, SMI command at 0xB2, reset ports, keyboard controller; and
/// memory at 0xFED80000.
struct FakeMachine : FakeDevice {
    uint16_t pm1a = 0x1, pm1b = 0x1;
    bool answers_smi = true;
    unsigned keyboard_busy = 3;
    bool off = false, was_reset = false;
    uint8_t reset_control = 0;
    std::vector<Access> effects;  // writes apart from delays

    uint64_t on_read(uint64_t port, unsigned bytes) override {
        if (port == 0x80 && bytes == 1) return 0xFF;
        if (port == 0x604 && bytes == 2) return pm1a;
        if (port == 0x704 && bytes == 2) return pm1b;
        if (port == 0x64 && bytes == 1)
            return keyboard_busy != 0 && keyboard_busy-- != 0 ? 0x02 : 0x00;
        return FakeDevice::on_read(port, bytes);
    }
    void on_write(uint64_t port, unsigned bytes, uint64_t value) override {
        effects.push_back({port, bytes, value});
        auto v = static_cast<uint16_t>(value);
        if (port == 0x604 && bytes == 2) {
            pm1a = v;
        } else if (port == 0x704 && bytes == 2) {
            pm1b = v;
        } else if (port == 0xB2 && bytes == 1) {
            if (v == 0xA0 && answers_smi) pm1a |= 1;
        } else if (port == 0xCF9 && bytes == 1) {
            if ((v & 4) != 0 && (reset_control & 4) == 0) was_reset = (v & 2) != 0;
            reset_control = static_cast<uint8_t>(v);
        } else if (!(bytes == 1 &&
                     (port == 0x64 || port == 0xF4 || port == 0xFED80000 || port == 0xFED80004))) {
            FakeDevice::on_write(port, bytes, value);
        }
    }
};

AcpiFixed pc() {
    AcpiFixed f;
    f.present = f.s5_known = true;
    f.s5_a = 5;
    f.s5_b = 7;
    f.pm1a_control = {AcpiRegister::Space::io, 16, 0x604};
    return f;
}

struct PowerTest : testing::Test {
    FakeMachine fake;
    Error power_off(const AcpiFixed& f) {
        return platform::power_off(cpu::Ports(fake), cpu::Mmio(fake, 0), f);
    }
    Error reset(const AcpiFixed& f) {
        return platform::reset(cpu::Ports(fake), cpu::Mmio(fake, 0), f);
    }
};

TEST_F(PowerTest, EntersS5ByPm1a) {
    fake.pm1a = 0xC001 | 1 << 1;  // bits that must survive
    Error why = power_off(pc());
    EXPECT_EQ(fake.pm1a, 0xC003 | 5 << 10 | 1 << 13);
    ASSERT_EQ(fake.effects.size(), 2u);
    EXPECT_EQ(fake.effects[0].value & 1 << 13, 0u) << "the type is written first";
    EXPECT_STREQ(why.what, "S5 was entered and the machine is still on");
}

TEST_F(PowerTest, Pm1bGetsItsOwnType) {
    AcpiFixed f = pc();
    f.pm1b_control = {AcpiRegister::Space::io, 16, 0x704};
    (void)power_off(f);
    EXPECT_EQ(fake.pm1a >> 10 & 7, 5);
    EXPECT_EQ(fake.pm1b >> 10 & 7, 7);
    EXPECT_EQ(fake.pm1b & 1 << 13, 1 << 13);
}

TEST_F(PowerTest, AsksForAcpiModeFirst) {
    AcpiFixed f = pc();
    f.smi_command = 0xB2;
    f.acpi_enable = 0xA0;
    fake.pm1a = 0;
    (void)power_off(f);
    EXPECT_EQ(fake.effects[0], (Access{0xB2, 1, 0xA0}));
    EXPECT_NE(fake.pm1a & 1 << 13, 0);

    fake = {};
    fake.pm1a = 0;
    fake.answers_smi = false;
    EXPECT_STREQ(power_off(f).what, "waited for SCI_EN after asking for ACPI mode");
}

TEST_F(PowerTest, HardwareReducedMachinesUseTheSleepRegister) {
    AcpiFixed f = pc();
    f.hardware_reduced = true;
    f.sleep_control = {AcpiRegister::Space::memory, 8, 0xFED80000};
    (void)power_off(f);
    ASSERT_EQ(fake.effects.size(), 1u);
    EXPECT_EQ(fake.effects[0], (Access{0xFED80000, 1, 5 << 2 | 1 << 5}));
}

TEST_F(PowerTest, WhatIsMissingIsNamedAndNothingIsWritten) {
    AcpiFixed f = pc();
    f.present = false;
    EXPECT_STREQ(power_off(f).what, "no FADT: the way to power off is not known");
    f = pc();
    f.s5_known = false;
    EXPECT_STREQ(power_off(f).what, "no _S5_ package: the sleep type for power off is not known");
    f = pc();
    f.pm1a_control = {};
    EXPECT_STREQ(power_off(f).what, "the FADT names no PM1a control register");
    f.hardware_reduced = true;
    EXPECT_STREQ(power_off(f).what, "the FADT names no sleep control register");
    EXPECT_TRUE(fake.effects.empty());
}

TEST_F(PowerTest, ResetTriesTheFadtsRegisterFirst) {
    AcpiFixed f = pc();
    f.reset_supported = true;
    f.reset = {AcpiRegister::Space::memory, 8, 0xFED80004};
    f.reset_value = 0x42;
    (void)reset(f);
    ASSERT_FALSE(fake.effects.empty());
    EXPECT_EQ(fake.effects[0], (Access{0xFED80004, 1, 0x42}));
}

TEST_F(PowerTest, ResetFallsBackToThePchAndTheKeyboardController) {
    (void)reset(AcpiFixed{});
    EXPECT_TRUE(fake.was_reset);
    EXPECT_EQ(fake.effects.back(), (Access{0x64, 1, 0xFE}));
    EXPECT_EQ(fake.keyboard_busy, 0u) << "waited until its input buffer was empty";
}

TEST_F(PowerTest, DebugExitIsOneByte) {
    platform::debug_exit(cpu::Ports(fake), 0x10);
    ASSERT_EQ(fake.effects.size(), 1u);
    EXPECT_EQ(fake.effects[0], (Access{0xF4, 1, 0x10}));
}

}  // namespace
}  // namespace doorbell::test
