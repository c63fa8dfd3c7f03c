// Caches, predictors, geometries, and the lines that a device writes.
#include "host/model/model.h"

#include <gtest/gtest.h>

#include <map>
#include <stdexcept>

#include "host/model/device_lines.h"
#include "host/model/geometry.h"

namespace doorbell::model {
namespace {

using wire::ModelCount;

TEST(LruSets, TheLeastRecentlyUsedGoes) {
    LruSets cache(2, 2);  // even and odd tags
    EXPECT_FALSE(cache.use(2));
    EXPECT_FALSE(cache.use(4));
    EXPECT_TRUE(cache.use(2));
    EXPECT_FALSE(cache.use(6));  // drives out 4
    EXPECT_TRUE(cache.use(2));
    EXPECT_FALSE(cache.use(4));  // drives out 6
    EXPECT_FALSE(cache.use(1));
    EXPECT_TRUE(cache.use(2));
    cache.drop(2);
    EXPECT_FALSE(cache.use(2));
    EXPECT_TRUE(cache.use(4));
}

TEST(LruSets, AnyNumberOfSets) {
    LruSets cache(3, 1);
    for (uint64_t tag : {0, 1, 2}) EXPECT_FALSE(cache.use(tag));
    for (uint64_t tag : {0, 1, 2}) EXPECT_TRUE(cache.use(tag));
    EXPECT_FALSE(cache.use(3));
    EXPECT_FALSE(cache.use(0));
}

struct Small {
    Small() { hierarchy.count_into(&tally); }
    Geometry geometry = parse("l1i=1K:2:64,l1d=1K:2:64,l2=4K:4:64,llc=16K:4:64,dtlb=4:4");
    Hierarchy hierarchy{geometry};
    ModelCounts tally;
    uint64_t operator[](ModelCount c) { return tally[c]; }
};

TEST(Hierarchy, AnAccessOfTwoLinesMissesOnce) {
    Small m;
    m.hierarchy.data(60, 60, 8);
    EXPECT_EQ(m[ModelCount::l1d_misses], 1u);
    EXPECT_EQ(m[ModelCount::llc_misses], 2u);  // and both lines come from memory
    m.hierarchy.data(0, 0, 8);
    m.hierarchy.data(64, 64, 8);
    EXPECT_EQ(m[ModelCount::l1d_misses], 1u);
}

TEST(Hierarchy, AnAccessOfTwoPagesMayMissBoth) {
    Small m;
    m.hierarchy.data(4092, 4092, 8);
    EXPECT_EQ(m[ModelCount::dtlb_misses], 2u);
    EXPECT_EQ(m[ModelCount::l1d_misses], 1u);
    m.hierarchy.data(4092, 4092, 8);
    EXPECT_EQ(m[ModelCount::dtlb_misses], 2u);
    m.hierarchy.forget_pages();
    m.hierarchy.data(4096, 4096, 8);
    EXPECT_EQ(m[ModelCount::dtlb_misses], 3u);
}

TEST(Hierarchy, WhatADeviceWroteIsGoneOrInTheLastLevel) {
    for (bool to_llc : {false, true}) {
        Geometry g = parse(to_llc ? "on,device=llc" : "on,device=invalidate");
        Hierarchy h(g);
        ModelCounts t;
        h.count_into(&t);
        h.data(0x1000, 0x1000, 8);
        h.device(0x1000, 64);
        uint64_t llc = t[ModelCount::llc_misses];
        h.data(0x1000, 0x1000, 8);
        EXPECT_EQ(t[ModelCount::l1d_misses], 2u);
        EXPECT_EQ(t[ModelCount::llc_misses] - llc, to_llc ? 0u : 1u);
    }
}

TEST(Hierarchy, ALoopsBranchIsLearned) {
    Small m;
    for (int i = 0; i < 1000; ++i) m.hierarchy.branch(0x1000, true);
    uint64_t learned = m[ModelCount::branch_misses];
    EXPECT_LT(learned, 30u);
    m.hierarchy.branch(0x1000, false);
    EXPECT_EQ(m[ModelCount::branch_misses], learned + 1);
}

TEST(Predictors, TageLearnsWhatTakesALongHistory) {
    // A bit in 37 is set, again and again, between branches that are always taken: 64 outcomes back
    // lies what tells.
    auto misses = [](auto& predictor, auto&& outcome) {
        unsigned missed = 0;
        for (unsigned i = 0; i < 40000; ++i) {
            bool right = predictor.predict(0x1000, outcome(i));
            if (i >= 20000) missed += !right;
        }
        return missed;
    };
    Tage tage;
    Gshare gshare(4096);
    auto rare = [](unsigned i) { return i % 37 == 0; };
    EXPECT_EQ(misses(tage, rare), 0u);
    EXPECT_GT(misses(gshare, rare), 500u) << "twelve outcomes do not tell";
    // Fresh random bits: half of them, whatever predicts.
    uint64_t x = 88172645463325252;
    auto random = [&](unsigned) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        return (x & 1) != 0;
    };
    tage.clear();
    EXPECT_NEAR(misses(tage, random), 10000, 400);
    // After clear() it knows nothing: the same outcomes give the same misses.
    tage.clear();
    unsigned first = misses(tage, rare);
    tage.clear();
    EXPECT_EQ(misses(tage, rare), first);
}

TEST(Geometry, WordsAndTextAreInverse) {
    for (const std::string& name : preset_names()) {
        Geometry g = parse(name);
        EXPECT_EQ(parse(g.text()), g) << name;
    }
    EXPECT_EQ(parse("on"), parse(preset_names().front()));
    EXPECT_EQ(parse("zen2,l2=off").llc, parse("zen2").llc);
    EXPECT_EQ(parse("l1d=48K:12:64").l1d.sets(), 64u);
}

/// A processor with these CPUID leaves, and zeros elsewhere.
Cpuid processor(std::map<std::pair<uint32_t, uint32_t>, CpuidLeaf> leaves) {
    return [leaves = std::move(leaves)](uint32_t leaf, uint32_t subleaf) {
        auto found = leaves.find({leaf, subleaf});
        return found == leaves.end() ? CpuidLeaf{} : found->second;
    };
}

TEST(Geometry, IsReadFromEveryFormOfCpuid) {
    constexpr uint32_t intel = 0x6C65746E, amd = 0x444D4163;
    // 48 KiB, 12 ways; 32 KiB, 8 ways; lines of 64 bytes, 64 sets.
    const CpuidLeaf data{0x21, 11u << 22 | 63, 63, 0}, code{0x22, 7u << 22 | 63, 63, 0};
    const CacheShape l1d{48 << 10, 12, 64}, l1i{32 << 10, 8, 64};
    Geometry by_leaf_4 =
        of_processor(processor({{{0, 0}, {0x1F, 0, intel, 0}}, {{4, 0}, data}, {{4, 1}, code}}));
    EXPECT_EQ(by_leaf_4.l1d, l1d);
    EXPECT_EQ(by_leaf_4.l1i, l1i);
    EXPECT_EQ(by_leaf_4.l2.bytes, 0u);
    Geometry by_amds = of_processor(processor({{{0, 0}, {0x10, 0, amd, 0}},
                                               {{0x80000000, 0}, {0x80000021, 0, 0, 0}},
                                               {{0x8000001D, 0}, data},
                                               {{0x8000001D, 1}, code}}));
    EXPECT_EQ(by_amds.l1d, l1d);
    EXPECT_EQ(by_amds.l1i, l1i);
    // Fn8000_001D hidden: 1 MiB of L2 in 8 ways; an LLC whose ways Fn8000_0006 does not give.
    Geometry by_old = of_processor(processor(
        {{{0, 0}, {0x10, 0, amd, 0}},
         {{0x80000000, 0}, {0x80000021, 0, 0, 0}},
         {{0x80000005, 0}, {0, 0, 48u << 24 | 12 << 16 | 64, 32u << 24 | 8 << 16 | 64}},
         {{0x80000006, 0}, {0, 0, 1024u << 16 | 6 << 12 | 64, 64u << 18 | 9 << 12 | 64}}}));
    EXPECT_EQ(by_old.l1d, l1d);
    EXPECT_EQ(by_old.l1i, l1i);
    EXPECT_EQ(by_old.l2, (CacheShape{1 << 20, 8, 64}));
    EXPECT_EQ(by_old.llc.bytes, 0u);
    EXPECT_THROW(of_processor(processor({{{0, 0}, {0x1F, 0, intel, 0}}})), std::invalid_argument);
    EXPECT_THROW(of_processor(processor({{{0, 0}, {1, 0, amd, 0}}})), std::invalid_argument);
}

TEST(Geometry, BadWordsSayWhatWouldBeRight) {
    for (const char* words :
         {"skylak", "l1d=32K", "l1d=32K:8:63", "l1d=33:8:64", "l1d=off", "l2=x:8:64", "dtlb=5:2",
          "predictor=1000", "device=ram", "l1d=32K:8:32", "l4=1M:16:64", "l1d=0:8:64", "on,zen2"})
        try {
            parse(words);
            ADD_FAILURE() << words;
        } catch (const std::invalid_argument& error) {
            EXPECT_GT(std::string(error.what()).size(), 20u) << words;
        }
}

TEST(DeviceLines, TheFirstLookThatFindsOtherBytesMisses) {
    alignas(64) uint8_t line[64] = {};
    constexpr uint64_t at = 0x40000;
    DeviceLines lines;
    EXPECT_FALSE(lines.near(at));
    lines.watch(at, line);
    EXPECT_TRUE(lines.near(at + 63));
    EXPECT_FALSE(lines.near(at + 64));
    EXPECT_FALSE(lines.written(at, line)) << "nothing was written";
    line[12] = 1;
    lines.stored(at, line);
    EXPECT_FALSE(lines.written(at, line)) << "the processor wrote it itself";
    line[12] = 2;
    EXPECT_TRUE(lines.written(at, line));
    line[12] = 3;
    EXPECT_FALSE(lines.written(at, line)) << "it is not watched any more";
    for (uint64_t i = 0; i < 8; ++i) lines.watch(at + 64 * i, line);
    lines.watch(at + 64 * 100, line);
    line[0] = 9;
    EXPECT_FALSE(lines.written(at, line)) << "the oldest gave way";
    EXPECT_TRUE(lines.written(at + 64, line));
}

}  // namespace
}  // namespace doorbell::model
