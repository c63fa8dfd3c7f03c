#include "firmware/platform/ioapic.h"

#include "tests/unit/fakes.h"

namespace doorbell::test {
namespace {

using platform::IoApic;
using platform::Polarity;
using platform::Trigger;

/// 82093AA: a select register and a window. Fails when the halves of an unmasked entry are changed.
struct FakeIoApic : FakeDevice {
    static constexpr uint64_t base = 0xFEC00000;
    uint32_t version = 0x00170020;  // 24 inputs
    uint32_t selected = 0;
    uint32_t low[256] = {}, high[256] = {};

    unsigned inputs() const { return (version >> 16 & 0xFF) + 1; }
    uint32_t* entry() {
        if (selected < 0x10 || selected >= 0x10 + 2 * inputs()) return nullptr;
        unsigned n = (selected - 0x10) / 2;
        return selected % 2 == 0 ? &low[n] : &high[n];
    }
    uint64_t on_read(uint64_t address, unsigned bytes) override {
        if (bytes != 4 || address != base + 0x10) return FakeDevice::on_read(address, bytes);
        if (selected == 1) return version;
        if (uint32_t* e = entry()) return *e;
        return FakeDevice::on_read(selected, bytes);
    }
    void on_write(uint64_t address, unsigned bytes, uint64_t value) override {
        if (bytes == 4 && address == base) {
            selected = static_cast<uint32_t>(value);
            return;
        }
        uint32_t* e = bytes == 4 && address == base + 0x10 ? entry() : nullptr;
        if (e == nullptr) return FakeDevice::on_write(address, bytes, value);
        if (selected % 2 == 1)
            EXPECT_TRUE(low[(selected - 0x10) / 2] & 1u << 16) << "destination changed while unmasked";
        *e = static_cast<uint32_t>(value) & ~(selected % 2 == 0 ? 0x5000u : 0u);  // status bits are read-only
    }
};

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
    io.mask(24);  // no such input: no access, which the fake would refuse
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
