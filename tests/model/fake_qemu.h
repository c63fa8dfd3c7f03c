// A QEMU for doorbell-model.so, as the plugin sees it: the functions of the plugin interface, of
// the generation PLUGIN_API (1: QEMU 7.2; 2: 9.0; 4: 10, whose functions are those of
// docs/devel/tcg-plugins), and one vCPU that runs a block of instructions. It defines only the
// functions of that version, so that the plugin finds the same ones as there.
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "firmware/wire/mailbox.h"
#include "host/model/plugin_api.h"

namespace doorbell::test {

/// An instruction's memory access; `address` is virtual, and also physical unless `io`.
struct Use {
    bool store;
    uint64_t address;
    unsigned bytes_log2;
    bool io = false;
};

struct Instruction {
    std::vector<uint8_t> bytes;
    std::vector<Use> uses = {};
};

}  // namespace doorbell::test

struct qemu_plugin_insn {
    uint64_t address;
    uint8_t* host;
    size_t size;
    std::vector<doorbell::test::Use> uses;
    std::vector<std::pair<qemu_plugin_exec_t, void*>> callbacks;
    std::vector<std::pair<uint64_t*, uint64_t>> additions;
    std::vector<std::pair<qemu_plugin_mem_t, void*>> memory;
};
struct qemu_plugin_tb {
    std::vector<qemu_plugin_insn> instructions;
};
struct qemu_plugin_hwaddr {
    uint64_t address;
    bool io;
};
struct qemu_plugin_scoreboard {
    std::vector<uint64_t> words;
};

namespace doorbell::test {

struct FakeQemu {
    static FakeQemu*& now() {
        static FakeQemu* one = nullptr;
        return one;
    }
    FakeQemu() { now() = this; }
    ~FakeQemu() { now() = nullptr; }

    std::vector<uint8_t> ram = std::vector<uint8_t>(8 << 20);
    qemu_plugin_vcpu_t vcpu_init = nullptr;
    qemu_plugin_tb_trans_t translate = nullptr;
    std::vector<std::unique_ptr<qemu_plugin_scoreboard>> boards;
    bool vcpu_is_there = false;
    std::vector<std::unique_ptr<qemu_plugin_tb>> blocks;
    uint64_t ticks = 0;
    Use use{};  ///< the access of a memory callback

    template <class T>
    T& at(uint64_t address) {
        return *reinterpret_cast<T*>(ram.data() + address);
    }

    void start_vcpu() {
        vcpu_is_there = true;
        vcpu_init(0, 0);
    }
    /// Puts instructions at `address` and lets the plugin translate them as one block.
    qemu_plugin_tb& block(uint64_t address, const std::vector<Instruction>& program) {
        auto& tb = *blocks.emplace_back(std::make_unique<qemu_plugin_tb>());
        for (const Instruction& i : program) {
            std::memcpy(&ram[address], i.bytes.data(), i.bytes.size());
            tb.instructions.push_back({address, &ram[address], i.bytes.size(), i.uses, {}, {}, {}});
            address += i.bytes.size();
        }
        translate(0, &tb);
        return tb;
    }
    /// Runs it; `before` is called with each instruction's index, before it does anything.
    template <class Before>
    void run(qemu_plugin_tb& tb, Before&& before) {
        for (size_t n = 0; n < tb.instructions.size(); ++n) {
            qemu_plugin_insn& i = tb.instructions[n];
            before(n);
            ++ticks;
            for (auto& [to, add] : i.additions) *to += add;
            for (auto& [callback, data] : i.callbacks) callback(0, data);
            for (const Use& one : i.uses)
                for (auto& [callback, data] : i.memory) {
                    use = one;
                    callback(0, 0, one.address, data);
                }
        }
    }
    void run(qemu_plugin_tb& tb) {
        run(tb, [](size_t) {});
    }
};

}  // namespace doorbell::test
