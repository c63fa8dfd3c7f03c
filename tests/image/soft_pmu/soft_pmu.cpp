#include "tests/image/soft_pmu/soft_pmu.h"

#include "labs/kit/saved_registers.h"
#undef Msrs
#undef Cpuid

// RDPMC changes only RAX and RDX (and here the flags, which nobody reads afterwards). It may run on
// an interrupt's stack, which has room for one more word: its implementation has its own stack. Its
// own cost is hidden, up to a constant.
extern "C" {
[[gnu::used]] uint64_t soft_rdpmc_stack[256];
[[gnu::used]] uint64_t soft_rdpmc_value(uint32_t index);
}
asm(R"(
        .pushsection .data.soft, "aw"
soft_rdpmc_rsp:
        .quad   soft_rdpmc_stack + 2048
        .popsection
        .pushsection .text.soft, "ax"
        .global soft_rdpmc
soft_rdpmc:
        xchgq   %rsp, soft_rdpmc_rsp(%rip)
        PUSH_CALLER_SAVED
        movl    %ecx, %edi
        call    soft_rdpmc_value
        movq    %rax, %rdx
        shrq    $32, %rdx
        movl    %eax, %eax
        POP_CALLER_SAVED
        xchgq   %rsp, soft_rdpmc_rsp(%rip)
        ret
        .popsection
)");

namespace doorbell::cpu {
namespace {

constexpr unsigned programmable = 4, fixed = 3;
constexpr uint64_t width = (1ull << 48) - 1;

uint64_t selects[programmable], fixed_control, global, status;
uint64_t counters[programmable + fixed];  ///< as of `mark`
uint64_t mark;                            ///< instructions up to there
uint64_t hidden;                          ///< instructions that executing RDPMC took

uint64_t ticks() {
    uint32_t low, high;
    asm volatile("rdtsc" : "=a"(low), "=d"(high));
    return uint64_t{high} << 32 | low;
}

bool enabled(unsigned i) {
    if (i < programmable)
        return (selects[i] >> 22 & 1) != 0 && (selects[i] >> 17 & 1) != 0 && (global >> i & 1) != 0;
    return (fixed_control >> 4 * (i - programmable) & 1) != 0 &&
           (global >> (32 + i - programmable) & 1) != 0;
}

/// The exact clock counts instructions, and so does "instructions"; an instruction is two core
/// cycles here, and three of any other event. "Branch Instruction Retired" is advertised and never
/// moves.
uint64_t events_each(unsigned i) {
    uint64_t code = i < programmable        ? selects[i] & 0xFFFF
                    : i == programmable     ? 0xC0
                    : i == programmable + 1 ? 0x3C
                                            : 0x13C;
    return code == 0xC0 ? 1 : code == 0x3C ? 2 : code == 0xC4 ? 0 : 3;
}

uint64_t count(unsigned i, uint64_t now) {
    return (counters[i] + (enabled(i) ? (now - mark) * events_each(i) : 0)) & width;
}

void settle() {
    uint64_t now = ticks() - hidden;
    for (unsigned i = 0; i < programmable + fixed; ++i) counters[i] = count(i, now);
    mark = now;
}

uint64_t* register_of(uint32_t msr) {
    if (msr >= 0x186 && msr < 0x186 + programmable) return &selects[msr - 0x186];
    if (msr >= 0xC1 && msr < 0xC1 + programmable) return &counters[msr - 0xC1];
    if (msr >= 0x309 && msr < 0x309 + fixed) return &counters[programmable + msr - 0x309];
    if (msr == 0x38D) return &fixed_control;
    if (msr == 0x38E) return &status;
    if (msr == 0x38F) return &global;
    __builtin_trap();  // #GP on a processor
}

}  // namespace

uint64_t SoftMsrs::read(uint32_t msr) {
    settle();
    return *register_of(msr);
}

void SoftMsrs::write(uint32_t msr, uint64_t value) {
    settle();
    if (msr == 0x390)
        status &= ~value;
    else
        *register_of(msr) = value;
}

CpuidRegisters SoftCpuid::operator()(uint32_t leaf, uint32_t subleaf) const {
    if (leaf == 0xA) return {4 | programmable << 8 | 48 << 16 | 7 << 24, 0, 0, fixed | 48 << 5};
    return Cpuid{}(leaf, subleaf);
}

}  // namespace doorbell::cpu

extern "C" uint64_t soft_rdpmc_value(uint32_t index) {
    using namespace doorbell::cpu;
    uint64_t now = ticks();
    unsigned counter = index >> 30 != 0 ? programmable + (index & 0xFFFF) : index;
    if (counter >= programmable + fixed) __builtin_trap();  // #GP on a processor
    uint64_t value = count(counter, now - hidden);
    hidden += ticks() - now;
    return value;
}
