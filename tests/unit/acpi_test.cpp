#include "firmware/platform/acpi.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "tests/unit/acpi_builder.h"

namespace doorbell::test {
namespace {

using platform::Acpi;
using platform::AcpiFault;
using platform::AcpiRegister;
using platform::Polarity;
using platform::Trigger;

// clang-format off: a table's entry is a line.
/// Name(\_S5_, Package(4){a, b, 0, 0}) among other bytes.
Bytes aml_with_s5(uint8_t a, uint8_t b) {
    return Body{}
        .text("\x10\x20_SB_")
        .text("_S5_")
        .u8(0x08)
        .text("\\_S5_")
        .u8(0x12)
        .u8(0x0A)
        .u8(4)
        .u8(0x0A)
        .u8(a)
        .u8(0x0A)
        .u8(b)
        .u8(0)
        .u8(0)
        .text("\x5B\x80junk")
        .bytes;
}

Body madt() {
    return Body{}
        .u32(0xFEE00000)
        .u32(1)
        .u8(0)
        .u8(8)
        .u8(0)
        .u8(0)
        .u32(1)  // processor 0
        .u8(0)
        .u8(8)
        .u8(1)
        .u8(2)
        .u32(1)  // processor 1: APIC id 2
        .u8(0)
        .u8(8)
        .u8(2)
        .u8(4)
        .u32(2)  // may come later, is not there
        .u8(9)
        .u8(16)
        .u16(0)
        .u32(0x1234)
        .u32(1)
        .u32(7)  // x2APIC
        .u8(1)
        .u8(12)
        .u8(0)
        .u8(0)
        .u32(0xFEC00000)
        .u32(0)  // I/O APICs
        .u8(1)
        .u8(12)
        .u8(1)
        .u8(0)
        .u32(0xFEC10000)
        .u32(24)
        .u8(2)
        .u8(10)
        .u8(0)
        .u8(0)
        .u32(2)
        .u16(0)  // IRQ 0 is GSI 2, as the bus has it
        .u8(2)
        .u8(10)
        .u8(0)
        .u8(9)
        .u32(9)
        .u16(0xF)  // IRQ 9 is level, active low
        .u8(4)
        .u8(6)
        .u8(0xFF)
        .u16(5)
        .u8(1)  // local NMI
        .u8(0xC0)
        .u8(3)
        .u8(0);  // OEM's own
}
// clang-format on

Body fadt(uint32_t dsdt) {
    Body b;
    // Offsets are those of the table, header included.
    auto set = [&](size_t offset, uint64_t v, size_t size) { b.set(offset - 36, v, size); };
    set(40, dsdt, 4);
    set(46, 9, 2);
    set(48, 0xB2, 4);
    set(52, 0xA0, 1);
    set(64, 0x604, 4);
    set(76, 0x608, 4);
    set(108, 0x32, 1);
    set(109, 0x3, 2);
    set(112, 1 << 8 | 1 << 10, 4);
    b.generic(116 - 36, 1, 8, 0xCF9);
    set(128, 0x0F, 1);
    set(275, 0, 1);
    return b;
}

/// A whole machine's tables.
struct Machine : AcpiMemory {
    uint64_t dsdt = table("DSDT", aml_with_s5(5, 6));
    uint64_t fadt_at = table("FACP", fadt(static_cast<uint32_t>(dsdt)).bytes);
    uint64_t madt_at = table("APIC", madt().bytes);
    uint64_t hpet_at = table("HPET", Body{}
                                         .u32(0x8086A201)
                                         .u8(0)
                                         .u8(64)
                                         .u8(0)
                                         .u8(0)
                                         .u64(0xFED00000)
                                         .u8(0)
                                         .u16(0x80)
                                         .u8(0)
                                         .bytes);
    uint64_t mcfg_at =
        table("MCFG", Body{}.u64(0).u64(0xB0000000).u16(0).u8(0).u8(0xFF).u32(0).bytes);
    uint64_t other_at = table("WAET", {1, 2, 3});
    uint64_t xsdt_at = xsdt({fadt_at, madt_at, hpet_at, mcfg_at, other_at});
    uint64_t rsdt_at = rsdt({fadt_at, madt_at});
    uint64_t rsdp_at = rsdp(rsdt_at, xsdt_at);

    Result<Acpi> parse() { return Acpi::parse(view(), rsdp_at); }
    /// A machine whose root table lists only these.
    Result<Acpi> parse_only(std::initializer_list<uint64_t> tables) {
        return Acpi::parse(view(), rsdp(0, xsdt(tables)));
    }
};

bool has_fault(const Acpi& acpi, std::string_view signature, std::string_view what) {
    return std::any_of(acpi.faults.begin(), acpi.faults.end(), [&](const AcpiFault& f) {
        return f.signature == signature &&
               std::string_view(f.error.what).find(what) != std::string_view::npos;
    });
}

TEST(AcpiTest, AWholeMachine) {
    Machine m;
    auto acpi = m.parse();
    ASSERT_TRUE(acpi) << acpi.error().what;
    EXPECT_TRUE(acpi->faults.empty()) << acpi->faults[0].error.what;
    ASSERT_EQ(acpi->cpus.size(), 3u);
    EXPECT_EQ(acpi->cpus[0], 0u);
    EXPECT_EQ(acpi->cpus[1], 2u);
    EXPECT_EQ(acpi->cpus[2], 0x1234u);
    ASSERT_EQ(acpi->io_apics.size(), 2u);
    EXPECT_EQ(acpi->io_apics[1].address, 0xFEC10000u);
    EXPECT_EQ(acpi->io_apics[1].gsi_base, 24u);
    EXPECT_EQ(acpi->isa(0).gsi, 2u);
    EXPECT_EQ(acpi->isa(0).polarity, Polarity::active_high);
    EXPECT_EQ(acpi->isa(9).polarity, Polarity::active_low);
    EXPECT_EQ(acpi->isa(9).trigger, Trigger::level);
    EXPECT_EQ(acpi->isa(4).gsi, 4u) << "identity where there is no override";
    EXPECT_EQ(acpi->isa(4).trigger, Trigger::edge);
    EXPECT_EQ(acpi->hpet_address, 0xFED00000u);
    ASSERT_EQ(acpi->ecam.size(), 1u);
    EXPECT_EQ(acpi->ecam[0].base, 0xB0000000u);
    EXPECT_EQ(acpi->ecam[0].last_bus, 0xFF);
    const auto& f = acpi->fixed;
    EXPECT_TRUE(f.present);
    EXPECT_EQ(f.smi_command, 0xB2);
    EXPECT_EQ(f.acpi_enable, 0xA0);
    EXPECT_EQ(f.pm1a_control.address, 0x604u);
    EXPECT_EQ(f.pm1a_control.space, AcpiRegister::Space::io);
    EXPECT_FALSE(f.pm1b_control);
    EXPECT_EQ(f.pm_timer.address, 0x608u);
    EXPECT_TRUE(f.pm_timer_32);
    EXPECT_TRUE(f.reset_supported);
    EXPECT_EQ(f.reset.address, 0xCF9u);
    EXPECT_EQ(f.reset_value, 0x0F);
    EXPECT_FALSE(f.hardware_reduced);
    EXPECT_TRUE(f.s5_known);
    EXPECT_EQ(f.s5_a, 5);
    EXPECT_EQ(f.s5_b, 6);
}

TEST(AcpiTest, TheGenericAddressGoesBeforeTheOldOne) {
    Machine m;
    Body b = fadt(static_cast<uint32_t>(m.dsdt));
    b.generic(172 - 36, 1, 16, 0x1804).generic(208 - 36, 0, 32, 0xFED80808);
    b.set(140 - 36, m.dsdt, 8).set(40 - 36, 0xFFFFFFFF, 4);
    auto acpi = m.parse_only({m.table("FACP", b.bytes)});
    ASSERT_TRUE(acpi);
    EXPECT_EQ(acpi->fixed.pm1a_control.address, 0x1804u);
    EXPECT_EQ(acpi->fixed.pm_timer.space, AcpiRegister::Space::memory);
    EXPECT_EQ(acpi->fixed.pm_timer.address, 0xFED80808u);
    EXPECT_TRUE(acpi->fixed.s5_known) << "X_DSDT";
}

TEST(AcpiTest, AnAcpi1FadtIsShort) {
    Machine m;
    Bytes b = fadt(static_cast<uint32_t>(m.dsdt)).bytes;
    b.resize(116 - 36);
    auto acpi = m.parse_only({m.table("FACP", b)});
    ASSERT_TRUE(acpi);
    EXPECT_EQ(acpi->fixed.pm_timer.address, 0x608u);
    EXPECT_FALSE(acpi->fixed.reset_supported);
    EXPECT_TRUE(acpi->fixed.s5_known);
    EXPECT_TRUE(acpi->faults.empty());
}

TEST(AcpiTest, AHardwareReducedMachine) {
    Machine m;
    Body b = fadt(static_cast<uint32_t>(m.dsdt));
    b.set(112 - 36, 1 << 20 | 1 << 10, 4)
        .generic(244 - 36, 0, 8, 0xFEA00004)
        .generic(256 - 36, 0, 8, 0xFEA00005);
    auto acpi = m.parse_only({m.table("FACP", b.bytes)});
    ASSERT_TRUE(acpi);
    EXPECT_TRUE(acpi->fixed.hardware_reduced);
    EXPECT_EQ(acpi->fixed.sleep_control.address, 0xFEA00004u);
}

TEST(AcpiTest, PortsBeyondTheLastAndStrangeSpacesAreFaults) {
    Machine m;
    Body b = fadt(static_cast<uint32_t>(m.dsdt));
    b.set(64 - 36, 0x10604, 4).generic(208 - 36, 0x7F, 32, 0x608);
    auto acpi = m.parse_only({m.table("FACP", b.bytes)});
    ASSERT_TRUE(acpi);
    EXPECT_FALSE(acpi->fixed.pm1a_control);
    EXPECT_FALSE(acpi->fixed.pm_timer);
    EXPECT_TRUE(has_fault(*acpi, "FACP", "beyond 0xFFFF"));
    EXPECT_TRUE(has_fault(*acpi, "FACP", "address space"));
}

// The pointer structure.

TEST(AcpiRsdp, TheXsdtGoesBeforeTheRsdtAndTheRsdtIsTheFallback) {
    Machine m;
    m.bytes[m.xsdt_at - m.base + 40] ^= 1;
    auto acpi = m.parse();
    ASSERT_TRUE(acpi);
    EXPECT_TRUE(has_fault(*acpi, "XSDT", "checksum"));
    EXPECT_EQ(acpi->cpus.size(), 3u) << "from the RSDT's tables";
    EXPECT_EQ(acpi->hpet_address, 0u) << "which the RSDT does not list";
}

TEST(AcpiRsdp, BothRootsBadIsAnError) {
    Machine m;
    m.bytes[m.xsdt_at - m.base + 40] ^= 1;
    m.bytes[m.rsdt_at - m.base + 36] ^= 1;
    EXPECT_STREQ(m.parse().error().what, "neither the XSDT nor the RSDT can be used");
}

TEST(AcpiRsdp, EveryBadByteInItIsNoticed) {
    for (size_t i = 0; i < 36; ++i) {
        Machine m;
        m.bytes[m.rsdp_at - m.base + i] ^= 0x40;
        auto acpi = m.parse();
        if (i < 20)
            EXPECT_FALSE(acpi) << i;
        else
            EXPECT_TRUE(acpi && has_fault(*acpi, "RSDP", "")) << i;  // and the RSDT is used
    }
}

TEST(AcpiRsdp, RevisionZeroHasNoXsdt) {
    Machine m;
    m.rsdp_at = m.rsdp(m.rsdt_at, 0);
    auto acpi = m.parse();
    ASSERT_TRUE(acpi);
    EXPECT_EQ(acpi->cpus.size(), 3u);
    EXPECT_TRUE(acpi->faults.empty());
}

TEST(AcpiRsdp, ACopyOfItIsEnough) {
    Machine m;
    Bytes copy(m.bytes.begin() + static_cast<long>(m.rsdp_at - m.base), m.bytes.end());
    ASSERT_EQ(copy.size(), 36u);
    for (size_t length = 0; length < 20; ++length)
        EXPECT_FALSE(Acpi::parse_rsdp_bytes(m.view(), std::span(copy).first(length)));
    EXPECT_EQ(Acpi::parse_rsdp_bytes(m.view(), std::span(copy).first(20))->hpet_address, 0u)
        << "by the RSDT";
    EXPECT_EQ(Acpi::parse_rsdp_bytes(m.view(), copy)->hpet_address, 0xFED00000u);
}

TEST(AcpiRsdp, IsFoundWhereABiosLeavesIt) {
    Machine m;  // lies from 0xE0000
    auto found = Acpi::find_rsdp(m.view());
    ASSERT_TRUE(found);
    EXPECT_EQ(*found, m.rsdp_at);
    m.bytes[m.rsdp_at - m.base + 9] ^= 1;
    EXPECT_FALSE(Acpi::find_rsdp(m.view()));
}

TEST(AcpiRsdp, OutsideOfMemoryIsAnError) {
    Machine m;
    for (uint64_t address : {0ull, 0xDFFFFull, ~0ull, ~0ull - 19, 0x8000000000000000ull})
        EXPECT_FALSE(Acpi::parse(m.view(), address)) << std::hex << address;
}

// Damage.

TEST(AcpiDamage, MemoryCutAtEveryLengthIsHarmless) {
    Machine whole;
    uint64_t rsdp = whole.rsdp_at;
    Bytes copy(whole.bytes.begin() + static_cast<long>(rsdp - whole.base), whole.bytes.end());
    // Everything that the XSDT reaches; only the RSDT and the RSDP come after it.
    size_t used = whole.xsdt_at - whole.base + 36 + 5 * 8;
    for (size_t length = 0; length < used; ++length) {
        Machine m;
        m.bytes.resize(length);
        m.bytes.shrink_to_fit();
        auto acpi = Acpi::parse_rsdp_bytes(m.view(), copy);
        if (acpi) EXPECT_FALSE(acpi->faults.empty()) << length;
    }
}

TEST(AcpiDamage, EveryTableCutAtEveryLengthIsHarmlessAndTheOthersAreKept) {
    Machine whole;
    for (uint64_t table :
         {whole.fadt_at, whole.madt_at, whole.hpet_at, whole.mcfg_at, whole.dsdt}) {
        uint32_t length;
        std::memcpy(&length, &whole.bytes[table - whole.base + 4], 4);
        for (uint32_t cut = 0; cut < length; ++cut) {
            Machine m;
            m.patch(table, 4, cut, 4);  // and a right checksum over what is left
            auto acpi = m.parse();
            ASSERT_TRUE(acpi) << cut;
            if (cut < 36) EXPECT_FALSE(acpi->faults.empty()) << cut;
            if (table != m.madt_at) EXPECT_EQ(acpi->cpus.size(), 3u);
            if (table != m.hpet_at) EXPECT_EQ(acpi->hpet_address, 0xFED00000u);
        }
    }
}

TEST(AcpiDamage, EveryWrongByteIsCaughtByTheChecksumOfItsTable) {
    Machine whole;
    for (uint64_t table : {whole.madt_at, whole.hpet_at, whole.mcfg_at, whole.dsdt})
        for (size_t i = 8; i < 56; ++i) {
            Machine m;
            m.bytes[table - m.base + i] ^= 0x10;
            auto acpi = m.parse();
            ASSERT_TRUE(acpi);
            ASSERT_EQ(acpi->faults.size(), 1u);
            EXPECT_STREQ(acpi->faults[0].error.what, "a table has a wrong checksum");
            EXPECT_EQ(acpi->faults[0].address, table);
        }
}

TEST(AcpiDamage, WildLengthsAreFaults) {
    for (uint32_t length : {0u, 1u, 35u, 0x400001u, 0x7FFFFFFFu, 0xFFFFFFFFu}) {
        Machine m;
        m.patch(m.madt_at, 4, length, 4);
        auto acpi = m.parse();
        ASSERT_TRUE(acpi);
        EXPECT_TRUE(has_fault(*acpi, "APIC", "length is impossible")) << length;
        EXPECT_TRUE(acpi->fixed.present);
    }
    Machine m;
    m.patch(m.madt_at, 4, 0x400000, 4);
    EXPECT_TRUE(has_fault(*m.parse(), "APIC", "reaches outside of memory"));
}

TEST(AcpiDamage, PointersOutsideOfMemoryAreSkipped) {
    Machine m;
    auto acpi = m.parse_only({0, ~0ull, m.madt_at, ~0ull - 35, 0x1000, m.hpet_at});
    ASSERT_TRUE(acpi);
    EXPECT_EQ(acpi->faults.size(), 4u);
    EXPECT_EQ(acpi->cpus.size(), 3u);
    EXPECT_EQ(acpi->hpet_address, 0xFED00000u);
    m.patch(m.fadt_at, 40, 0xFFFFFFF0, 4);
    acpi = m.parse();
    EXPECT_TRUE(has_fault(*acpi, "DSDT", "outside of memory"));
    EXPECT_TRUE(acpi->fixed.present);
}

TEST(AcpiDamage, TablesThatPointIntoThemselvesEnd) {
    Machine m;
    uint64_t root = m.xsdt({0, 0, m.madt_at});
    m.patch(root, 36, root, 8);      // the XSDT lists itself
    m.patch(root, 44, root + 8, 8);  // and its own middle
    auto acpi = Acpi::parse(m.view(), m.rsdp(0, root));
    ASSERT_TRUE(acpi);
    EXPECT_EQ(acpi->cpus.size(), 3u);

    m.patch(m.fadt_at, 40, m.fadt_at, 4);  // a FADT that is its own DSDT
    acpi = m.parse();
    EXPECT_TRUE(has_fault(*acpi, "DSDT", "another signature"));

    m.rsdp_at =
        m.rsdp(static_cast<uint32_t>(m.base + m.bytes.size()), 0);  // an RSDT that is the RSDP
    EXPECT_FALSE(m.parse());
}

TEST(AcpiDamage, AMadtEntryWithoutLengthEndsTheTable) {
    for (uint8_t length : {0, 1, 200}) {
        Machine m;
        auto acpi =
            m.parse_only({m.table("APIC", madt().u8(0).u8(length).u8(0).u8(9).u32(1).bytes)});
        ASSERT_TRUE(acpi);
        EXPECT_EQ(acpi->cpus.size(), 3u) << "what came before is kept";
        EXPECT_TRUE(has_fault(*acpi, "APIC", "length is impossible"));
    }
}

TEST(AcpiDamage, AMadtEntryTooShortForItsTypeIsSkipped) {
    for (uint8_t type : {0, 1, 2, 5, 9}) {
        Machine m;
        auto acpi = m.parse_only({m.table(
            "APIC",
            Body{}.u32(0xFEE00000).u32(0).u8(type).u8(2).u8(0).u8(8).u8(0).u8(6).u32(1).bytes)});
        ASSERT_TRUE(acpi);
        EXPECT_TRUE(has_fault(*acpi, "APIC", "shorter than its type"));
        ASSERT_EQ(acpi->cpus.size(), 1u);
        EXPECT_EQ(acpi->cpus[0], 6u) << "the entry behind it is read";
    }
}

TEST(AcpiDamage, HugeCountsStayWithinTheirBounds) {
    Machine m;
    Body many = Body{}.u32(0xFEE00000).u32(0);
    for (uint32_t i = 0; i < 300; ++i) many.u8(9).u8(16).u16(0).u32(i).u32(1).u32(i);
    for (uint32_t i = 0; i < 100; ++i)
        many.u8(1).u8(12).u8(i).u8(0).u32(0xFEC00000 + i * 0x1000).u32(24 * i);
    for (uint32_t i = 0; i < 40; ++i) many.u8(2).u8(10).u8(0).u8(i % 16).u32(i).u16(0);
    Body ranges = Body{}.u64(0);
    for (uint32_t i = 0; i < 100; ++i)
        ranges.u64(0x100000000 + (uint64_t{i} << 28)).u16(i).u8(0).u8(255).u32(0);
    auto acpi = m.parse_only({m.table("APIC", many.bytes), m.table("MCFG", ranges.bytes)});
    ASSERT_TRUE(acpi);
    EXPECT_EQ(acpi->cpus.size(), 64u);
    EXPECT_EQ(acpi->cpus.dropped(), 236u);
    EXPECT_EQ(acpi->io_apics.size(), 64u);
    EXPECT_EQ(acpi->overrides.size(), 16u);
    EXPECT_EQ(acpi->ecam.size(), 16u);
    EXPECT_EQ(acpi->faults.size(), 16u);
    EXPECT_GT(acpi->faults.dropped(), 100u);

    Body root;
    for (int i = 0; i < 2000; ++i) root.u64(m.other_at);
    acpi = Acpi::parse(m.view(), m.rsdp(0, m.table("XSDT", root.bytes)));
    ASSERT_TRUE(acpi);
    EXPECT_TRUE(has_fault(*acpi, "XSDT", "more tables"));
}

TEST(AcpiDamage, TheSameTableTwiceIsReadOnce) {
    Machine m;
    auto acpi = m.parse_only({m.madt_at, m.madt_at, m.mcfg_at, m.mcfg_at, m.fadt_at, m.fadt_at});
    ASSERT_TRUE(acpi);
    EXPECT_EQ(acpi->io_apics.size(), 2u);
    EXPECT_EQ(acpi->ecam.size(), 1u);
}

TEST(AcpiDamage, AnHpetInIoSpaceIsAFault) {
    Machine m;
    m.patch(m.hpet_at, 40, 1, 1);
    auto acpi = m.parse();
    EXPECT_EQ(acpi->hpet_address, 0u);
    EXPECT_TRUE(has_fault(*acpi, "HPET", "not in memory space"));
}

// The firmware's serial port.

platform::Acpi acpi_with(const Body& spcr) {
    Machine m;
    auto acpi = m.parse_only({m.table("SPCR", spcr.bytes)});
    EXPECT_TRUE(acpi);
    return *acpi;
}
/// The SPCR's body: its fields begin at 36 in the table.
Body spcr(uint8_t interface, uint8_t space, uint64_t address, uint8_t baud) {
    Body b;
    b.u8(interface).zeros(3).u8(space).u8(8).zeros(2).u64(address).zeros(6).u8(baud).zeros(21);
    return b;
}

TEST(AcpiSerialPort, IsA16550AtAnIoPort) {
    for (uint8_t interface : {0, 1, 0x12}) {
        auto acpi = acpi_with(spcr(interface, 1, 0x2F8, 6));
        EXPECT_EQ(acpi.serial.port, 0x2F8);
        EXPECT_EQ(acpi.serial.baud, 57600u);
        EXPECT_TRUE(acpi.faults.empty());
    }
    for (auto [code, baud] : {std::pair{0, 0u}, {3, 9600u}, {4, 19200u}, {7, 115200u}, {99, 0u}})
        EXPECT_EQ(acpi_with(spcr(0, 1, 0x3F8, static_cast<uint8_t>(code))).serial.baud, baud);
}

TEST(AcpiSerialPort, NonsenseIsAFaultAndNoPort) {
    auto none = acpi_with(spcr(0, 1, 0, 7));
    EXPECT_EQ(none.serial.port, 0);
    EXPECT_TRUE(none.faults.empty()) << "redirection is off";
    Body cut = spcr(0, 1, 0x3F8, 7);
    cut.bytes.resize(cut.bytes.size() - 1);
    for (const auto& [body, words] : {std::pair{spcr(3, 1, 0x3F8, 7), "not a 16550"},
                                      {spcr(0, 0, 0xFE034000, 7), "not at an I/O port"},
                                      {spcr(0, 1, 0x10000, 7), "not at an I/O port"},
                                      {spcr(0, 1, 0xFFF9, 7), "not at an I/O port"},
                                      {cut, "too short"}}) {
        auto acpi = acpi_with(body);
        EXPECT_EQ(acpi.serial.port, 0) << words;
        EXPECT_TRUE(has_fault(acpi, "SPCR", words)) << words;
    }
}

// The sleep type.

std::pair<bool, int> s5_of(const Bytes& aml) {
    Machine m;
    auto acpi =
        m.parse_only({m.table("FACP", fadt(static_cast<uint32_t>(m.table("DSDT", aml))).bytes)});
    return {acpi->fixed.s5_known, acpi->fixed.s5_a * 10 + acpi->fixed.s5_b};
}

TEST(AcpiS5, EveryEncodingOfItsNumbers) {
    auto package = [](Bytes elements, uint8_t count) {
        Body b = Body{}.u8(0).u8(0x08).text("_S5_").u8(0x12).u8(2 + elements.size()).u8(count);
        b.bytes.insert(b.bytes.end(), elements.begin(), elements.end());
        return b.zeros(4).bytes;
    };
    EXPECT_EQ(s5_of(package({0x0A, 5, 0x0A, 7, 0, 0}, 4)), std::pair(true, 57));
    EXPECT_EQ(s5_of(package({0x01, 0x00, 0, 0}, 4)), std::pair(true, 10)) << "OneOp, ZeroOp";
    EXPECT_EQ(s5_of(package({0x0B, 5, 0, 0x0C, 6, 0, 0, 0}, 2)), std::pair(true, 56))
        << "word, dword";
    EXPECT_EQ(s5_of(package({0x0B, 5, 6}, 1)), std::pair(true, 56)) << "one word with both";
    EXPECT_FALSE(s5_of(package({0x70, 1}, 2)).first) << "not a constant";
    EXPECT_FALSE(s5_of(package({}, 0)).first);
    EXPECT_FALSE(s5_of(package({0x0A}, 1)).first) << "cut in an element";
}

TEST(AcpiS5, LongPackageLengths) {
    Body b = Body{}
                 .u8(0)
                 .u8(0x08)
                 .text("_S5_")
                 .u8(0x12)
                 .u8(0x40 | 0x8)
                 .u8(0x01)
                 .u8(2)
                 .u8(0x0A)
                 .u8(3)
                 .u8(0x0A)
                 .u8(4)
                 .zeros(64);
    EXPECT_EQ(s5_of(b.bytes), std::pair(true, 34));  // 0x18 bytes
    b.bytes[7] = 0xC8;                               // four bytes of length, far beyond the table
    EXPECT_FALSE(s5_of(b.bytes).first);
}

TEST(AcpiS5, OnlyANamedPackageCounts) {
    EXPECT_FALSE(
        s5_of(
            Body{}.text("  _S5_").u8(0x12).u8(6).u8(2).u8(0x0A).u8(5).u8(0x0A).u8(5).zeros(4).bytes)
            .first);
    EXPECT_FALSE(s5_of(Body{}.u8(8).text("_S5_").bytes).first) << "nothing behind the name";
    EXPECT_FALSE(s5_of({}).first);
    // The name may appear elsewhere first.
    Body b = Body{}.u8(8).text("_S5_").u8(0x0A).u8(1);
    Bytes rest = aml_with_s5(2, 3);
    b.bytes.insert(b.bytes.end(), rest.begin(), rest.end());
    EXPECT_EQ(s5_of(b.bytes), std::pair(true, 23));
}

TEST(AcpiS5, AnSsdtMayHaveIt) {
    Machine m;
    uint64_t empty = m.table("DSDT", Bytes(8));
    uint64_t fadt_at = m.table("FACP", fadt(static_cast<uint32_t>(empty)).bytes);
    auto acpi =
        m.parse_only({m.table("SSDT", Bytes(3)), fadt_at, m.table("SSDT", aml_with_s5(1, 2))});
    ASSERT_TRUE(acpi);
    EXPECT_TRUE(acpi->fixed.s5_known);
    EXPECT_EQ(acpi->fixed.s5_a, 1);
}

}  // namespace
}  // namespace doorbell::test
