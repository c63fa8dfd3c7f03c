// What ran before must not be in the figures: a case begins at the same phase of every clock. Image
// only.
#pragma once
#include <cstdint>

namespace doorbell::measure {

/// Goes on at the next multiple of `period` ticks, plus a constant few, where the clock counts
/// instructions and each of these is one tick. With another clock it takes a moment and means
/// nothing. Interrupts must be off.
inline void align_clock(uint64_t period) {
    uint64_t left = period, scratch;
    asm volatile(
        "rdtsc\n\t"
        "shlq $32, %%rdx\n\t"
        "orq %%rdx, %%rax\n\t"
        "xorl %%edx, %%edx\n\t"
        "divq %0\n\t"
        "subq %%rdx, %0\n\t"
        // Two ticks a turn, at least one turn, and one tick more where what is left is odd.
        "addq $2, %0\n\t"
        "testb $1, %b0\n\t"
        "jz 1f\n\t"
        "nop\n"
        "1:\tshrq $1, %0\n"
        "2:\tdecq %0\n\t"
        "jnz 2b"
        : "+c"(left), "=&a"(scratch)
        :
        : "rdx", "cc", "memory");
}

}  // namespace doorbell::measure
