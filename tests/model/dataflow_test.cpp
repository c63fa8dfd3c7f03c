// What waits for what: chains of instructions, and misses among them.
#include "host/model/dataflow.h"

#include <gtest/gtest.h>

#include <functional>
#include <vector>

namespace doorbell::model {
namespace {

/// Instructions by their bytes.
const std::vector<uint8_t> load{0x48, 0x8B, 0x07},                        // mov (%rdi), %rax
    chase{0x48, 0x8B, 0x3F},                                              // mov (%rdi), %rdi
    multiply{0x48, 0x0F, 0xAF, 0xC0},                                     // imul %rax, %rax
    increment{0x48, 0xFF, 0xC0},                                          // inc %rax
    other[]{{0x48, 0xFF, 0xC1}, {0x48, 0xFF, 0xC2}, {0x48, 0xFF, 0xC3}},  // inc %rcx, %rdx, %rbx
    next{0x48, 0x83, 0xC7, 0x40},                                         // add $64, %rdi
    clear{0x31, 0xC0},                                                    // xor %eax, %eax
    push{0x50}, pop{0x58}, test{0x48, 0x85, 0xC0},                        // test %rax, %rax
    store{0x48, 0x89, 0x07},                                              // mov %rax, (%rdi)
    add_memory{0x48, 0x83, 0x07, 0x01},                                   // add $1, (%rdi)
    call{0xE8, 0, 0, 0, 0},                                               // call
    scaled{0x48, 0x8B, 0x04, 0xC7},                                       // mov (%rdi,%rax,8), %rax
    plain{0x48, 0x8B, 0x00},                                              // mov (%rax), %rax
    compare{0x48, 0x39, 0xC8},                                            // cmp %rcx, %rax
    move_if_above{0x48, 0x0F, 0x47, 0xC1},                                // cmova %rcx, %rax
    move_if_equal{0x48, 0x0F, 0x44, 0xC1};                                // cmove %rcx, %rax

struct Flow {
    explicit Flow(const std::vector<std::vector<uint8_t>>& program) : block(core) {
        for (const auto& bytes : program)
            uses.push_back(block.add(operands_of(bytes.data(), bytes.size())));
        block.finish();
    }
    void execute() {
        flow.execute(block, instructions += uses.size());
        if (!address) return;
        for (const MemoryUse& use : uses) {
            if (use.load) flow.loaded(use, address(turn), instructions);
            if (use.store != MemoryUse::not_followed) flow.stored(use, address(turn), instructions);
        }
        ++turn;
    }
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
    /// Where each turn's loads and stores go; without it, nowhere.
    std::function<uint64_t(uint64_t turn)> address;
    uint64_t turn = 0;
};

uint64_t one_place(uint64_t) { return 0x5000; }
uint64_t other_places(uint64_t turn) { return 0x5000 + 8 * turn; }

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

TEST(Dataflow, AChainGoesThroughMemory) {
    auto steps = [](const std::vector<std::vector<uint8_t>>& program,
                    uint64_t (*address)(uint64_t)) {
        Flow flow(program);
        flow.address = address;
        return flow.steps_a_turn();
    };
    constexpr double forward = 1.0 * Core{}.forward_latency / step;
    EXPECT_EQ(steps({load, multiply, store}, one_place), 3 + forward);
    EXPECT_EQ(steps({load, multiply, store}, other_places), 0.5) << "no load finds a store";
    EXPECT_EQ(steps({add_memory}, one_place), 1 + forward);
    EXPECT_EQ(steps({load, multiply, store, load, multiply, store}, one_place), 2 * (3 + forward))
        << "twice in a block";
    EXPECT_EQ(steps({clear, store, load, multiply}, one_place), 4.0 / 6)
        << "what is stored waits for nothing";
    // A word of before is not what a call has stored there.
    Flow calls({call});
    EXPECT_EQ(calls.uses[0].store, MemoryUse::not_followed);
    Flow chain({load, multiply, store});
    chain.address = one_place;
    chain.execute();
    chain.flow.stored(calls.uses[0], one_place(0), chain.instructions);
    uint64_t before = chain.flow.now();
    chain.execute();
    EXPECT_LT(chain.flow.now() - before, 3u * step) << "the call's store has taken its place";
}

TEST(Dataflow, SomeAddressesAndConditionsTakeLonger) {
    EXPECT_EQ(Flow({plain}).steps_a_turn(), 4.0);
    EXPECT_EQ(Flow({scaled}).steps_a_turn(), 5.0);
    EXPECT_EQ(Flow({compare, move_if_equal}).steps_a_turn(), 2.0);
    EXPECT_EQ(Flow({compare, move_if_above}).steps_a_turn(), 3.0) << "two groups of flags";
}

TEST(Dataflow, ALoadOfWhatWasStoredWaitsForTheMissThatTheStoreWaitsFor) {
    Flow keeps({load, store}), finds({load, plain});
    Dataflow& flow = keeps.flow;
    flow.execute(keeps.block, 1000);
    flow.missed(keeps.uses[0], 1000);
    flow.stored(keeps.uses[1], 0x5000, 1000);
    flow.execute(finds.block, 1010);
    EXPECT_FALSE(flow.chained(finds.uses[1], 1010)) << "nothing has been loaded yet";
    flow.loaded(finds.uses[0], 0x6000, 1010);
    EXPECT_FALSE(flow.chained(finds.uses[1], 1010)) << "another place";
    flow.loaded(finds.uses[0], 0x5000, 1010);
    EXPECT_TRUE(flow.chained(finds.uses[1], 1010));
    flow.execute(finds.block, 2000);
    flow.loaded(finds.uses[0], 0x5000, 2000);
    EXPECT_FALSE(flow.chained(finds.uses[1], 2000)) << "long done";
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
