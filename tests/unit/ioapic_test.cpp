#include "tests/unit/fake_ioapic.h"

namespace doorbell::test {
namespace {

using platform::IoApic;
using platform::Polarity;
using platform::Trigger;

struct IoApicTest : testing::Test {
    FakeIoApic fake;
    Result<IoApic> bring_up() { return IoApic::bring_up(cpu::Mmio(fake, FakeIoApic::base), 24); }
};

TEST_F(IoApicTest, ComesUpWithEveryInputMasked) {
    auto io = bring_up();
    ASSERT_TRUE(io);
    EXPECT_EQ(io->inputs(), 24u);
    for (unsigned i = 0; i < 24; ++i) EXPECT_TRUE(fake.low[i] & 1u << 16) << i;
    EXPECT_FALSE(io->has_gsi(23));
    EXPECT_TRUE(io->has_gsi(24));
    EXPECT_TRUE(io->has_gsi(47));
    EXPECT_FALSE(io->has_gsi(48));
}

TEST_F(IoApicTest, NothingThereIsAnError) {
    for (uint32_t nothing : {0u, ~0u}) {
        fake.version = nothing;
        EXPECT_FALSE(bring_up());
    }
    fake.version = 0x00F00020;  // 241 inputs
    EXPECT_FALSE(bring_up());
}

TEST_F(IoApicTest, RouteWritesTheWholeEntry) {
    IoApic io = *bring_up();
    ASSERT_TRUE(io.route(5, 0x61, 0xC3, Polarity::active_low, Trigger::level, false));
    EXPECT_EQ(io.entry(5), 0xC30000000000A061ull);
    ASSERT_TRUE(io.route(5, 0x62, 0x01, Polarity::active_high, Trigger::edge, true));
    EXPECT_EQ(io.entry(5), 0x0100000000010062ull);
    EXPECT_EQ(fake.low[4] & ~(1u << 16), 0u) << "its neighbours are not touched";
    EXPECT_EQ(fake.low[6] & ~(1u << 16), 0u);
}

TEST_F(IoApicTest, MaskAndUnmaskKeepTheRest) {
    IoApic io = *bring_up();
    ASSERT_TRUE(io.route(23, 0x70, 2, Polarity::active_low, Trigger::level, false));
    io.mask(23);
    EXPECT_EQ(io.entry(23), 0x020000000001A070ull);
    io.unmask(23);
    EXPECT_EQ(io.entry(23), 0x020000000000A070ull);
    io.mask(24);  // no such input: there must be no access, on which the fake would fail
}

TEST_F(IoApicTest, WhatCannotBeRoutedIsAnError) {
    IoApic io = *bring_up();
    EXPECT_FALSE(io.route(24, 0x40, 0, Polarity::active_high, Trigger::edge, false));
    EXPECT_FALSE(io.route(0, 15, 0, Polarity::active_high, Trigger::edge, false));
    EXPECT_FALSE(io.route(0, 0x40, 256, Polarity::active_high, Trigger::edge, false));
    EXPECT_EQ(io.entry(24), 1u << 16);
}

}  // namespace
}  // namespace doorbell::test
