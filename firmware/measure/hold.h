// Where a measured wait begins: at a tick that the lab chooses, whatever a compiler put in front of
// it. A wait that goes round in a loop notices its event at a phase of the loop; the hold makes
// that phase the lab's choice and not the compiler's. Image only.
#pragma once
#include <cstdint>

#include "firmware/measure/timestamp.h"

/// The beginning of an asm statement: goes on at the tick in RCX plus a constant few where the
/// clock counts instructions and each of these is one tick; with another clock it takes about as
/// many instructions as ticks are left. A tick that has passed (0, for example) does not wait.
/// Destroys RAX, RCX, RDX and the flags.
#define DOORBELL_HOLD                                                                             \
    "rdtsc\n\t"                                                                                   \
    "shlq $32, %%rdx\n\t"                                                                         \
    "orq %%rdx, %%rax\n\t"                                                                        \
    "subq %%rax, %%rcx\n\t"                                                                       \
    "jle 98f\n\t" /* Two ticks a turn, at least one turn, and one more where what is left is odd. \
                   */                                                                             \
    "addq $2, %%rcx\n\t"                                                                          \
    "testb $1, %%cl\n\t"                                                                          \
    "jz 96f\n\t"                                                                                  \
    "nop\n"                                                                                       \
    "96:\tshrq $1, %%rcx\n"                                                                       \
    "97:\tdecq %%rcx\n\t"                                                                         \
    "jnz 97b\n"                                                                                   \
    "98:\t"

namespace doorbell::measure {

/// The next multiple of `period` ticks. What runs before it is reached must take less than a
/// period.
/// At least `least` ticks ahead, which finding it takes.
inline uint64_t next_multiple(uint64_t period) {
    constexpr uint64_t least = 64;
    return ((end() + least) / period + 1) * period;
}

/// Goes on at `tick`, as above.
inline void hold_until(uint64_t tick) {
    asm volatile(DOORBELL_HOLD : "+c"(tick) : : "rax", "rdx", "memory", "cc");
}

/// The same, and then a 32-bit store: a device that counts from a store counts from that tick.
inline void store_at(uint64_t tick, uint64_t address, uint32_t value) {
    asm volatile(DOORBELL_HOLD "movl %2, (%1)"
                 : "+c"(tick)
                 : "r"(address), "r"(value)
                 : "rax", "rdx", "memory", "cc");
}

}  // namespace doorbell::measure
