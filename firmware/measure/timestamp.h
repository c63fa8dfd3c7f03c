// The timestamp: RDTSC with the fences that keep other instructions out of the interval.
//
// SDM vol. 2B, RDTSC: LFENCE before it waits until all previous instructions have executed; LFENCE
// after it keeps later ones from starting before it was read. AMD (APM vol. 3, LFENCE; "Software
// Techniques for Managing Speculation"): LFENCE does so where it is dispatch-serializing, which
// platform::Machine sees to.
//
// Both are written whole in assembly, down to the register that takes the value, so that the pair
// costs the same number of instructions wherever it stands; the instrument measures that number.
// timestamp_bytes.h has the bytes that they compile to.
#pragma once
#include <cstdint>

namespace doorbell::measure {

/// Timestamp before the measured code, in ticks of the TSC.
[[gnu::always_inline]] inline uint64_t begin() {
    uint64_t t;
    asm volatile(
        "lfence\n\t"
        "rdtsc\n\t"
        "shlq $32, %%rdx\n\t"
        "orq %%rdx, %%rax\n\t"
        "movq %%rax, %0\n\t"
        "lfence"
        : "=r"(t)
        :
        : "rax", "rdx", "memory", "cc");
    return t;
}

/// Timestamp after the measured code.
[[gnu::always_inline]] inline uint64_t end() {
    uint32_t low, high;
    asm volatile("lfence\n\trdtsc" : "=a"(low), "=d"(high) : : "memory");
    return static_cast<uint64_t>(high) << 32 | low;
}

}  // namespace doorbell::measure
