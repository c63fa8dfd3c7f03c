// The boot loader's information, in memory with any content.
#include "firmware/boot/boot_info.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <random>
#include <string>
#include <string_view>
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

/// A desktop board's map: 900 regions in no order, the largest memory and ACPI's tables last.
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

TEST(BootInfo, EmptyAndWrappingRegionsAreLeftOut) {
    auto info = Memory::pvh({{0x1000, 0, 1}, {~0ull - 10, 100, 1}, {0x2000, 0x1000, 1}}).read();
    ASSERT_EQ(info->memory.size(), 1u);
    EXPECT_EQ(info->memory[0].base, 0x2000u);
}

TEST(BootInfo, AnImpossibleNumberOfEntriesIsReported) {
    Memory memory = Memory::pvh({{0x100000, gib, 1}});
    memory.bytes[48] = memory.bytes[49] = memory.bytes[50] = 0xFF;
    auto info = memory.read();
    EXPECT_TRUE(info->map_cut);
    EXPECT_EQ(holding(info->memory, 0x200000)->length, gib);
}

/// Multiboot2 from its tags; the total is their sum.
struct Tags {
    std::vector<uint8_t> bytes;

    Tags& tag(uint32_t type, const Memory& body, uint32_t size) {
        Memory head;
        head.u32(type);
        head.u32(size);
        bytes.insert(bytes.end(), head.bytes.begin(), head.bytes.end());
        bytes.insert(bytes.end(), body.bytes.begin(), body.bytes.end());
        bytes.resize((bytes.size() + 7) / 8 * 8);
        return *this;
    }
    Tags& tag(uint32_t type, const Memory& body) {
        return tag(type, body, 8 + static_cast<uint32_t>(body.bytes.size()));
    }
    Tags& text(std::string_view words) {
        Memory body;
        body.bytes.assign(words.begin(), words.end());
        body.bytes.push_back(0);
        return tag(1, body);
    }
    Tags& map(const std::vector<MemoryRegion>& regions, uint32_t entry_size = 24) {
        Memory body;
        body.u32(entry_size);
        body.u32(0);
        for (const MemoryRegion& r : regions) {
            size_t end = body.bytes.size() + std::max(entry_size, 24u);
            body.u64(r.base), body.u64(r.length), body.u32(r.type);
            body.bytes.resize(end);
        }
        return tag(6, body);
    }
    Tags& rsdp(uint32_t type, size_t length, uint8_t fill) {
        Memory body;
        body.bytes.assign(length, fill);
        return tag(type, body);
    }
    Memory done() {
        tag(0, {});
        Memory all;
        all.u32(8 + static_cast<uint32_t>(bytes.size()));
        all.u32(0);
        all.bytes.insert(all.bytes.end(), bytes.begin(), bytes.end());
        return all;
    }
};

const std::vector<MemoryRegion> two_regions = {{0x100000, gib, 1}, {0x7FFE0000, 0x8000, 3}};

TEST(BootInfo, InformationCutAnywhereGivesWhatIsInFrontOfTheCut) {
    Memory pvh = Memory::pvh(two_regions);
    pvh.bytes[24] = 0x80, pvh.bytes[26] = 1;  // the command line stands at base + 0x80
    pvh.bytes.resize(0x80);
    for (char c : std::string_view("lab=nic")) pvh.bytes.push_back(static_cast<uint8_t>(c));
    pvh.bytes.push_back(0);
    struct {
        Memory whole;
        size_t first_end, second_end;  ///< where the two regions end
        size_t line;                   ///< where the command line begins
    } cases[] = {{Tags().map(two_regions).text("lab=nic").done(), 48, 72, 80},
                 {pvh, 80, 104, 0x80}};
    for (auto& c : cases) {
        for (size_t cut = 8; cut <= c.whole.bytes.size(); ++cut) {
            SCOPED_TRACE(cut);
            Memory memory = c.whole;
            memory.bytes.resize(cut);
            auto info = memory.read();
            bool pvh_head_cut = info->protocol == std::string_view("pvh") && cut < 56;
            size_t regions = cut >= c.second_end ? 2 : cut >= c.first_end ? 1 : 0;
            EXPECT_EQ(info->memory.size(), pvh_head_cut ? 0 : regions);
            size_t letters = cut < c.line ? 0 : std::min<size_t>(7, cut - c.line);
            EXPECT_EQ(info->words(), std::string_view("lab=nic").substr(0, letters));
        }
        EXPECT_EQ(c.whole.read()->words(), "lab=nic");
    }
}

/// Multiboot2 with a frame buffer tag of that kind and size: above 4 GiB, 800 by 600, 32 bits.
Memory with_frame_buffer(uint8_t kind, uint32_t size) {
    Memory m;
    m.u32(8 + 40 + 8);
    m.u32(0);
    m.u32(8);
    m.u32(size);
    m.u64(5 * gib);
    for (uint32_t number : {3328u, 800u, 600u}) m.u32(number);
    for (int byte : {32, int{kind}, 0, 0, 16, 8, 8, 7, 0, 6, 0, 0})
        m.bytes.push_back(static_cast<uint8_t>(byte));
    m.u32(0);
    m.u32(8);
    return m;
}

TEST(BootInfo, AFrameBufferInDirectColourIsKept) {
    auto info = with_frame_buffer(1, 38).read();
    const cpu::PixelMemory& screen = info->frame_buffer;
    ASSERT_TRUE(screen.known());
    EXPECT_EQ(screen.address, 5 * gib);
    EXPECT_EQ(screen.bytes(), 3328u * 600);
    EXPECT_EQ(screen.width, 800u);
    EXPECT_EQ(screen.pixel_bits, 32);
    EXPECT_EQ(screen.red.position, 16);
    EXPECT_EQ(screen.green.bits, 7);
    EXPECT_EQ(screen.blue.position, 0);
    EXPECT_EQ(screen.blue.bits, 6);
}

TEST(BootInfo, OtherScreensAndATagThatIsTooShortAreNotAFrameBuffer) {
    for (uint8_t kind : {0, 2, 3})
        EXPECT_FALSE(with_frame_buffer(kind, 38).read()->frame_buffer.known()) << int{kind};
    EXPECT_FALSE(with_frame_buffer(1, 37).read()->frame_buffer.known());
}

TEST(BootInfo, ATagOfImpossibleSizeEndsTheReading) {
    Memory body;
    body.u64(0x5555555555555555);
    for (uint32_t size : {0u, 7u, 200u, 0xFFFFFFF9u, 0xFFFFFFFFu}) {
        SCOPED_TRACE(size);
        auto info = Tags().text("before").tag(99, body, size).map(two_regions).done().read();
        EXPECT_EQ(info->words(), "before");
        EXPECT_EQ(info->memory.size(), 0u);
    }
    EXPECT_EQ(Tags().tag(99, body).map(two_regions).done().read()->memory.size(), 2u)
        << "a tag of an unknown type is passed over";
}

TEST(BootInfo, AnImpossibleEntrySizeGivesNoEntries) {
    for (uint32_t size : {0u, 1u, 23u}) {
        auto info = Tags().map(two_regions, size).text("after").done().read();
        EXPECT_EQ(info->memory.size(), 0u) << size;
        EXPECT_EQ(info->words(), "after") << size;
    }
    auto wide = Tags().map(two_regions, 40).done().read();
    ASSERT_EQ(wide->memory.size(), 2u) << "a later version may have longer entries";
    EXPECT_EQ(wide->memory[1].base, 0x7FFE0000u);
    Memory longer_than_its_tag = Tags().map(two_regions).done();
    std::fill_n(longer_than_its_tag.bytes.begin() + 17, 3, uint8_t{0xFF});
    EXPECT_EQ(longer_than_its_tag.read()->memory.size(), 0u);
}

TEST(BootInfo, AMapWithoutEntriesIsEmpty) {
    auto multiboot = Tags().map({}).text("after").done().read();
    EXPECT_EQ(multiboot->memory.size(), 0u);
    EXPECT_EQ(multiboot->words(), "after");
    auto pvh = Memory::pvh({}).read();
    EXPECT_EQ(pvh->memory.size(), 0u);
    EXPECT_FALSE(pvh->map_cut);
    EXPECT_EQ(pvh->rsdp_address, 0xF5A10u);
    Memory too_short;
    too_short.u32(24);
    EXPECT_EQ(Tags().tag(6, too_short).map(two_regions).done().read()->memory.size(), 2u);
}

TEST(BootInfo, PvhOfVersion0HasNoMap) {
    Memory memory = Memory::pvh(two_regions);
    memory.bytes[4] = 0;
    auto info = memory.read();
    EXPECT_EQ(info->memory.size(), 0u);
    EXPECT_EQ(info->rsdp_address, 0xF5A10u);
}

TEST(BootInfo, PvhAddressesOutsideOfMemoryAreNotFollowed) {
    for (size_t pointer : {size_t{24}, size_t{40}}) {  // the command line's, and the map's
        Memory memory = Memory::pvh(two_regions);
        std::fill_n(memory.bytes.begin() + static_cast<std::ptrdiff_t>(pointer), 8, uint8_t{0xFF});
        auto info = memory.read();
        EXPECT_EQ(info->words(), "");
        EXPECT_EQ(info->memory.size(), pointer == 40 ? 0u : 2u);
    }
}

TEST(BootInfo, ACommandLineIsCutAtItsLimitAndTheCutIsReported) {
    constexpr size_t most = BootInfo::max_command_line;
    for (size_t length : {most - 1, most, most + 1, 2 * most}) {
        SCOPED_TRACE(length);
        Memory pvh = Memory::pvh({});
        pvh.bytes[24] = 56, pvh.bytes[26] = 1;
        pvh.bytes.resize(56 + length, 'x');
        pvh.bytes.push_back(0);
        for (Memory memory : {Tags().text(std::string(length, 'x')).done(), pvh}) {
            auto info = memory.read();
            EXPECT_EQ(info->command_line_length, std::min(length, most));
            EXPECT_EQ(info->command_line_cut, length > most);
        }
    }
}

TEST(BootInfo, TheNewerRsdpWinsInAnyOrderAndALongOneIsCut) {
    for (bool newer_first : {false, true}) {
        Tags tags;
        if (newer_first) tags.rsdp(15, 36, 0xAA);
        tags.rsdp(14, 20, 0xBB);
        if (!newer_first) tags.rsdp(15, 36, 0xAA);
        auto info = tags.done().read();
        EXPECT_EQ(info->rsdp_copy_length, 36u);
        EXPECT_EQ(info->rsdp_copy[0], 0xAA);
        EXPECT_EQ(info->rsdp_copy[35], 0xAA);
    }
    EXPECT_EQ(Tags().rsdp(15, 500, 0xAA).done().read()->rsdp_copy_length, 36u);
    EXPECT_EQ(Tags().rsdp(14, 0, 0).done().read()->rsdp_copy_length, 0u);
}

TEST(BootInfo, WhatNeitherProtocolWritesIsRefused) {
    auto accepts = [](uint32_t first, uint32_t second) {
        Memory memory;
        memory.u32(first);
        memory.u32(second);
        memory.u64(0);
        auto info = std::make_unique<BootInfo>();
        return boot::read_boot_info(memory.view(), Memory::base, *info);
    };
    EXPECT_TRUE(accepts(16, 0));
    EXPECT_FALSE(accepts(0, 0));
    EXPECT_FALSE(accepts(15, 0));
    EXPECT_FALSE(accepts(16, 1));
    EXPECT_FALSE(accepts((1u << 20) + 1, 0));
    EXPECT_FALSE(accepts(0x2BADB002, 0));
    auto info = std::make_unique<BootInfo>();
    EXPECT_FALSE(boot::read_boot_info(Memory().view(), Memory::base, *info));
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
