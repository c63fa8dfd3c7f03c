// The model's parts, separately.
#include "host/model/model.h"

#include <gtest/gtest.h>

#include <map>
#include <stdexcept>

#include "host/model/attribution.h"
#include "host/model/dataflow.h"
#include "host/model/decode.h"
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

TEST(Decode, WhatIsCountedIsTold) {
    struct {
        std::vector<uint8_t> bytes;
        Kind kind;
        int64_t displacement;
    } cases[] = {
        {{0x74, 0xFE}, Kind::branch, -2},
        {{0x0F, 0x85, 0x10, 0, 0, 0}, Kind::branch, 16},
        {{0x2E, 0x75, 0x02}, Kind::branch, 2},
        {{0xE3, 0x05}, Kind::branch, 5},
        {{0xCD, 0x80}, Kind::software_interrupt, 0},
        {{0x48, 0xCF}, Kind::iretq, 0},
        {{0x0F, 0x05}, Kind::syscall, 0},
        {{0x48, 0x0F, 0x07}, Kind::sysret, 0},
        {{0x0F, 0x22, 0xD8}, Kind::cr3_write, 0},
        {{0x0F, 0x22, 0xC0}, Kind::serializing, 0},
        {{0x41, 0x0F, 0x22, 0xD8}, Kind::cr3_write, 0},  // mov %r8, %cr3
        {{0x44, 0x0F, 0x22, 0xC0}, Kind::plain, 0},      // mov %rax, %cr8
        {{0x45, 0x0F, 0x22, 0xC0}, Kind::plain, 0},      // mov %r8, %cr8
        {{0x0F, 0x20, 0xD8}, Kind::plain, 0},
        {{0x0F, 0xA2}, Kind::cpuid, 0},
        {{0x0F, 0x30}, Kind::wrmsr, 0},
        {{0x0F, 0x32}, Kind::rdmsr, 0},
        {{0x0F, 0x09}, Kind::serializing, 0},
        {{0xF0, 0x48, 0x83, 0x07, 0x01}, Kind::locked, 0},
        {{0x48, 0x87, 0x07}, Kind::locked, 0},  // xchg %rax, (%rdi)
        {{0x48, 0x87, 0xC7}, Kind::plain, 0},   // xchg %rax, %rdi
        {{0xF3, 0x90}, Kind::pause, 0},
        {{0x90}, Kind::plain, 0},
        {{0xF4}, Kind::hlt, 0},
        {{0x0F, 0x01, 0xC9}, Kind::mwait, 0},
        {{0x0F, 0x01, 0xF8}, Kind::swapgs, 0},
        {{0x0F, 0x01, 0xF9}, Kind::rdtscp, 0},
        {{0x0F, 0x01, 0xE8}, Kind::serializing, 0},  // serialize
        {{0x48, 0x0F, 0xAE, 0x27}, Kind::xsave, 0},
        {{0x48, 0x0F, 0xAE, 0x2F}, Kind::xrstor, 0},
        {{0x0F, 0xAE, 0x3F}, Kind::clflush, 0},
        {{0xF3, 0xA4}, Kind::repeated, 0},        // rep movsb
        {{0xF3, 0x48, 0xAB}, Kind::repeated, 0},  // rep stosq
        {{0xA4}, Kind::plain, 0},
        {{0xEC}, Kind::port_read, 0},
        {{0xEE}, Kind::port_write, 0},
        {{0xE6, 0x80}, Kind::port_write, 0},
        {{0x0F, 0x1F, 0x80, 0x40, 0, 0x20, 0}, Kind::marker, 0x200040},
        {{0x0F, 0x1F, 0x00}, Kind::plain, 0},
        {{0x0F, 0x31}, Kind::timestamp, 0},
        {{0x0F, 0xAE, 0xE8}, Kind::lfence, 0},
        {{0x0F, 0xAE, 0xF0}, Kind::mfence, 0},
        {{0x0F, 0x01, 0x38}, Kind::invlpg, 0},
        {{0x0F, 0x01, 0x1F}, Kind::serializing, 0},  // lidt
        {{0x48, 0x89, 0xC8}, Kind::plain, 0},
    };
    for (const auto& c : cases) {
        Decoded d = decode(c.bytes.data(), c.bytes.size());
        EXPECT_EQ(d.kind, c.kind) << std::hex << unsigned{c.bytes[0]} << " "
                                  << unsigned{c.bytes.back()};
        if (c.kind == Kind::branch || c.kind == Kind::marker)
            EXPECT_EQ(d.displacement, c.displacement);
    }
}

/// The image's side of the mailbox, in this process's memory.
struct Samples {
    wire::Mailbox box;
    wire::MailboxRow rows[4] = {};
    uint64_t value = 0, marks[4] = {};
    ModelCounts tally;
    Attribution attribution;
    Guest guest{0};

    void watch(uint64_t stages, uint64_t overhead, bool check, bool since_event = false) {
        auto at = [](const void* p) { return reinterpret_cast<uint64_t>(p); };
        box.series[0] = {at(&value), 8,     8,        at(marks),  stages,
                         overhead,   check, at(rows), since_event};
        box.series_count = 1;
        attribution.begin(box);
    }
    void run(uint64_t instructions, uint64_t misses = 0) {
        tally[ModelCount::instructions] += instructions;
        tally[ModelCount::l1d_misses] += misses;
    }
    uint64_t stamp(bool begins) {
        tally.silent += 2;
        ++tally[ModelCount::timestamps];
        attribution.history.note(ModelCount::timestamps, tally);
        attribution.edge(tally, begins);
        return tally.ticks();
    }
    void store(uint64_t v) {
        value = v;
        attribution.stored(guest, reinterpret_cast<uint64_t>(&value));
    }
};

TEST(Attribution, ASampleGetsWhatLiesBetweenItsTimestamps) {
    Samples s;
    s.watch(0, 2, true);
    for (int i = 0; i < 3; ++i) {
        s.run(100, 9);  // not measured
        uint64_t from = s.stamp(true);
        s.run(7, 1);
        uint64_t to = s.stamp(false);
        s.run(50, 5);  // nor this
        s.store(to - from - 2);
    }
    s.attribution.end(s.guest);
    EXPECT_EQ(s.rows[0].samples, 3u);
    EXPECT_EQ(s.rows[0].counts[0], 21u);
    EXPECT_EQ(s.rows[0].counts[static_cast<int>(ModelCount::l1d_misses)], 3u);
}

TEST(Attribution, AValueThatIsNotADistanceOfTimestampsGetsNothing) {
    Samples s;
    s.watch(0, 2, true);
    s.stamp(true);
    s.run(7);
    s.stamp(false);
    s.store(1000);
    s.attribution.end(s.guest);
    EXPECT_EQ(s.rows[0].samples, 0u);
}

TEST(Attribution, WhatWasMeasuredOnceIsCountedOnce) {
    Samples s;
    s.watch(0, 2, true);
    for (int i = 0; i < 3; ++i) {
        s.stamp(true);
        s.run(7, 1);
        s.stamp(false);
    }
    // Handed over later, all of them: two are no longer known.
    for (int i = 0; i < 3; ++i) s.store(7);
    s.attribution.end(s.guest);
    EXPECT_EQ(s.rows[0].samples, 1u);
    EXPECT_EQ(s.rows[0].counts[0], 7u);
}

TEST(Attribution, AnyNumberOfTimestampsMayLieInASample) {
    Samples s;
    s.watch(0, 0, false);
    s.stamp(true);
    for (int i = 0; i < 1000; ++i) {
        s.run(1, 1);
        s.stamp(false);
    }
    s.store(42);
    s.attribution.end(s.guest);
    EXPECT_EQ(s.rows[0].samples, 1u);
    EXPECT_EQ(s.rows[0].counts[0], 1000u);
    EXPECT_EQ(s.rows[0].counts[static_cast<int>(ModelCount::timestamps)], 999u);
}

TEST(Attribution, ValuesOfATaskLieAStrideApart) {
    Samples s;
    struct {
        uint64_t warm, after;
    } walks[3] = {};
    auto at = [](const void* p) { return reinterpret_cast<uint64_t>(p); };
    s.box.series[0] = {at(&walks[0].warm), sizeof walks, sizeof walks[0], 0, 0, 2, 1, at(s.rows)};
    s.box.series[1] = {at(&walks[0].after), sizeof walks, sizeof walks[0], 0, 0, 2, 1,
                       at(s.rows + 1)};
    s.box.series_count = 2;
    s.attribution.begin(s.box);
    for (auto& walk : walks)
        for (uint64_t* value : {&walk.warm, &walk.after}) {
            s.stamp(true);
            s.run(7, value == &walk.after ? 5 : 0);
            s.stamp(false);
            *value = 7;
            s.attribution.stored(s.guest, at(value));
        }
    s.attribution.end(s.guest);
    EXPECT_EQ(s.rows[0].samples, 3u);
    EXPECT_EQ(s.rows[1].samples, 3u);
    EXPECT_EQ(s.rows[0].counts[static_cast<int>(ModelCount::l1d_misses)], 0u);
    EXPECT_EQ(s.rows[1].counts[static_cast<int>(ModelCount::l1d_misses)], 15u);
}

TEST(Attribution, AStageMayEndBeforeTheNextBegins) {
    Samples s;
    s.watch(2, 0, true);
    s.marks[0] = s.stamp(true);
    s.run(30, 3);
    s.marks[1] = s.stamp(false);
    s.run(1);
    uint64_t shift = s.stamp(false) - s.marks[1];  // the lab subtracts this
    s.run(4, 2);
    s.marks[2] = s.stamp(false) - shift;
    s.store(s.marks[2] - s.marks[0]);
    s.attribution.end(s.guest);
    EXPECT_EQ(s.rows[2].counts[0], 4u);
    EXPECT_EQ(s.rows[1].samples, 0u) << "the first stage is not looked for";
}

/// An event at `back` ticks before the end of `run_to`, in the middle of twelve instructions of
/// which every third loads.
struct Event : Samples {
    void loop(unsigned instructions) {
        for (unsigned i = 1; i <= instructions; ++i) {
            run(1);
            if (i % 3 == 0) {
                ++tally[ModelCount::loads];
                attribution.history.note(ModelCount::loads, tally);
            }
        }
    }
    uint64_t loads(unsigned row) {
        return rows[row].counts[static_cast<unsigned>(ModelCount::loads)];
    }
};

TEST(Attribution, AStageThatBeginsAtAnEventIsCountedFromItsInstantOn) {
    Event s;
    s.watch(2, 0, true, true);
    s.stamp(true);
    s.loop(30);
    s.marks[0] = s.tally.ticks() - 10;  // a deadline: no timestamp stands there
    s.marks[1] = s.stamp(false);
    s.run(4, 2);
    s.marks[2] = s.stamp(false);
    s.store(s.marks[2] - s.marks[0]);
    s.attribution.end(s.guest);
    EXPECT_EQ(s.rows[1].samples, 1u);
    EXPECT_EQ(s.rows[1].counts[0], 10u);
    EXPECT_EQ(s.loads(1), 4u);  // of the 21st, 24th, 27th and 30th instruction
    EXPECT_EQ(s.rows[2].counts[0], 4u);
    EXPECT_EQ(s.rows[0].samples, 1u);
    EXPECT_EQ(s.rows[0].counts[0], 14u);
}

TEST(Attribution, AMarkThatIsCountedFromTheEventNeedsNoTimestamp) {
    Event s;
    s.watch(3, 0, true, true);
    s.stamp(true);
    s.loop(30);
    s.marks[2] = s.stamp(false);
    s.marks[0] = s.marks[2] - 14;
    s.marks[1] = s.marks[2] - 8;
    s.run(4, 2);
    s.marks[3] = s.stamp(false);
    s.store(s.marks[3] - s.marks[0]);
    s.attribution.end(s.guest);
    EXPECT_EQ(s.rows[1].counts[0], 6u);
    EXPECT_EQ(s.rows[2].counts[0], 6u);
    EXPECT_EQ(s.rows[3].counts[0], 4u);
    EXPECT_EQ(s.loads(1), 2u);
    EXPECT_EQ(s.loads(2), 2u);  // of the 27th and 30th instruction
    EXPECT_EQ(s.rows[0].samples, 1u);
    EXPECT_EQ(s.rows[0].counts[0], 16u);
}

TEST(Attribution, ASampleMayBeginAtAnEvent) {
    Event s;
    s.watch(0, 0, true, true);
    for (uint64_t length : {5, 8, 11}) {
        s.loop(30);
        uint64_t event = s.tally.ticks() - length;
        s.store(s.stamp(false) - event);
    }
    // Further back than anything that is remembered: not attributed, rather than guessed.
    s.store(s.stamp(false) - 2);
    s.attribution.end(s.guest);
    EXPECT_EQ(s.rows[0].samples, 3u);
    EXPECT_EQ(s.rows[0].counts[0], 24u);
    EXPECT_EQ(s.loads(0), 2u + 3u + 4u);
    EXPECT_EQ(s.rows[0].counts[static_cast<unsigned>(ModelCount::timestamps)], 0u);
}

TEST(Attribution, WhatTheNextInstructionBringsComesAfterAnEventOfNow) {
    Event s;
    s.watch(0, 0, true, true);
    s.loop(30);
    uint64_t event = s.tally.ticks();
    ++s.tally[ModelCount::interrupts];
    s.attribution.history.note_next(ModelCount::interrupts, s.tally);
    s.loop(2);
    s.store(s.stamp(false) - event);
    s.attribution.end(s.guest);
    EXPECT_EQ(s.rows[0].counts[static_cast<unsigned>(ModelCount::interrupts)], 1u);
    EXPECT_EQ(s.rows[0].counts[0], 2u);
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

/// Instructions by their bytes.
const std::vector<uint8_t> load{0x48, 0x8B, 0x07},                        // mov (%rdi), %rax
    chase{0x48, 0x8B, 0x3F},                                              // mov (%rdi), %rdi
    multiply{0x48, 0x0F, 0xAF, 0xC0},                                     // imul %rax, %rax
    increment{0x48, 0xFF, 0xC0},                                          // inc %rax
    other[]{{0x48, 0xFF, 0xC1}, {0x48, 0xFF, 0xC2}, {0x48, 0xFF, 0xC3}},  // inc %rcx, %rdx, %rbx
    next{0x48, 0x83, 0xC7, 0x40},                                         // add $64, %rdi
    clear{0x31, 0xC0},                                                    // xor %eax, %eax
    push{0x50}, pop{0x58}, test{0x48, 0x85, 0xC0};                        // test %rax, %rax

struct Flow {
    explicit Flow(const std::vector<std::vector<uint8_t>>& program) : block(core) {
        for (const auto& bytes : program)
            uses.push_back(block.add(operands_of(bytes.data(), bytes.size())));
        block.finish();
    }
    void execute() { flow.execute(block, instructions += uses.size()); }
    /// Steps that a turn takes after many.
    double steps_a_turn() {
        constexpr unsigned turns = 1200;
        for (unsigned i = 0; i < turns; ++i) execute();
        uint64_t before = flow.now();
        for (unsigned i = 0; i < turns; ++i) execute();
        return static_cast<double>(flow.now() - before) / step / turns;
    }
    Core core;
    BlockFlow block;
    Dataflow flow{core};
    std::vector<MemoryUse> uses;
    uint64_t instructions = 1000;
};

TEST(Dataflow, AChainTakesItsLatenciesAndTheRestItsWidth) {
    EXPECT_EQ(Flow({multiply}).steps_a_turn(), 3.0);
    EXPECT_EQ(Flow({multiply, multiply}).steps_a_turn(), 6.0);
    EXPECT_EQ(Flow({chase}).steps_a_turn(), 4.0);
    EXPECT_EQ(Flow({increment, other[0], other[1], other[2]}).steps_a_turn(), 1.0);
    EXPECT_EQ(Flow({clear, multiply}).steps_a_turn(), 2.0 / 6) << "nothing is carried over";
    EXPECT_EQ(Flow({load, next}).steps_a_turn(), 1.0) << "the pointer's chain, not the load's";
    EXPECT_EQ(Flow({load, load, load, load, load, load}).steps_a_turn(), 2.0) << "three a step";
    EXPECT_EQ(Flow({push, pop}).steps_a_turn(), 0.5) << "the stack pointer waits for no load";
}

TEST(Dataflow, AWindowLimitsWhatIsUnderWay) {
    // A chain of 8 IMULs and 8 instructions beside it: the chain decides. Two chains that do not
    // wait for each other overlap only within a window.
    Core small;
    small.window = 4;
    std::vector<std::vector<uint8_t>> program{clear};
    for (int i = 0; i < 7; ++i) program.push_back(multiply);
    Flow wide(program);
    EXPECT_LT(wide.steps_a_turn(), 3.0) << "turns overlap";
    BlockFlow block(small);
    for (const auto& bytes : program) (void)block.add(operands_of(bytes.data(), bytes.size()));
    block.finish();
    Dataflow flow(small);
    for (unsigned i = 0; i < 100; ++i) flow.execute(block, 1000 + 8 * i);
    EXPECT_GE(flow.now(), 100u * 21 * step) << "turns follow each other";
}

/// Load `n` of the flow misses: whether it is chained.
bool miss(Flow& f, size_t n) {
    bool chained = f.flow.chained(f.uses[n], f.instructions);
    f.flow.missed(f.uses[n], f.instructions);
    return chained;
}

TEST(Dataflow, AMissWhoseAddressWaitsForAMissIsChained) {
    Flow ring({chase, increment});
    ring.execute();
    EXPECT_FALSE(miss(ring, 0)) << "the first of all";
    for (int i = 0; i < 3; ++i) {
        ring.execute();
        EXPECT_TRUE(miss(ring, 0));
    }
    Flow stream({load, next});
    for (int i = 0; i < 3; ++i) {
        stream.execute();
        EXPECT_FALSE(miss(stream, 0));
    }
    // Through two loads of one block, and no longer once a window has gone by.
    Flow both({chase, chase});
    both.execute();
    EXPECT_FALSE(miss(both, 0));
    EXPECT_TRUE(miss(both, 1));
    for (unsigned i = 0; i < both.core.window; ++i) both.execute();
    EXPECT_FALSE(miss(both, 0));
    // A fence waits for all that is under way.
    both.flow.drain();
    both.execute();
    EXPECT_FALSE(miss(both, 0));
    // What a prefetcher brings is not waited for: nobody says that it missed.
    both.execute();
    EXPECT_TRUE(both.flow.chained(both.uses[0], both.instructions));
    both.flow.drain();
    both.execute();
    both.execute();
    EXPECT_FALSE(both.flow.chained(both.uses[0], both.instructions));
}

TEST(Dataflow, ABranchWaitsForAMissThatItsFlagsComeFrom) {
    Flow looks({load, test});
    looks.execute();
    looks.flow.missed(looks.uses[0], looks.instructions);
    EXPECT_TRUE(looks.flow.flags_wait(looks.instructions));
    Flow counts({load, other[0]});
    counts.execute();
    counts.flow.missed(counts.uses[0], counts.instructions);
    EXPECT_FALSE(counts.flow.flags_wait(counts.instructions));
}

}  // namespace
}  // namespace doorbell::model
