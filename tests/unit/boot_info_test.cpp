// What the boot loader hands over, out of memory that holds anything at all.
#include "firmware/boot/boot_info.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <random>
#include <string>
#include <vector>

// Two fuzzers in one program: this one's entry gets a name of its own.
#define LLVMFuzzerTestOneInput boot_fuzz_entry
#include "tests/fuzz/boot_fuzz.cpp"
#undef LLVMFuzzerTestOneInput

namespace doorbell::test {
namespace {

using boot::MemoryMap;

constexpr uint64_t gib = 1ull << 30;

/// Bytes from `base` on.
struct Memory {
    static constexpr uint64_t base = 0x10000;
    std::vector<uint8_t> bytes;

    void u32(uint32_t v) {
        for (int i = 0; i < 4; ++i) bytes.push_back(static_cast<uint8_t>(v >> 8 * i));
    }
    void u64(uint64_t v) {
        u32(static_cast<uint32_t>(v));
        u32(static_cast<uint32_t>(v >> 32));
    }
    boot::BootMemory view() {
        return {[](void* context, uint64_t address, uint64_t length) -> const uint8_t* {
                    auto& all = static_cast<Memory*>(context)->bytes;
                    if (address < base || address - base > all.size() ||
                        length > all.size() - (address - base))
                        return nullptr;
                    return all.data() + (address - base);
                },
                this};
    }
    std::unique_ptr<BootInfo> read() {
        auto info = std::make_unique<BootInfo>();
        EXPECT_TRUE(boot::read_boot_info(view(), base, *info));
        return info;
    }
    /// Multiboot2 with one memory map tag.
    static Memory multiboot2(const std::vector<MemoryRegion>& regions) {
        Memory m;
        uint32_t map = 16 + 24 * static_cast<uint32_t>(regions.size());
        m.u32(8 + map + 8);
        m.u32(0);
        m.u32(6);
        m.u32(map);
        m.u32(24);
        m.u32(0);
        for (const MemoryRegion& r : regions)
            m.u64(r.base), m.u64(r.length), m.u32(r.type), m.u32(0);
        m.u32(0);
        m.u32(8);
        return m;
    }
    static Memory pvh(const std::vector<MemoryRegion>& regions) {
        Memory m;
        m.u32(0x336EC578);
        m.u32(1);
        m.u64(0);
        m.u64(0);
        m.u64(0);
        m.u64(0xF5A10);
        m.u64(base + 56);
        m.u32(static_cast<uint32_t>(regions.size()));
        m.u32(0);
        for (const MemoryRegion& r : regions)
            m.u64(r.base), m.u64(r.length), m.u32(r.type), m.u32(0);
        return m;
    }
};

const MemoryRegion* holding(const MemoryMap& map, uint64_t address) {
    for (const MemoryRegion& r : map)
        if (address >= r.base && address < r.end()) return &r;
    return nullptr;
}

/// A desktop board's map: 900 pieces in no order, the largest memory and ACPI's tables last.
std::vector<MemoryRegion> long_map() {
    std::vector<MemoryRegion> map;
    for (uint64_t i = 0; i < 450; ++i) {
        map.push_back({0x100000 + i * 0x4000, 0x1000, 1});
        map.push_back({0x101000 + i * 0x4000, 0x1000, 2});
    }
    std::shuffle(map.begin(), map.end(), std::mt19937(7));
    map.push_back({0x10000000, gib, 1});
    map.push_back({0x7FFE0000, 0x8000, 3});
    map.push_back({0x7FFF0000, 0x1000, 4});
    return map;
}

TEST(BootInfo, AMapOfAnyLengthKeepsTheLargestMemoryAndAcpisTables) {
    for (Memory memory : {Memory::multiboot2(long_map()), Memory::pvh(long_map())}) {
        auto info = memory.read();
        EXPECT_EQ(info->memory.size(), MemoryMap::most);
        EXPECT_EQ(info->memory.dropped(), 903 - MemoryMap::most);
        ASSERT_NE(holding(info->memory, 0x20000000), nullptr) << info->protocol;
        EXPECT_EQ(holding(info->memory, 0x20000000)->length, gib);
        for (uint64_t tables : {0x7FFE0000, 0x7FFF0000}) {
            ASSERT_NE(holding(info->memory, tables), nullptr) << info->protocol;
            EXPECT_TRUE(holding(info->memory, tables)->acpi());
        }
        for (size_t i = 1; i < info->memory.size(); ++i)
            EXPECT_LT(info->memory[i - 1].base, info->memory[i].base);
    }
}

TEST(BootInfo, NeighboursOfOneTypeAreOneRegion) {
    std::vector<MemoryRegion> pieces;
    for (uint64_t i = 0; i < 1000; ++i) pieces.push_back({0x100000 + i * 0x1000, 0x1000, 1});
    std::shuffle(pieces.begin(), pieces.end(), std::mt19937(1));
    auto info = Memory::multiboot2(pieces).read();
    ASSERT_EQ(info->memory.dropped(), 0u) << "at most 500 stand apart at any time";
    ASSERT_EQ(info->memory.size(), 1u);
    EXPECT_EQ(info->memory[0].length, 1000u * 0x1000);
}

TEST(BootInfo, MemoryThatAnotherTypeClaimsIsNotUsable) {
    auto info = Memory::multiboot2({{0x100000, 0x100000, 1},
                                    {0x140000, 0x10000, 2},
                                    {0x1F0000, 0x20000, 3},
                                    {0xF0000, 0x11000, 2}})
                    .read();
    EXPECT_FALSE(holding(info->memory, 0x100000)->usable());
    EXPECT_TRUE(holding(info->memory, 0x101000)->usable());
    uint64_t usable = 0;
    for (const MemoryRegion& r : info->memory) usable += r.usable() ? r.length : 0;
    EXPECT_EQ(usable, 0x100000u - 0x10000 - 0x10000 - 0x1000);
}

TEST(BootInfo, EmptyAndWrappingRegionsAreNotThere) {
    auto info = Memory::pvh({{0x1000, 0, 1}, {~0ull - 10, 100, 1}, {0x2000, 0x1000, 1}}).read();
    ASSERT_EQ(info->memory.size(), 1u);
    EXPECT_EQ(info->memory[0].base, 0x2000u);
}

TEST(BootInfo, ANumberOfEntriesThatCannotBeIsSaid) {
    Memory memory = Memory::pvh({{0x100000, gib, 1}});
    memory.bytes[48] = memory.bytes[49] = memory.bytes[50] = 0xFF;
    auto info = memory.read();
    EXPECT_TRUE(info->map_cut);
    EXPECT_EQ(holding(info->memory, 0x200000)->length, gib);
}

TEST(BootInfo, TheFuzzCorpusIsSurvived) {
    size_t files = 0;
    for (const auto& entry : std::filesystem::directory_iterator(BOOT_CORPUS)) {
        SCOPED_TRACE(entry.path().string());
        std::ifstream in(entry.path(), std::ios::binary);
        std::string bytes(std::istreambuf_iterator<char>(in), {});
        EXPECT_EQ(boot_fuzz_entry(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()), 0);
        ++files;
    }
    EXPECT_GE(files, 6u);
}

}  // namespace
}  // namespace doorbell::test
