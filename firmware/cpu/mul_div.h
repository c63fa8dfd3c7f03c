// Multiply, then divide, with 128 bits between: what frequency arithmetic needs. By instructions,
// because the compiler's way is a library call.
#pragma once
#include <cstdint>

namespace doorbell::cpu {

/// a * b / c, rounded down; ~0 where that does not fit 64 bits or c is 0.
inline uint64_t mul_div(uint64_t a, uint64_t b, uint64_t c) {
    uint64_t low, high;
    asm("mulq %3" : "=a"(low), "=d"(high) : "a"(a), "r"(b) : "cc");
    if (high >= c) return ~0ull;
    uint64_t quotient, remainder;
    asm("divq %4" : "=a"(quotient), "=d"(remainder) : "a"(low), "d"(high), "r"(c) : "cc");
    return quotient;
}

}  // namespace doorbell::cpu
