// Walks through memory whose misses are known, in assembly: the same bytes measure in the image and
// run as a Linux program under another cache simulator (tests/model). Each begins and ends with a
// timestamp of its own, as firmware/measure/timestamp.h writes them, so that nothing but the walk
// lies between.
#pragma once
#include <cstdint>

extern "C" {
/// The timestamps around a walk.
struct Walked {
    uint64_t ended, began;
};
using Walk = Walked(void* memory, uint64_t second, uint64_t third);
Walk walk_empty;   ///< nothing at all
Walk walk_stride;  ///< `third` loads, `second` bytes apart
Walk walk_chase;   ///< `third` loads, each from where the one before said
Walk walk_random;  ///< `third` loads, each from 8 bytes of the first `second` (a power of two) that
                   ///< a random sequence chose
Walk walk_transpose;  ///< copies a matrix of `third` times `third` 8-byte numbers to `second`, rows
                      ///< becoming columns
Walk walk_branches;   ///< `third` conditional branches that follow the bits of a random sequence
/// The same walk twice; the second's timestamps. Between the two nothing but a return address is
/// written, so that the second finds what the first left.
Walked walk_twice(void* memory, uint64_t second, uint64_t third, Walk* walk);
}

// What lies between the timestamps begins a line of its own, under a name of its own (NAME_body):
// the lines that it touches are none that its beginning has touched, and another simulator can be
// asked for it alone. The timestamp's 18 bytes and the 4 in front of it lie at the end of the line
// before. The return address is taken from the stack beforehand: after the walk no memory is
// touched, whose line the walk may have driven out.
#define DOORBELL_WALK(name, body)                                                                  \
    asm(".pushsection .text.walks, \"ax\"\n"                                                       \
        ".globl " name                                                                             \
        "\n"                                                                                       \
        ".type " name                                                                              \
        ", @function\n"                                                                            \
        ".skip (42 - (. - walks)) & 63, 0x90\n" name                                               \
        ":\n\t"                                                                                    \
        "popq %rcx\n\tmovq %rdx, %r9\n\t"                                                          \
        "lfence\n\trdtsc\n\tshlq $32, %rdx\n\torq %rdx, %rax\n\tmovq %rax, %r8\n\tlfence\n\t"      \
        ".size " name ", . - " name                                                                \
        "\n"                                                                                       \
        ".type " name "_body, @function\n" name "_body:\n\t" body ".size " name "_body, . - " name \
        "_body\n"                                                                                  \
        ".type " name "_end, @function\n" name                                                     \
        "_end:\n\t"                                                                                \
        "lfence\n\trdtsc\n\tshlq $32, %rdx\n\torq %rdx, %rax\n\tmovq %r8, %rdx\n\tjmp *%rcx\n\t"   \
        ".size " name "_end, . - " name                                                            \
        "_end\n"                                                                                   \
        ".popsection")

/// Written once in each program that uses them.
#define DOORBELL_WALKS                                                                             \
    asm(".pushsection .text.walks, \"ax\"\n.balign 64\nwalks:\n.popsection");                      \
    DOORBELL_WALK("walk_empty", "");                                                               \
    DOORBELL_WALK("walk_stride",                                                                   \
                  "1: movq (%rdi), %rax\n\taddq %rsi, %rdi\n\tdecq %r9\n\tjnz 1b\n\t");            \
    DOORBELL_WALK("walk_chase", "1: movq (%rdi), %rdi\n\tdecq %r9\n\tjnz 1b\n\t");                 \
    DOORBELL_WALK(                                                                                 \
        "walk_random",                                                                             \
        "movq $88172645463325252, %rdx\n\tsubq $8, %rsi\n"                                         \
        "1: movq %rdx, %rax\n\tshlq $13, %rax\n\txorq %rax, %rdx\n\tmovq %rdx, %rax\n\tshrq $7, "  \
        "%rax\n\t"                                                                                 \
        "xorq %rax, %rdx\n\tmovq %rdx, %rax\n\tshlq $17, %rax\n\txorq %rax, %rdx\n\t"              \
        "movq %rdx, %rax\n\tandq %rsi, %rax\n\tmovq (%rdi,%rax), %rax\n\tdecq %r9\n\tjnz 1b\n\t"); \
    DOORBELL_WALK("walk_transpose",                                                                \
                  "movq %r9, %r11\n"                                                               \
                  "1: movq %rsi, %rdx\n\tmovq %r9, %r10\n"                                         \
                  "2: movq (%rdi), %rax\n\tmovq %rax, (%rdx)\n\taddq $8, %rdi\n\tleaq "            \
                  "(%rdx,%r9,8), %rdx\n\t"                                                         \
                  "decq %r10\n\tjnz 2b\n\taddq $8, %rsi\n\tdecq %r11\n\tjnz 1b\n\t");              \
    DOORBELL_WALK("walk_branches",                                                                 \
                  "movq $88172645463325252, %rdi\n"                                                \
                  "1: movq %rdi, %rax\n\tshlq $13, %rax\n\txorq %rax, %rdi\n\tmovq %rdi, "         \
                  "%rax\n\tshrq $7, %rax\n\t"                                                      \
                  "xorq %rax, %rdi\n\tmovq %rdi, %rax\n\tshlq $17, %rax\n\txorq %rax, %rdi\n\t"    \
                  "testq $1, %rdi\n\tjz 2f\n\tnop\n2: decq %r9\n\tjnz 1b\n\t");                    \
    asm(".pushsection .text.walks, \"ax\"\n"                                                       \
        ".globl walk_twice\n"                                                                      \
        ".type walk_twice, @function\n"                                                            \
        "walk_twice:\n\t"                                                                          \
        "pushq %rbx\n\tpushq %r12\n\tpushq %r13\n\tpushq %r14\n\t"                                 \
        "movq %rdi, %rbx\n\tmovq %rsi, %r12\n\tmovq %rdx, %r13\n\tmovq %rcx, %r14\n\t"             \
        "call *%rcx\n\t"                                                                           \
        "movq %rbx, %rdi\n\tmovq %r12, %rsi\n\tmovq %r13, %rdx\n\tcall *%r14\n\t"                  \
        "popq %r14\n\tpopq %r13\n\tpopq %r12\n\tpopq %rbx\n\tret\n"                                \
        ".size walk_twice, . - walk_twice\n"                                                       \
        ".popsection")

namespace doorbell::labs {

/// Links the `bytes` at `memory` into one ring that visits each 64-byte line once, in an order in
/// which no two neighbours follow each other: line i leads to line i + 17, of a number of lines
/// that 17 does not divide.
inline void link_ring(void* memory, uint64_t bytes) {
    constexpr uint64_t line = 64, step = 17;
    auto* base = static_cast<char*>(memory);
    uint64_t lines = bytes / line;
    for (uint64_t i = 0; i < lines; ++i)
        *reinterpret_cast<void**>(base + i * line) = base + (i + step) % lines * line;
}

}  // namespace doorbell::labs
