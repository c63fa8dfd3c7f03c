// How long the instructions take by what depends on what, on a core whose loads all hit and whose
// branches are all predicted; and which misses wait for one another.
//
// A block of translated code is analysed once, when it is translated: when each register is ready
// after it, as the latest of (when a register was ready before it + a latency). So a block that is
// executed costs a few additions, and chains through any number of blocks are followed. A core
// begins `width` instructions a step and holds `window` of them at most: an instruction begins
// when the one that stands `window` before it is done.
//
// Chains go through memory, too: a load of what was stored shortly before gets it when that store
// has its value. Where a load finds such a store is known only when it is executed, and then
// corrects what the block was said to give.
//
// Knows nothing of QEMU.
#pragma once
#include <algorithm>
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
    /// From a store's value to that of a load of the same bytes. Cores that rename memory take
    /// nothing or one (Agner Fog, as above, "Mirroring memory operands"), others 4 to 8 cycles.
    unsigned forward_latency = 1 * step;
};

/// A load or store of a block, in the order of the block.
struct MemoryUse {
    uint32_t address = 0;  ///< registers of before the block that the address is made of
    uint32_t loads = 0;    ///< loads of the block, by number, that it is made of
    uint32_t number = 0;   ///< of the load, below 32; greater ones are not followed
    bool load = false;
    static constexpr uint8_t not_followed = 255;
    uint8_t store = not_followed;  ///< number of the store whose value can be loaded again
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
    /// Whether a later load can find what it stores.
    bool stores() const { return followed_stores_ != 0; }

    /// Loads and stores of a block that are followed, at most.
    static constexpr unsigned most_loads = 32, most_stores = 16;

  private:
    friend class Dataflow;
    /// A time as the latest of: the block's beginning + `fetch`, register i + before[i], what load
    /// n gives + after_load[n].
    struct Time {
        int fetch = 0;
        std::array<int16_t, flow_registers> before;
        std::array<int16_t, most_loads> after_load;
        uint32_t loads = 0;
    };
    struct Input {
        uint16_t after;
        uint8_t reg;
    };
    struct Output {
        uint8_t reg;  ///< or flow_registers + the number of a store
        uint8_t inputs;
        uint16_t fetch;
        uint32_t registers;  ///< those of `inputs`, as bits
        uint32_t loads;
    };
    /// How much later than a load's value that output is.
    struct Effect {
        uint16_t after;
        uint8_t reg;
    };
    void begin_values();
    void put_out(unsigned reg, const Time& time);
    static void latest(Time& time, const Time& other);
    static void delay(Time& time, int by);

    const Core* core_;
    std::array<Time, flow_registers> values_;
    std::vector<Time> stored_;  ///< what the followed stores have, until finish()
    uint32_t written_ = 0;
    unsigned loads_ = 0, stores_all_ = 0, followed_stores_ = 0;
    bool jumps_ = false;
    uint32_t instructions_ = 0, length_ = 0, loads_length_ = 0, stores_length_ = 0;
    uint32_t latest_ = 0;  ///< of what depends on nothing from before
    std::vector<Input> inputs_;
    std::vector<Output> outputs_;
    std::array<std::vector<Effect>, most_loads> effects_;  ///< by the load
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
    /// The present block stores at `address`.
    void stored(const MemoryUse& use, uint64_t address, uint64_t instructions) {
        Stored& s = stores_[place_of(address)];
        if (use.store == MemoryUse::not_followed) {
            if (s.address == address) s.address = nowhere;
            return;
        }
        s.address = address;
        s.at = ready_[flow_registers + use.store];
        s.missed_at = calm(instructions) ? 0 : store_waits(use.store);
    }
    /// The present block loads from `address`: what was stored there is there when the store has
    /// it.
    void loaded(const MemoryUse& use, uint64_t address, uint64_t instructions) {
        const Stored& s = stores_[place_of(address)];
        if (s.address != address || use.number >= BlockFlow::most_loads) return;
        if (s.at > began_at_) forward(use.number, s.at + core_.forward_latency);
        if (s.missed_at != 0 && instructions - s.missed_at < core_.window)
            missed_ |= 1u << use.number;
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
        uint64_t fetch = 0, done = 0, loads = 0, stores = 0;
        std::array<uint64_t, flow_registers> ready{};
        /// By how much it all is further than at `before`, where `written` are the loop's results;
        /// 0: not all by the same.
        uint64_t further_than(const Stand& before, uint32_t written) const;
    };
    Stand stand() const {
        Stand s{fetch_, done_, loads_at_, stores_at_, {}};
        std::copy_n(ready_.begin(), flow_registers, s.ready.begin());
        return s;
    }
    /// Repeats the loop that was executed last, each of whose turns takes `time` and has
    /// `instructions`: more of them than the window holds stood still against each other.
    void repeat(uint64_t turns, uint64_t time, uint64_t instructions, uint32_t written);

  private:
    void advance(const BlockFlow& block);
    void follow_misses();
    /// Load `number` of the present block has its value at `at`, if not later.
    void forward(unsigned number, uint64_t at);
    /// When the miss was that this store of the present block waits for; 0: none.
    uint64_t store_waits(unsigned store) const;
    uint64_t miss_of(const BlockFlow::Output& out) const;
    bool waits(unsigned reg, uint64_t instructions) const {
        return missed_at_[reg] != 0 && instructions - missed_at_[reg] < core_.window;
    }

    static constexpr unsigned ring = 256;
    struct Done {
        uint64_t instructions, at;
    };
    static constexpr unsigned outputs = flow_registers + BlockFlow::most_stores;
    Core core_;
    std::array<uint64_t, outputs> ready_{};  ///< of stores: the present block's
    uint64_t fetch_ = 0, done_ = 0, begun_ = 0;
    uint64_t loads_at_ = 0, stores_at_ = 0;  ///< when the next of them can begin
    uint64_t began_at_ = 0;                  ///< fetch_ where the present block begins
    std::array<Done, ring> blocks_{};
    unsigned newest_ = 0, oldest_ = 0;

    const BlockFlow* before_ = nullptr;  ///< the block under way
    uint32_t missed_ = 0;                ///< its loads that missed
    uint64_t last_miss_ = 0;
    std::array<uint64_t, flow_registers> missed_at_{};  ///< instructions; 0: does not wait

    // The last stores, by their addresses. What is older than the window is done when a load
    // begins, so that it does not matter that later stores take the places of earlier ones.
    static constexpr unsigned store_places_log2 = 9;
    static constexpr uint64_t nowhere = ~0ull;
    struct Stored {
        uint64_t address = nowhere, at = 0, missed_at = 0;
    };
    static unsigned place_of(uint64_t address) {
        return static_cast<unsigned>(address * 0x9E3779B97F4A7C15 >> (64 - store_places_log2));
    }
    std::array<Stored, 1u << store_places_log2> stores_{};
};

}  // namespace doorbell::model
