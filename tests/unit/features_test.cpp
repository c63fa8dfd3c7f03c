// How the image interprets CPUID of several processors; the numbers are their real ones.
#include "firmware/cpu/features.h"

#include <gtest/gtest.h>

#include <cstring>

#include "tests/unit/fakes.h"

namespace doorbell::test {
namespace {

/// Four characters of `text` from `at` on, as CPUID packs them.
uint32_t word(const char* text, size_t at) {
    uint32_t w = 0;
    for (size_t i = 0; i < 4 && at + i < std::strlen(text); ++i)
        w |= uint32_t{static_cast<uint8_t>(text[at + i])} << 8 * i;
    return w;
}

void name(FakeCpuid& p, const char* vendor, uint32_t max_leaf, uint32_t max_extended) {
    p.leaves[0] = {max_leaf, word(vendor, 0), word(vendor, 8), word(vendor, 4)};
    p.leaves[0x80000000].eax = max_extended;
}
void brand(FakeCpuid& p, const char* text) {
    for (uint32_t i = 0; i < 3; ++i)
        p.leaves[0x80000002 + i] = {word(text, 16 * i), word(text, 16 * i + 4),
                                    word(text, 16 * i + 8), word(text, 16 * i + 12)};
}
void hypervisor(FakeCpuid& p, const char* text) {
    p.leaves[0x40000000] = {0x40000001, word(text, 0), word(text, 4), word(text, 8)};
}

/// Xeon Gold 6138 (Skylake-SP, 06_55H).
FakeCpuid skylake() {
    FakeCpuid p;
    name(p, "GenuineIntel", 0x16, 0x80000008);
    p.leaves[1] = {0x00050654, 0x16400800, 0x7FFEFBFF, 0xBFEBFBFF};
    p.leaves[7] = {0, 0xD39FFFFB, 0x00000000, 0x9C000400};
    p.leaves[0x80000001] = {0, 0, 0x121, 0x2C100800};
    brand(p, "  Intel(R) Xeon(R) Gold 6138 CPU @ 2.00GHz");
    p.leaves[0x80000007].edx = 0x100;
    p.leaves[0x80000008].eax = 0x302E;
    return p;
}

TEST(Features, OfAnIntelServer) {
    auto p = skylake();
    auto f = cpu::Features::read(p.cpuid());
    EXPECT_TRUE(f.intel());
    EXPECT_FALSE(f.amd());
    EXPECT_EQ(f.family, 6u);
    EXPECT_EQ(f.model, 0x55u);
    EXPECT_EQ(f.stepping, 4u);
    EXPECT_STREQ(f.brand, "Intel(R) Xeon(R) Gold 6138 CPU @ 2.00GHz");
    EXPECT_TRUE(f.monitor && f.pcid && f.x2apic && f.xsave && f.avx);
    EXPECT_TRUE(f.smep && f.smap && f.invpcid);
    EXPECT_FALSE(f.umip);
    EXPECT_TRUE(f.no_execute && f.gigabyte_pages && f.rdtscp && f.invariant_tsc);
    EXPECT_FALSE(f.hypervisor_present);
    EXPECT_STREQ(f.hypervisor, "");
    EXPECT_EQ(f.physical_bits, 46);
}

/// EPYC 7742 (Zen 2, 17_31H): the family is the sum of two fields.
TEST(Features, OfAnAmdServer) {
    FakeCpuid p;
    name(p, "AuthenticAMD", 0x10, 0x80000021);
    p.leaves[1] = {0x00830F10, 0, 0x7ED8320B, 0x178BFBFF};
    p.leaves[7] = {0, 0x219C91A9, 0x00400004, 0};
    p.leaves[0x80000001] = {0x00830F10, 0x40000000, 0x75C237FF, 0x2FD3FBFF};
    p.leaves[0x80000008].eax = 0x3030;
    p.leaves[0x80000021].eax = 0x4;
    auto f = cpu::Features::read(p.cpuid());
    EXPECT_TRUE(f.amd());
    EXPECT_EQ(f.family, 0x17u);
    EXPECT_EQ(f.model, 0x31u);
    EXPECT_EQ(f.stepping, 0u);
    EXPECT_FALSE(f.x2apic);
    EXPECT_TRUE(f.umip && f.smep && f.smap && f.lfence_serializing);
    EXPECT_FALSE(f.invpcid || f.pcid || f.invariant_tsc);
    EXPECT_EQ(f.physical_bits, 48);
}

/// Core 2 (06_0FH): it has no leaf 7, and its answers beyond its last leaf must be ignored.
TEST(Features, LeavesBeyondTheLastAreNotBelieved) {
    FakeCpuid p;
    name(p, "GenuineIntel", 5, 0x80000001);
    p.leaves[1] = {0x000006FB, 0, 0x0000E3BD, 0xBFEBFBFF};
    for (uint32_t leaf : {7u, 0x80000002u, 0x80000007u, 0x80000008u, 0x80000021u})
        p.leaves[leaf] = {~0u, ~0u, ~0u, ~0u};
    auto f = cpu::Features::read(p.cpuid());
    EXPECT_EQ(f.model, 0x0Fu);
    EXPECT_FALSE(f.smep || f.smap || f.umip || f.invpcid);
    EXPECT_FALSE(f.invariant_tsc || f.lfence_serializing);
    EXPECT_STREQ(f.brand, "");
    EXPECT_EQ(f.physical_bits, 36);
}

/// Before family 6, the extended model is meaningless.
TEST(Features, TheExtendedModelCountsInFamilies6And15) {
    for (auto [signature, family, model] :
         {std::tuple{0x00010543u, 5u, 4u}, {0x00010643u, 6u, 0x14u}, {0x00110F43u, 16u, 0x14u}}) {
        FakeCpuid p;
        p.leaves[1].eax = signature;
        auto f = cpu::Features::read(p.cpuid());
        EXPECT_EQ(f.family, family);
        EXPECT_EQ(f.model, model);
    }
}

TEST(Features, AHypervisorIsNamedOnlyWhereThereIsOne) {
    auto p = skylake();
    hypervisor(p, "TCGTCGTCGTCG");
    EXPECT_FALSE(cpu::Features::read(p.cpuid()).tcg()) << "the bit is not set";
    p.leaves[1].ecx |= 1u << 31;
    EXPECT_TRUE(cpu::Features::read(p.cpuid()).tcg());
    hypervisor(p, "KVM\x01\x7FKVM");
    EXPECT_STREQ(cpu::Features::read(p.cpuid()).hypervisor, "KVM??KVM");
    hypervisor(p, "");
    EXPECT_STREQ(cpu::Features::read(p.cpuid()).hypervisor, "????") << "present, but nameless";
}

/// Xeon Gold 6138: the leaves with subleaves, by leaf and subleaf.
cpu::CpuidRegisters answer(void*, uint32_t leaf, uint32_t subleaf) {
    if (leaf == 0) return {0x16, word("GenuineIntel", 0), word("GenuineIntel", 8), 0x49656E69};
    if (leaf == 0xB && subleaf == 0) return {1, 2, 0x100, 6};
    if (leaf != 4) return {};
    switch (subleaf) {
        case 0:  // 32 KiB of data, 8 ways
            return {0x3C004121, 0x01C0003F, 0x3F, 0};
        case 1:  // as much of instructions
            return {0x3C004122, 0x01C0003F, 0x3F, 0};
        case 2:  // 1 MiB, 16 ways
            return {0x3C004143, 0x03C0003F, 0x3FF, 0};
        case 3:  // 27.5 MiB, 11 ways
            return {0x3C07C163, 0x0280003F, 0x9FFF, 4};
        default:
            return {};
    }
}

TEST(Features, KnowCachesOfDataAndTheThreadsOfACore) {
    auto f = cpu::Features::read({answer, nullptr});
    EXPECT_EQ(f.cache_bytes[0], 32u << 10);
    EXPECT_EQ(f.cache_bytes[1], 1u << 20);
    EXPECT_EQ(f.cache_bytes[2], 28160u << 10);
    EXPECT_EQ(f.threads, 2u);
    EXPECT_EQ(f.core_shift, 1u);
    FakeCpuid amd;
    name(amd, "AuthenticAMD", 0x10, 0x80000008);
    amd.leaves[0x80000005].ecx = 32 << 24 | 0x080140;
    amd.leaves[0x80000006] = {0, 0, 512 << 16 | 0x8140, 32 << 18 | 0x8140};
    f = cpu::Features::read(amd.cpuid());
    EXPECT_EQ(f.cache_bytes[0], 32u << 10);
    EXPECT_EQ(f.cache_bytes[1], 512u << 10);
    EXPECT_EQ(f.cache_bytes[2], 16u << 20);
    auto unknown = skylake();
    f = cpu::Features::read(unknown.cpuid());
    EXPECT_EQ(f.cache_bytes[0], 0u);
    EXPECT_EQ(f.threads, 0u) << "leaf 0BH is empty";
}

}  // namespace
}  // namespace doorbell::test
