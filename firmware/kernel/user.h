// What ring-3 code is written with. Such code lies in a section of its own, mapped for ring 3;
// everything else of the image is out of its reach, read-only data and string literals included: a
// program gets what it needs as arguments, and calls only functions of the same section or inline
// ones.
#pragma once
#include <cstdint>

/// In front of a function that runs in ring 3.
#define DOORBELL_USER [[gnu::section(".user_text"), gnu::noinline, gnu::used]]

namespace doorbell::kernel {

/// System calls by number. 0 to 15 are fast calls: 0 does nothing, the rest are the lab's
/// (set_fast_call).
namespace call {
inline constexpr uint32_t null = 0, fast_lab = 1, fast_lab_last = 15;
inline constexpr uint32_t yield = 16;  ///< the next ready task runs
inline constexpr uint32_t exit = 17;   ///< (value)
inline constexpr uint32_t pause = 18;  ///< waits until a signal's handler has run: minus_eintr
inline constexpr uint32_t raise = 19;  ///< (task id, signal)
inline constexpr uint32_t signal_return = 20;  ///< made by what a handler returns to
inline constexpr uint32_t set_handler = 21;    ///< (signal, handler address, 0 default or 1 ignore)
inline constexpr uint32_t set_mask = 22;       ///< (mask): the mask before
inline constexpr uint32_t leave = 23;          ///< run() returns Left::asked
inline constexpr uint32_t lab = 24, lab_last = 31;
}  // namespace call

/// Results of calls that failed (Linux's numbers, negative).
inline constexpr uint64_t no_such_task = -3ull, interrupted = -4ull, bad_address = -14ull,
                          invalid = -22ull, broken_pipe = -32ull, no_such_call = -38ull;

namespace user {

/// SYSCALL with up to three arguments.
[[gnu::always_inline]] inline uint64_t call(uint32_t number, uint64_t a = 0, uint64_t b = 0,
                                            uint64_t c = 0) {
    uint64_t result;
    asm volatile("syscall"
                 : "=a"(result), "+D"(a), "+S"(b), "+d"(c)
                 : "a"(number)
                 : "rcx", "r8", "r9", "r10", "r11", "memory", "cc");
    return result;
}

}  // namespace user
}  // namespace doorbell::kernel
