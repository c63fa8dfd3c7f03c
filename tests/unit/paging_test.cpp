// Page tables in the test's memory; the test's own walk translates addresses.
#include "firmware/cpu/paging.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <memory>
#include <vector>

namespace doorbell::test {
namespace {

using cpu::PageFlags;
using cpu::PageTables;

constexpr uint64_t kib4 = 4096, mib2 = 2 << 20, gib = 1 << 30;

struct alignas(4096) Frame {
    std::array<uint64_t, 512> entries{};
};

struct Frames {
    std::vector<std::unique_ptr<Frame>> given;
    size_t most = 100;
    cpu::FrameSource source() {
        return {[](void* self) -> uint64_t {
                    auto& f = *static_cast<Frames*>(self);
                    if (f.given.size() == f.most) return 0;
                    f.given.push_back(std::make_unique<Frame>());
                    return reinterpret_cast<uint64_t>(f.given.back().get());
                },
                this};
    }
};

/// The processor's translation (SDM vol. 3A, 4.5.4): physical address and page size; 0 for a fault.
struct Walked {
    uint64_t physical = 0, size = 0, entry = 0;
};
Walked walk(const PageTables& tables, uint64_t address) {
    auto table = reinterpret_cast<const uint64_t*>(tables.root());
    for (unsigned level = 4; level > 0; --level) {
        unsigned shift = 12 + 9 * (level - 1);
        uint64_t entry = table[address >> shift & 511];
        if ((entry & 1) == 0) return {};
        uint64_t size = 1ull << shift, at = entry & 0x000FFFFFFFFFF000;
        if (level == 1 || (entry & 0x80) != 0) {
            EXPECT_EQ(at % size, 0u) << "a reserved bit of the entry is set";
            return {at + address % size, size, entry};
        }
        table = reinterpret_cast<const uint64_t*>(at);
    }
    return {};
}

struct Paging : testing::Test {
    Frames frames;
    PageTables tables = *PageTables::make(frames.source(), true, true);
    void expect(uint64_t address, uint64_t physical, uint64_t size) {
        auto w = walk(tables, address);
        EXPECT_EQ(w.physical, physical) << std::hex << address;
        EXPECT_EQ(w.size, size) << std::hex << address;
    }
};

TEST_F(Paging, TheLargestPagesThatFitAreUsed) {
    ASSERT_TRUE(tables.map(gib - mib2 - kib4, gib - mib2 - kib4, 2 * gib, PageFlags::writable));
    expect(gib - mib2 - kib4, gib - mib2 - kib4, kib4);
    expect(gib - mib2 + 5, gib - mib2 + 5, mib2);
    expect(gib + 12345, gib + 12345, gib);
    expect(3 * gib - 3 * mib2, 3 * gib - 3 * mib2, mib2);
    expect(3 * gib - mib2 - 2 * kib4, 3 * gib - mib2 - 2 * kib4, kib4);
    expect(gib - mib2 - kib4 - 1, 0, 0);
    expect(3 * gib - mib2 - kib4, 0, 0);
}

TEST_F(Paging, APageIsLargeOnlyWhereBothAddressesAllow) {
    ASSERT_TRUE(tables.map(0x40000000, 0x80001000, 2 * mib2, 0));
    expect(0x40000000, 0x80001000, kib4);
    expect(0x40200000, 0x80201000, kib4);
}

TEST_F(Paging, WithoutGigabytePagesThereAreNone) {
    tables = *PageTables::make(frames.source(), false, true);
    ASSERT_TRUE(tables.map_identity(0, gib, 0));
    expect(gib - 1, gib - 1, mib2);
}

TEST_F(Paging, ALargePageInTheWayIsSplitAndTheRestStaysMapped) {
    ASSERT_TRUE(tables.map_identity(0, 2 * gib, PageFlags::writable | PageFlags::no_execute));
    ASSERT_TRUE(tables.unmap(5 * mib2 + 3 * kib4, kib4));
    expect(5 * mib2 + 3 * kib4, 0, 0);
    expect(5 * mib2 + 2 * kib4 + 7, 5 * mib2 + 2 * kib4 + 7, kib4);
    expect(5 * mib2 + 4 * kib4, 5 * mib2 + 4 * kib4, kib4);
    expect(4 * mib2, 4 * mib2, mib2);
    expect(gib, gib, gib);
    constexpr uint64_t permissions = PageFlags::writable | PageFlags::no_execute | PageFlags::user;
    for (uint64_t at : {5 * mib2, 4 * mib2, gib})
        EXPECT_EQ(walk(tables, at).entry & permissions,
                  PageFlags::writable | PageFlags::no_execute);
    EXPECT_EQ(walk(tables, 5 * mib2).entry & PageFlags::large, 0u)
        << "in a 4 KiB entry that bit is the PAT's";
}

TEST_F(Paging, EntryOfIsWhatTheProcessorWouldUse) {
    ASSERT_TRUE(tables.map_identity(0, gib, PageFlags::writable));
    ASSERT_TRUE(tables.map_identity(mib2, kib4, PageFlags::user));
    for (uint64_t at : {uint64_t{0}, mib2, mib2 + kib4})
        EXPECT_EQ(tables.entry_of(at), walk(tables, at).entry);
    EXPECT_EQ(tables.entry_of(4 * gib) & PageFlags::present, 0u);
}

TEST_F(Paging, NoExecuteIsLeftOutWhereItIsReserved) {
    tables = *PageTables::make(frames.source(), true, false);
    ASSERT_TRUE(tables.map_identity(0, kib4, PageFlags::no_execute | PageFlags::writable));
    EXPECT_EQ(tables.entry_of(0), PageFlags::present | PageFlags::writable);
}

TEST_F(Paging, ASharedEntryShowsTheOthersMemory) {
    PageTables other = *PageTables::make(frames.source(), true, true);
    ASSERT_TRUE(tables.map_identity(mib2, mib2, 0));
    other.share(tables, mib2);
    EXPECT_EQ(walk(other, mib2).physical, mib2);
    EXPECT_EQ(walk(other, 1ull << 39).size, 0u);
}

TEST_F(Paging, WhatCannotBeMappedIsAnErrorThatSaysWhy) {
    auto odd = tables.map(0x1000, 0x1800, 0x1000, 0);
    ASSERT_FALSE(odd);
    EXPECT_STREQ(odd.error().what, "mapping is not on a page boundary");
    frames.most = frames.given.size() + 2;
    auto full = tables.map_identity(0, kib4, 0);
    ASSERT_FALSE(full);
    EXPECT_TRUE(full.error().lacking());
    EXPECT_FALSE(PageTables::make(frames.source(), true, true)) << "not even a root";
}

}  // namespace
}  // namespace doorbell::test
