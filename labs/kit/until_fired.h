// Waits for an interrupt's handler, as a program that has nothing else to do waits: from the tick
// `begin` on until the handler has counted in `event.fired`; each gives the next timestamp. Image
// only.
#pragma once
#include <cstdint>

#include "firmware/measure/hold.h"

namespace doorbell::labs {

/// From the tick `begin` on, `instructions`, which end when `event.fired` is set; then the
/// timestamp. They may destroy RAX, RCX and RDX.
#define DOORBELL_UNTIL_FIRED(instructions)                     \
    uint32_t low, high;                                        \
    asm volatile(DOORBELL_HOLD instructions "lfence\n\trdtsc"  \
                 : "=&a"(low), "=&d"(high), "+c"(begin)        \
                 : [fired] "m"(event.fired), [line] "m"(event) \
                 : "memory", "cc");                            \
    return uint64_t{high} << 32 | low

/// Looks at `fired` in a loop.
template <class Event>
[[gnu::always_inline]] inline uint64_t spin_until_fired(const Event& event, uint64_t begin) {
    DOORBELL_UNTIL_FIRED(
        "1:\tmovl %[fired], %%eax\n\t"
        "testl %%eax, %%eax\n\t"
        "je 1b\n\t");
}

/// Sleeps in HLT. STI lets an interrupt through only after the next instruction, so that none can
/// come between the look at `fired` and HLT. The RDTSC in front serves QEMU's instruction clock:
/// HLT there resumes from the clock's last reading, and a stale one would make the wake-up late.
template <class Event>
[[gnu::always_inline]] inline uint64_t halt_until_fired(const Event& event, uint64_t begin) {
    DOORBELL_UNTIL_FIRED(
        "1:\tcli\n\t"
        "movl %[fired], %%eax\n\t"
        "testl %%eax, %%eax\n\t"
        "jne 2f\n\t"
        "rdtsc\n\t"
        "sti\n\t"
        "hlt\n\t"
        "jmp 1b\n"
        "2:\tsti\n\t");
}

/// Sleeps in MWAIT on the event's cache line. The NOP behind MWAIT lets an interrupt in where MWAIT
/// returns at once (as QEMU's does beside a second processor).
template <class Event>
[[gnu::always_inline]] inline uint64_t mwait_until_fired(const Event& event, uint64_t begin) {
    DOORBELL_UNTIL_FIRED(
        "1:\tcli\n\t"
        "leaq %[line], %%rax\n\t"
        "xorl %%ecx, %%ecx\n\t"
        "xorl %%edx, %%edx\n\t"
        "monitor\n\t"
        "movl %[fired], %%eax\n\t"
        "testl %%eax, %%eax\n\t"
        "jne 2f\n\t"
        "rdtsc\n\t"
        "xorl %%eax, %%eax\n\t"
        "sti\n\t"
        "mwait\n\t"
        "nop\n\t"
        "jmp 1b\n"
        "2:\tsti\n\t");
}

#undef DOORBELL_UNTIL_FIRED

}  // namespace doorbell::labs
