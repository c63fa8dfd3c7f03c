#include "tests/unit/fake_pci.h"

namespace doorbell::test {
namespace {

using platform::PciBar;
using platform::PciConfig;
using platform::PciFunction;

FakeFunction card() { return FakeFunction::make(0x8086, 0x10D3, 0x020000); }
FakeFunction bridge(uint8_t secondary) {
    FakeFunction f = FakeFunction::make(0x1B36, 0x000C, 0x060400, 1);
    f.put8(0x19, secondary);
    return f;
}

struct PciTest : testing::Test {
    FakeConfig fake;
    PciConfig config = by_ecam(fake);
    PciFunction read(unsigned device) {
        return PciFunction::read(config, {0, 0, static_cast<uint8_t>(device), 0});
    }
};

TEST_F(PciTest, FindsCardsBehindBridgesByEcamAndByPorts) {
    fake.add(0, 2, 0, card());
    fake.add(0, 3, 0, bridge(5));
    fake.add(5, 0, 0, card()).put8(0x0E, 0x80);
    fake.add(5, 0, 3, card());
    fake.add(0, 31, 0, FakeFunction::make(0x8086, 0x2918, 0x060100));
    FakeConfigPorts ports(fake);
    PciConfig by_ports{cpu::Ports(ports)};
    for (const PciConfig* c : {&config, &by_ports}) {
        auto found = find_pci_class(*c, 0x02);
        ASSERT_EQ(found.size(), 3u);
        EXPECT_EQ(found[0].address(), (platform::PciAddress{0, 0, 2, 0}));
        EXPECT_EQ(found[1].address(), (platform::PciAddress{0, 5, 0, 0}));
        EXPECT_EQ(found[2].address(), (platform::PciAddress{0, 5, 0, 3}));
    }
}

TEST_F(PciTest, FindsCardsBehindFurtherRootBusesByEcamAndByPorts) {
    fake.add(0, 0, 0, FakeFunction::make(0x8086, 0x29C0, 0x060000));
    fake.add(0, 3, 0, bridge(1));
    fake.add(1, 0, 0, card());
    // A second socket's root bus: no bridge on bus 0 leads to it or to the buses below it.
    fake.add(0x80, 4, 0, bridge(0x81));
    fake.add(0x81, 0, 0, card());
    fake.add(0xFF, 31, 0, card());
    FakeConfigPorts ports(fake);
    PciConfig by_ports{cpu::Ports(ports)};
    for (const PciConfig* c : {&config, &by_ports}) {
        auto found = find_pci_class(*c, 0x02);
        ASSERT_EQ(found.size(), 3u);
        EXPECT_EQ(found[0].address().bus, 1);
        EXPECT_EQ(found[1].address().bus, 0x81);
        EXPECT_EQ(found[2].address().bus, 0xFF);
    }
}

TEST_F(PciTest, FindsCardsOfAnotherSegment) {
    FakeConfig second;
    second.add(0x20, 1, 0, card());
    config.add({0, 7, 0x10, 0x2F}, cpu::Mmio(second, 0x10 << 20));
    fake.add(0, 2, 0, card());
    auto found = find_pci_class(config, 0x02);
    ASSERT_EQ(found.size(), 2u);
    EXPECT_EQ(found[1].address(), (platform::PciAddress{7, 0x20, 1, 0}));
}

TEST_F(PciTest, NoNumberOfOtherCardsHidesOne) {
    for (unsigned device = 1; device < 32; ++device)
        for (unsigned function = 0; function < 8; ++function)
            fake.add(0, device, function, card()).put8(0x0E, 0x80);
    EXPECT_EQ(find_pci_class(config, 0x02).size(), 31u * 8);
}

TEST_F(PciTest, AWindowThatShowsOtherFunctionsThanThePortsIsNotUsed) {
    FakeConfig there, elsewhere, nothing;
    there.add(0, 0, 0, FakeFunction::make(0x8086, 0x29C0, 0x060000));
    there.add(0, 2, 0, card());
    elsewhere.add(0, 0, 0, FakeFunction::make(0x8086, 0x1237, 0x060000));
    FakeConfigPorts ports(there);
    PciConfig by_ports{cpu::Ports(ports)};
    const platform::AcpiEcam ecam{0xE0000000, 0, 0, 255};
    EXPECT_TRUE(by_ports.check(ecam, cpu::Mmio(there, 0)));
    for (FakeConfig* wrong : {&elsewhere, &nothing})
        EXPECT_FALSE(by_ports.check(ecam, cpu::Mmio(*wrong, 0)));
    // Without ports that answer, there is only the window: some function must answer in it.
    FakeConfigPorts no_ports(nothing);
    PciConfig without{cpu::Ports(no_ports)};
    EXPECT_TRUE(without.check(ecam, cpu::Mmio(there, 0)));
    EXPECT_FALSE(without.check(ecam, cpu::Mmio(nothing, 0)));
}

TEST_F(PciTest, BridgesThatPointInACircleAreWalkedOnce) {
    fake.add(0, 1, 0, bridge(1));
    fake.add(1, 0, 0, bridge(0));
    fake.add(1, 1, 0, bridge(1));
    fake.add(1, 2, 0, card());
    EXPECT_EQ(find_pci_class(config, 0x02).size(), 1u);
}

TEST_F(PciTest, ASingleFunctionDeviceHasNoOthers) {
    fake.add(0, 2, 0, card());
    fake.add(0, 2, 1,
             card());  // a device that does not decode the function number appears eight times
    EXPECT_EQ(find_pci_class(config, 0x02).size(), 1u);
}

TEST_F(PciTest, SizesBarsWithDecodingOffAndLeavesThemAsTheyWere) {
    FakeFunction& f = fake.add(0, 2, 0, card());
    f.memory_bar(0, 0xFEB80000, 0x20000);
    f.memory_bar(2, 0xE000000000, 0x4000, true);
    f.put32(0x20, 0xC001);
    f.bar_mask[4] = 0xFFFFFFE0;
    PciFunction read_back = read(2);
    EXPECT_EQ(read_back.bar(0).kind, PciBar::Kind::memory);
    EXPECT_EQ(read_back.bar(0).address, 0xFEB80000u);
    EXPECT_EQ(read_back.bar(0).bytes, 0x20000u);
    EXPECT_EQ(read_back.bar(1).kind, PciBar::Kind::none);
    EXPECT_EQ(read_back.bar(2).kind, PciBar::Kind::memory);
    EXPECT_EQ(read_back.bar(2).address, 0xE000000000u);
    EXPECT_EQ(read_back.bar(2).bytes, 0x4000u);
    EXPECT_EQ(read_back.bar(3).kind, PciBar::Kind::none) << "the upper half of the one before";
    EXPECT_EQ(read_back.bar(4).kind, PciBar::Kind::io);
    EXPECT_EQ(read_back.bar(4).bytes, 0x20u);
    EXPECT_FALSE(f.sized_while_decoding);
    EXPECT_EQ(f.get(0x10, 4), 0xFEB80000u);
    EXPECT_EQ(f.get(0x1C, 4), 0xE0u);
    EXPECT_EQ(f.get(4, 2), 3u) << "decoding is on again";
}

TEST_F(PciTest, InvalidBarsAreMarked) {
    FakeFunction& f = fake.add(0, 2, 0, card());
    f.memory_bar(0, 0, 0x1000);  // firmware gave it no address
    f.memory_bar(1, 0xFEB00000, 0x1000);
    f.bar_mask[1] = 0xFFF0F000;  // a size that is not a power of two
    f.put32(0x24, 0xFEB00004);   // 64 bits wide, but the last
    f.bar_mask[5] = 0xFFFFF000;
    PciFunction read_back = read(2);
    EXPECT_EQ(read_back.bar(0).kind, PciBar::Kind::bad);
    EXPECT_EQ(read_back.bar(1).kind, PciBar::Kind::bad);
    EXPECT_EQ(read_back.bar(5).kind, PciBar::Kind::bad);
    EXPECT_FALSE(read_back.registers(0, 0, 4));
    EXPECT_FALSE(read_back.registers(6, 0, 4));
}

TEST_F(PciTest, RegistersStayInsideTheirBar) {
    fake.add(0, 2, 0, card()).memory_bar(0, 0xFEB80000, 0x1000);
    PciFunction f = read(2);
    EXPECT_FALSE(f.registers(0, 0, 4)) << "not mapped yet";
    f.bar(0).window = cpu::Mmio(fake, 0);
    f.bar(0).mapped = true;
    EXPECT_TRUE(f.registers(0, 0xFF0, 16));
    EXPECT_FALSE(f.registers(0, 0xFF0, 17));
    EXPECT_FALSE(f.registers(0, ~0ull, 2));
    EXPECT_FALSE(f.registers(0, 0x10, ~0ull)) << "the sum wraps";
}

TEST_F(PciTest, ACircularCapabilityListEnds) {
    FakeFunction& f = fake.add(0, 2, 0, card());
    f.capability(0x01, 0x40);
    f.capability(0x05, 0x50);
    f.put8(0x41, 0x50);
    PciFunction read_back = read(2);
    EXPECT_EQ(read_back.capability(0x05), 0x50);
    EXPECT_EQ(read_back.capability(0x01), 0x40);
    EXPECT_EQ(read_back.capability(0x11), 0);
    f.put8(0x34, 0x10);
    EXPECT_EQ(read_back.capability(0x05), 0) << "a pointer into the header is none";
    f.put16(6, 0);
    f.put8(0x34, 0x50);
    EXPECT_EQ(read_back.capability(0x05), 0) << "the status register says that there is no list";
}

TEST_F(PciTest, MsiGoesToTheProcessorInBothForms) {
    FakeFunction& f = fake.add(0, 2, 0, card());
    f.capability(0x05, 0x50);
    PciFunction read_back = read(2);
    ASSERT_TRUE(read_back.route_msi(0x61, 3));
    EXPECT_EQ(f.get(0x54, 4), 0xFEE03000u);
    EXPECT_EQ(f.get(0x58, 2), 0x61u);
    EXPECT_EQ(f.get(0x52, 2), 1u);
    f.put16(0x52, 0x00F0);  // 64-bit addresses; eight messages granted
    ASSERT_TRUE(read_back.route_msi(0x62, 0));
    EXPECT_EQ(f.get(0x5C, 2), 0x62u);
    EXPECT_EQ(f.get(0x52, 2), 0x81u) << "one message, enabled";
    EXPECT_FALSE(read_back.route_msi(0x62, 256));
    EXPECT_FALSE(read_back.route_msix(0, 0x61, 0)) << "it has none";
}

struct FakeTable final : FakeDevice {
    std::map<uint64_t, uint32_t> words;
    uint64_t on_read(uint64_t a, unsigned) override { return words[a]; }
    void on_write(uint64_t a, unsigned, uint64_t v) override {
        words[a] = static_cast<uint32_t>(v);
    }
};

TEST_F(PciTest, MsixWritesItsEntryAndMasksTheOthers) {
    FakeTable table;
    FakeFunction& f = fake.add(0, 2, 0, card());
    f.memory_bar(3, 0xFEB00000, 0x1000);
    f.capability(0x11, 0x60);
    f.put16(0x62, 4);  // five entries
    f.put32(0x64, 0x100 | 3);
    PciFunction read_back = read(2);
    read_back.bar(3).window = cpu::Mmio(table, 0);
    read_back.bar(3).mapped = true;
    ASSERT_TRUE(read_back.route_msix(1, 0x61, 2));
    EXPECT_EQ(table.words[0x110], 0xFEE02000u);
    EXPECT_EQ(table.words[0x118], 0x61u);
    EXPECT_EQ(table.words[0x11C], 0u);
    for (unsigned i : {0u, 2u, 3u, 4u}) EXPECT_EQ(table.words[0x10C + 16 * i], 1u) << i;
    EXPECT_EQ(f.get(0x62, 2), 0x8004u);
    EXPECT_FALSE(read_back.route_msix(5, 0x61, 2)) << "the table has five";
    f.put32(0x64, 0xFC0 | 3);
    EXPECT_FALSE(read_back.route_msix(0, 0x61, 2)) << "five entries do not fit there";
    read_back.disable();
    EXPECT_EQ(f.get(0x62, 2) & 0x4000u, 0x4000u) << "masked as a whole";
}

TEST_F(PciTest, BusMasteringGoesOnAndOffAgain) {
    FakeFunction& f = fake.add(0, 2, 0, card());
    PciFunction read_back = read(2);
    ASSERT_TRUE(read_back.enable());
    EXPECT_TRUE(f.bus_master());
    EXPECT_EQ(f.get(4, 2) & 0x400u, 0x400u) << "INTx off";
    read_back.disable();
    EXPECT_FALSE(f.bus_master());
    f.command_mask = 3;
    EXPECT_FALSE(read_back.enable()) << "a function that does not take the bit";
    f.gone = true;
    EXPECT_FALSE(read_back.enable());
}

}  // namespace
}  // namespace doorbell::test
