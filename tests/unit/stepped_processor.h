// A processor whose clock and interrupts the test decides. Each timestamp of the program (LFENCE,
// RDTSC) is made to raise #UD, and what lies between a begin() and an end() is carried out here,
// instruction by instruction; what this does not know runs in single steps of the machine
// (RFLAGS.TF).
#pragma once
#include <signal.h>
#include <sys/mman.h>
#include <sys/ucontext.h>

#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <vector>

extern "C" char __executable_start, etext;  // the linker's

namespace doorbell::test {

class SteppedProcessor {
  public:
    // What things cost, in ticks of the clock. An instruction that is not named here takes one.
    uint64_t read_ticks = 1, interrupt_ticks = 1, imul_ticks = 1;
    uint64_t nops_a_tick = 1;
    /// What the clock shows is a multiple of this.
    uint64_t step = 1;
    /// At read number `event_at` of the clock it jumps by `event_ticks`.
    uint64_t event_at = 0;
    int64_t event_ticks = 0;
    bool happened = false;  ///< that read has come
    void (*gate)() = nullptr;

    /// Runs `code` on this processor. One at a time.
    template <class Code>
    void run(Code&& code) {
        current() = this;
        std::vector<char> memory(65536);
        stack_t stack{memory.data(), 0, memory.size()}, stack_before;
        struct sigaction ours = {}, before[2];
        ours.sa_sigaction = on_signal;
        ours.sa_flags = SA_SIGINFO | SA_ONSTACK;
        sigaltstack(&stack, &stack_before);
        sigaction(SIGILL, &ours, &before[0]);
        sigaction(SIGTRAP, &ours, &before[1]);
        replace_timestamps(rdtsc, ud2);
        code();
        replace_timestamps(ud2, rdtsc);
        sigaction(SIGTRAP, &before[1], nullptr);
        sigaction(SIGILL, &before[0], nullptr);
        sigaltstack(&stack_before, nullptr);
    }

  private:
    static constexpr greg_t single_step = 0x100;
    static constexpr uint8_t rdtsc = 0x31, ud2 = 0x0B;  ///< behind 0FH
    /// Between two samples the clock goes on by no constant; between two reads in a loop it does.
    static constexpr uint64_t loop_ticks = 10;

    static SteppedProcessor*& current() {
        static SteppedProcessor* processor;
        return processor;
    }
    static void on_signal(int, siginfo_t*, void* context) {
        current()->go_on(static_cast<ucontext_t*>(context)->uc_mcontext.gregs);
    }
    /// Wherever `from` stands in a timestamp of the program's text, writes `to`.
    static void replace_timestamps(uint8_t from, uint8_t to) {
        constexpr uintptr_t page = 4096;
        auto* start = reinterpret_cast<uint8_t*>(reinterpret_cast<uintptr_t>(&__executable_start) &
                                                 ~(page - 1));
        auto bytes = static_cast<size_t>(reinterpret_cast<uint8_t*>(&etext) - start);
        mprotect(start, bytes, PROT_READ | PROT_WRITE | PROT_EXEC);
        const uint8_t timestamp[] = {0x0F, 0xAE, 0xE8, 0x0F, from};
        for (size_t i = 0; i + sizeof timestamp <= bytes; ++i)
            if (std::memcmp(start + i, timestamp, sizeof timestamp) == 0) start[i + 4] = to;
        mprotect(start, bytes, PROT_READ | PROT_EXEC);
    }
    static bool is(const greg_t* registers, std::initializer_list<uint8_t> bytes) {
        return std::memcmp(reinterpret_cast<const void*>(registers[REG_RIP]), bytes.begin(),
                           bytes.size()) == 0;
    }
    /// How often these bytes stand one behind the other; goes on behind them.
    static uint64_t take(greg_t* registers, std::initializer_list<uint8_t> bytes) {
        uint64_t count = 0;
        for (; is(registers, bytes); ++count)
            registers[REG_RIP] += static_cast<greg_t>(bytes.size());
        return count;
    }

    /// Carries out what is known, up to the end of the stretch that is measured, or to an
    /// instruction that has to be stepped over.
    void go_on(greg_t* r) {
        for (;;) {
            if (take(r, {0x0F, ud2}) != 0) {
                bool begins = is_begin(r);
                read(r, begins);
                if (!begins) {
                    r[REG_EFL] &= ~single_step;
                    return;
                }
                finish_begin(r);
            } else if (uint64_t nops = take(r, {0x90})) {
                now_ += nops / nops_a_tick;
            } else if (uint64_t imuls = take(r, {0x48, 0x0F, 0xAF, 0xC0})) {
                now_ += imuls * imul_ticks;
            } else if (uint64_t fences = take(r, {0x0F, 0xAE, 0xE8})) {
                now_ += fences;
            } else if (is(r, {0xCD})) {
                now_ += interrupt_ticks;
                interrupted_ = r[REG_RIP] + 2;
                r[REG_RIP] = reinterpret_cast<greg_t>(gate);
            } else if (take(r, {0x48, 0xCF}) != 0) {  // iretq
                ++now_;
                r[REG_RIP] = interrupted_;
            } else {
                ++now_;
                r[REG_EFL] |= single_step;
                return;
            }
        }
    }
    void read(greg_t* r, bool begins) {
        bool in_loop = !begins && !measuring_;
        if (begins) now_ += 100 + reads_ * 37 % 61;
        if (in_loop) now_ += loop_ticks;
        measuring_ = begins;
        now_ += read_ticks;
        if (++reads_ == event_at) {
            now_ += static_cast<uint64_t>(event_ticks);
            happened = true;
        }
        uint64_t value = now_ / step * step;
        r[REG_RAX] = static_cast<greg_t>(value & 0xFFFFFFFF);
        r[REG_RDX] = static_cast<greg_t>(value >> 32);
    }
    /// Whether what follows an RDTSC is the rest of a begin(); an end() has no LFENCE there.
    static bool is_begin(const greg_t* r) {
        auto* code = reinterpret_cast<const uint8_t*>(r[REG_RIP]);
        return is(r, {0x48, 0xC1, 0xE2, 0x20, 0x48, 0x09, 0xD0}) && code[8] == 0x89 &&
               std::memcmp(code + 10, "\x0F\xAE\xE8", 3) == 0;
    }
    /// The rest of a begin(): shl, or, mov from RAX to the register that takes the value.
    void finish_begin(greg_t* r) {
        static constexpr int by_number[] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                                            REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                            REG_R12, REG_R13, REG_R14, REG_R15};
        auto* code = reinterpret_cast<const uint8_t*>(r[REG_RIP]);
        r[REG_RDX] <<= 32;
        r[REG_RAX] |= r[REG_RDX];
        r[by_number[(code[9] & 7) + 8 * (code[7] & 1)]] = r[REG_RAX];
        r[REG_RIP] += 10;
        now_ += 3;
    }

    bool measuring_ = false;
    greg_t interrupted_ = 0;
    uint64_t now_ = 1000000, reads_ = 0;
};

}  // namespace doorbell::test
