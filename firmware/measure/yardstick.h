// Bodies of known length: a chain of IMULs, each waiting for the one before. It takes 3 core cycles
// an IMUL, whatever the clock's ticks are (Intel: Optimization Reference Manual, "IMUL r64, r64",
// latency 3 from Nehalem on; AMD: Software Optimization Guides of families 17h to 1Ah, latency 3).
// So it tells how many core cycles a tick of the TSC has at that moment.
#pragma once
#include <cstdint>

#include "firmware/measure/timestamp.h"

namespace doorbell::measure {

inline constexpr uint64_t cycles_an_imul = 3;

/// A chain of 100 dependent IMULs and nothing else.
[[gnu::always_inline]] inline void imul_chain_100() {
    asm volatile(".rept 100\n\timulq %%rax, %%rax\n\t.endr" : : : "rax", "cc", "memory");
}

/// A chain of `hundreds` times 100; 0: none. The loop around them is not in their way.
[[gnu::noinline]] inline void imul_chain(uint64_t hundreds) {
    for (; hundreds != 0; --hundreds) imul_chain_100();
}

/// A chain of 61 less `skip` IMULs, `skip` from 0 to 61: a jump into the row.
[[gnu::always_inline]] inline void imul_chain_from(uint64_t skip) {
    asm volatile(
        "leaq 1f(%%rip), %%rax\n\t"
        "leaq (%%rax,%0,4), %%rax\n\t"
        "jmp *%%rax\n"
        "1:\n\t"
        ".rept 61\n\timulq %%rax, %%rax\n\t.endr"
        :
        : "r"(skip)
        : "rax", "cc", "memory");
}

/// Where within a step of a coarse clock sample `number` begins must not depend on the sample
/// before: a wait that differs from sample to sample, over more than one step.
[[gnu::always_inline]] inline void dither(uint64_t number) { imul_chain_from(number * 7 % 61); }

/// Core cycles in a million ticks, now: from the least of `rounds` measurements of a chain of
/// 10,000 and of one of 100, whose difference has neither the timestamps nor the loop's end in it.
/// About 6 us a round. 0: the clock stands still.
inline uint64_t core_cycles_a_million_ticks(unsigned rounds = 5) {
    constexpr uint64_t many = 100, few = 1;
    uint64_t least[2] = {~0ull, ~0ull};
    for (unsigned i = 0; i < rounds; ++i)
        for (unsigned chain = 0; chain < 2; ++chain) {
            uint64_t t = begin();
            imul_chain(chain == 0 ? many : few);
            t = end() - t;
            if (t < least[chain]) least[chain] = t;
        }
    if (least[0] <= least[1]) return 0;
    return (many - few) * 100 * cycles_an_imul * 1000000 / (least[0] - least[1]);
}

}  // namespace doorbell::measure
