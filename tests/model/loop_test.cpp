// Loops whose turns are only counted lead to what they lead to when each turn is executed.
#include "host/model/loop.h"

#include <gtest/gtest.h>

#include <deque>
#include <vector>

#include "host/model/plugin_state.h"

namespace doorbell::model {
namespace {

using Bytes = std::vector<uint8_t>;
const Bytes load{0x48, 0x8B, 0x07},    // mov (%rdi), %rax
    multiply{0x48, 0x0F, 0xAF, 0xC0},  // imul %rax, %rax
    increment{0x48, 0xFF, 0xC0},       // inc %rax
    other{0x48, 0xFF, 0xC1},           // inc %rcx
    test{0x48, 0x85, 0xC0},            // test %rax, %rax
    store{0x48, 0x89, 0x06}, call{0xE8, 0, 0, 0, 0};

/// A program of blocks, executed as the plugin's callback does it, with loops or without.
struct Machine {
    explicit Machine(bool loops) : loops_(loops) {}
    const Block* block(uint64_t address, const std::vector<Bytes>& program) {
        flows_.emplace_back(core_);
        for (const Bytes& bytes : program)
            (void)flows_.back().add(operands_of(bytes.data(), bytes.size()));
        flows_.back().finish();
        blocks_.emplace_back();
        blocks_.back().address = address;
        blocks_.back().flow = &flows_.back();
        return &blocks_.back();
    }
    void run(const Block* next, bool branched = false, bool taken = false) {
        instructions_ += next->flow->instructions();
        if (loops_ && loop.goes_on(next)) {
            path_ += loop.step().path;
            ++counted;
            return;
        }
        leave();
        Loop::Step step{.block = next, .branched = branched, .taken = taken};
        if (branched) (void)predictor.predict(next->address, taken);
        uint64_t before = flow.now();
        flow.execute(*next->flow, instructions_);
        step.path = flow.now() - before;
        path_ += step.path;
        if (loops_) loop.passed(step, flow, predictor.changes(), instructions_);
    }
    void leave() {
        if (!loop.steady()) return;
        for (const Loop::Step& step : loop.leave(flow).steps)
            flow.execute(*step.block->flow, instructions_);
    }
    uint64_t path() {
        leave();
        return flow.now();
    }
    Dataflow flow{Core{}};
    Loop loop;
    Tage predictor;
    uint64_t counted = 0;  ///< blocks that were not executed
    uint64_t path_ = 0;

  private:
    Core core_;
    std::deque<BlockFlow> flows_;
    std::deque<Block> blocks_;
    uint64_t instructions_ = 1000;
    bool loops_;
};

/// A wait of `turns` turns and a half over two blocks, and something behind it; the path.
uint64_t wait_and_go_on(Machine& m, unsigned turns) {
    const Block *head = m.block(0x1000, {load, test, other}),
                *back = m.block(0x1010, {multiply, increment}),
                *behind = m.block(0x2000, {multiply, multiply, load, multiply});
    m.run(behind);
    for (unsigned i = 0; i < turns; ++i) {
        m.run(head, i != 0, true);
        m.run(back, true, false);
    }
    m.run(head, true, true);
    for (int i = 0; i < 40; ++i) m.run(behind);
    return m.path();
}

TEST(Loop, CountedTurnsLeadToWhatExecutedTurnsLeadTo) {
    for (unsigned turns : {10u, 999u, 1000u, 5003u}) {
        Machine counts(true), executes(false);
        uint64_t path = wait_and_go_on(counts, turns);
        EXPECT_EQ(path, wait_and_go_on(executes, turns)) << turns << " turns";
        EXPECT_EQ(counts.path_, path) << "step by step";
        if (turns > 2000) EXPECT_GT(counts.counted, turns) << "most are counted";
    }
}

TEST(Loop, IsNotSteadyWhileThePredictorLearns) {
    Machine m(true);
    const Block* head = m.block(0x1000, {load, test});
    uint64_t random = 1;
    for (int i = 0; i < 4000; ++i) {
        random = random * 6364136223846793005 + 1442695040888963407;
        m.run(head, true, (random >> 40 & 1) != 0);
    }
    EXPECT_EQ(m.counted, 0u);
}

TEST(Loop, ALoadThatMissesOrAnInterruptEndsIt) {
    Machine m(true);
    const Block* head = m.block(0x1000, {load, other});
    for (int i = 0; i < 1000; ++i) m.run(head);
    EXPECT_TRUE(m.loop.steady());
    m.leave();
    m.loop.interrupt();
    EXPECT_FALSE(m.loop.steady());
    MemoryUse use{.load = true};
    bool steady = false;
    for (uint64_t i = 0; i < 1000 && !steady; ++i) {
        m.run(head);
        steady = m.loop.steady();
        m.flow.missed(use, 1000 + 2 * (1001 + i));
    }
    EXPECT_FALSE(steady) << "what depends on a miss is not the same in each turn";
}

TEST(Loop, IsNotSteadyWhereItStoresWhatCanBeLoadedAgain) {
    Machine stores(true), calls(true);
    const Block *pushes = stores.block(0x1000, {store, other}),
                *enters = calls.block(0x1000, {call, other});
    for (int i = 0; i < 2000; ++i) {
        stores.run(pushes);
        calls.run(enters);
    }
    EXPECT_EQ(stores.counted, 0u);
    EXPECT_GT(calls.counted, 0u) << "a return address is not a value";
}

}  // namespace
}  // namespace doorbell::model
