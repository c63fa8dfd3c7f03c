// What waits for what: chains of instructions, and misses among them.
#include "host/model/dataflow.h"

#include <gtest/gtest.h>

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
