// The model's TLB, and how it learns how large the guest's pages are: from tables that the image's
// own code makes.
#include "host/model/tlb.h"

#include <gtest/gtest.h>

#include <array>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "firmware/cpu/paging.h"
#include "host/model/model.h"
#include "host/model/page_tables.h"

namespace doorbell::test {
namespace {

using model::Geometry;
using model::Hierarchy;
using model::ModelCounts;
using model::Tlb;
using wire::ModelCount;

constexpr unsigned small = 12, large = 21, huge = 30;

/// Uses pages one after the other: each is found where its row says.
struct Use {
    uint64_t address;
    unsigned shift;
    Tlb::Found found;
};
void expect_uses(Tlb& tlb, std::initializer_list<Use> uses) {
    size_t number = 0;
    for (const Use& use : uses) {
        SCOPED_TRACE("use " + std::to_string(++number));
        EXPECT_EQ(tlb.use(use.address, use.shift), use.found);
    }
}
using enum Tlb::Found;

TEST(Tlb, LargePagesHavePlacesOfTheirOwn) {
    Tlb tlb(model::parse("dtlb=2:2,dtlb-large=1:1,stlb=off"));
    expect_uses(tlb, {{0x0000, small, nowhere},
                      {0x1000, small, nowhere},
                      {0x200000, large, nowhere},
                      {0x3FFFFF, large, first},
                      {0x0000, small, first},
                      {0x40000000, huge, nowhere},  // one place for both larger sizes
                      {0x200000, large, nowhere},
                      {0x1000, small, first}});
}

TEST(Tlb, WithoutPlacesOfTheirOwnLargePagesShareThem) {
    Tlb tlb(model::parse("dtlb=2:2,dtlb-large=off,stlb=off"));
    expect_uses(tlb, {{0x0000, small, nowhere},
                      {0x200000, large, nowhere},
                      {0x0000, small, first},
                      {0x1000, small, nowhere},  // in place of the older of two
                      {0x200000, large, nowhere}});
}

TEST(Tlb, PagesOfTwoSizesAreNotTakenForEachOther) {
    Tlb tlb(model::parse("dtlb=8:8,dtlb-large=off,stlb=off"));
    // Both have page number 1.
    expect_uses(tlb, {{0x1000, small, nowhere}, {0x200000, large, nowhere}});
}

TEST(Tlb, TheSecondLevelKnowsWhatTheFirstLost) {
    Tlb tlb(model::parse("dtlb=1:1,dtlb-large=off,stlb=4:4"));
    expect_uses(tlb, {{0x1000, small, nowhere}, {0x2000, small, nowhere}, {0x1000, small, second}});
    tlb.clear();
    expect_uses(tlb, {{0x1000, small, nowhere}});
}

/// Addresses from 1 GiB on lie in pages of 2 MiB.
struct HalfLarge final : model::PageSizes {
    unsigned shift_of(uint64_t address) override { return address < 1 << 30 ? small : large; }
};

TEST(Hierarchy, CountsMissesBySizeOfPageAndByWhatKnewIt) {
    HalfLarge sizes;
    Hierarchy hierarchy(model::parse("dtlb=1:1,dtlb-large=1:1,stlb=8:8"));
    ModelCounts tally;
    hierarchy.count_into(&tally);
    hierarchy.page_sizes(&sizes);
    constexpr uint64_t gib = 1 << 30;
    for (uint64_t address : {uint64_t{0x1000}, uint64_t{0x2000}, uint64_t{0x1000}, gib,
                             gib + 0x1F0000, gib + 0x200000, gib})
        hierarchy.data(address, address, 8);
    EXPECT_EQ(tally[ModelCount::dtlb_misses], 6u);
    EXPECT_EQ(tally[ModelCount::dtlb_large_misses], 3u);
    EXPECT_EQ(tally[ModelCount::page_walks], 4u);
    EXPECT_EQ(tally[ModelCount::page_walks_large], 2u);
}

struct alignas(4096) Frame {
    std::array<uint64_t, 512> entries{};
};
struct Frames {
    std::vector<std::unique_ptr<Frame>> given;
    cpu::FrameSource source() {
        return {[](void* self) -> uint64_t {
                    auto& frames = *static_cast<Frames*>(self);
                    frames.given.push_back(std::make_unique<Frame>());
                    return reinterpret_cast<uint64_t>(frames.given.back().get());
                },
                this};
    }
};

TEST(PageSizes, AreThoseOfTheImagesTablesAndOfTheNewest) {
    constexpr uint64_t gib = 1 << 30, window = 0x6000'0000'0000;
    Frames frames;
    auto image = cpu::PageTables::make(frames.source(), true, true);
    ASSERT_TRUE(image);
    ASSERT_TRUE(image->map_identity(0, 4 * gib, cpu::PageFlags::writable));
    ASSERT_TRUE(image->map_identity(0x400000, 0x1000, 0));  // splits a page of 1 GiB
    const uint64_t root = image->root();
    auto space = cpu::PageTables::make(frames.source(), false, true);
    ASSERT_TRUE(space);
    ASSERT_TRUE(space->map(window, 0x600000, 0x3000, cpu::PageFlags::writable));

    model::Guest guest;
    model::PageTables sizes(guest);
    EXPECT_EQ(sizes.shift_of(0x40000000), small) << "as long as nobody tells of tables";
    sizes.are_at(root, reinterpret_cast<uint64_t>(cpu::PageTables::newest()), ~0ull);
    EXPECT_EQ(sizes.shift_of(gib), huge);
    EXPECT_EQ(sizes.shift_of(0x200000), large);
    EXPECT_EQ(sizes.shift_of(0x400000), small);
    EXPECT_EQ(sizes.shift_of(0x401000), small);
    EXPECT_EQ(sizes.shift_of(window), small);
    // Another address space, whose window is larger.
    auto other = cpu::PageTables::make(frames.source(), false, true);
    ASSERT_TRUE(other);
    ASSERT_TRUE(other->map(window, 0x600000, 0x200000, cpu::PageFlags::writable));
    sizes.forget();
    EXPECT_EQ(sizes.shift_of(window), large);
}

TEST(PageSizes, OfTablesThatHoldAnythingAreStillRead) {
    Frames frames;
    auto image = cpu::PageTables::make(frames.source(), true, true);
    ASSERT_TRUE(image);
    // An entry that leads beyond memory: nothing is read there.
    frames.given[0]->entries[0] = 0x000F'FFFF'FFFF'F001;
    model::Guest guest;
    model::PageTables sizes(guest);
    sizes.are_at(image->root(), 0, 0x0000'8000'0000'0000);
    EXPECT_EQ(sizes.shift_of(0), small);
}

}  // namespace
}  // namespace doorbell::test
