// How long the instructions take by what depends on what, on a core whose loads all hit and whose
// branches are all predicted; and which misses wait for one another.
//
// A block of translated code is analysed once, when it is translated: when each register is ready
// after it, as the latest of (when a register was ready before it + a latency). So a block that is
// executed costs a few additions, and chains through any number of blocks are followed. A core
// begins `width` instructions a step and holds `window` of them at most: an instruction begins
// when the one that stands `window` before it is done.
//
// Knows nothing of QEMU.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "host/model/operands.h"

namespace doorbell::model {

/// What a core does at once. Between the cores of the last ten years (Agner Fog, "The
/// microarchitecture of Intel, AMD, and VIA CPUs").
struct Core {
    unsigned width = 6;     ///< instructions begun in a step
    unsigned loads = 3;     ///< of them loads
    unsigned stores = 2;    ///< of them stores
    unsigned window = 256;  ///< instructions that are under way
    unsigned load_latency = 4 * step;
};

/// A load or store of a block, in the order of the block.
struct MemoryUse {
    uint32_t address = 0;  ///< registers of before the block that the address is made of
    uint32_t loads = 0;    ///< loads of the block, by number, that it is made of
    uint32_t number = 0;   ///< of the load, below 32; greater ones are not followed
    bool load = false;
};

/// What a block does to the times of registers.
class BlockFlow {
  public:
    explicit BlockFlow(const Core& core = {}) : core_(&core) { begin_values(); }
    /// The next instruction; where it uses memory, how its address comes about.
    MemoryUse add(const Operands& operands);
    /// No more instructions.
    void finish();
    uint64_t instructions() const { return instructions_; }
    uint32_t written() const { return written_; }

  private:
    friend class Dataflow;
    /// A time as the latest of: the block's beginning + `fetch`, register i + before[i].
    struct Time {
        int fetch = 0;
        std::array<int16_t, flow_registers> before;
        uint32_t loads = 0;
    };
    struct Input {
        uint16_t after;
        uint8_t reg;
    };
    struct Output {
        uint8_t reg;
        uint8_t inputs;
        uint16_t fetch;
        uint32_t registers;  ///< those of `inputs`, as bits
        uint32_t loads;
    };
    void begin_values();
    static void latest(Time& time, const Time& other);
    static void delay(Time& time, int by);

    const Core* core_;
    std::array<Time, flow_registers> values_;
    uint32_t written_ = 0;
    unsigned loads_ = 0, stores_ = 0;
    bool jumps_ = false;
    uint32_t instructions_ = 0, length_ = 0;
    uint32_t latest_ = 0;  ///< of what depends on nothing from before
    std::vector<Input> inputs_;
    std::vector<Output> outputs_;
};

/// Where loads that missed lie on the way, and what time it is.
class Dataflow {
  public:
    explicit Dataflow(const Core& core = {}) : core_(core) {}
    const Core& core() const { return core_; }

    /// A block is executed, after `instructions` others.
    void execute(const BlockFlow& block, uint64_t instructions) {
        if (missed_ != 0 || !calm(instructions)) follow_misses();
        before_ = &block;
        advance(block);
    }
    /// A branch was predicted wrongly: nothing behind it begins before it is done.
    void resolve_branch() {
        follow_misses();
        if (ready_[16] > fetch_) fetch_ = ready_[16];
    }
    /// Whether the flags, which a branch looks at, wait for a load that missed.
    bool flags_wait(uint64_t instructions) {
        follow_misses();
        return waits(16, instructions);
    }
    /// Whether the address of a load of the present block waits for a load that missed.
    bool chained(const MemoryUse& use, uint64_t instructions) const;
    /// That load missed, and what depends on it waits.
    void missed(const MemoryUse& use, uint64_t instructions);
    /// Nothing is under way any more: LFENCE.
    void drain() {
        if (done_ > fetch_) fetch_ = done_;
        missed_at_.fill(0);
        missed_ = 0;
        before_ = nullptr;
    }
    /// Twelfths of steps until all that was begun is done.
    uint64_t now() const { return done_ > fetch_ ? done_ : fetch_; }
    void forget() { *this = Dataflow(core_); }

    /// Whether no load has missed for as long as it could matter.
    bool calm(uint64_t instructions) const {
        return missed_ == 0 && instructions - last_miss_ >= core_.window;
    }
    /// Where all that moves stands at one turn of a loop.
    struct Stand {
        uint64_t fetch = 0, done = 0;
        std::array<uint64_t, flow_registers> ready{};
        /// By how much it all is further than at `before`, where `written` are the loop's results;
        /// 0: not all by the same.
        uint64_t further_than(const Stand& before, uint32_t written) const;
    };
    Stand stand() const { return {fetch_, done_, ready_}; }
    /// Repeats the loop that was executed last, each of whose turns takes `time` and has
    /// `instructions`: more of them than the window holds stood still against each other.
    void repeat(uint64_t turns, uint64_t time, uint64_t instructions, uint32_t written);

  private:
    void advance(const BlockFlow& block);
    void follow_misses();
    bool waits(unsigned reg, uint64_t instructions) const {
        return missed_at_[reg] != 0 && instructions - missed_at_[reg] < core_.window;
    }

    static constexpr unsigned ring = 256;
    struct Done {
        uint64_t instructions, at;
    };
    Core core_;
    std::array<uint64_t, flow_registers> ready_{};
    uint64_t fetch_ = 0, done_ = 0, begun_ = 0;
    std::array<Done, ring> blocks_{};
    unsigned newest_ = 0, oldest_ = 0;

    const BlockFlow* before_ = nullptr;  ///< the block under way
    uint32_t missed_ = 0;                ///< its loads that missed
    uint64_t last_miss_ = 0;
    std::array<uint64_t, flow_registers> missed_at_{};  ///< instructions; 0: does not wait
};

}  // namespace doorbell::model
