// A primitive's two bodies, as assembly: NAME_once and NAME_twice, whose turns hold `count` and
// twice `count` of `unit`, and NAME, which is the two for a table. RDI is the place, RSI the number
// of turns; a body may destroy what a function may.
//
// The loop's label is 99, so that a unit may have labels of its own. Loop and function begin a line
// each: what differs between the two is the units alone.
#pragma once
#include "labs/kit/primitives.h"

#define DOORBELL_BOTH_BODIES(name) \
    constexpr doorbell::labs::PrimitiveBodies name { name##_once, name##_twice }
#define DOORBELL_ONE_BODY(symbol, section, prepare, units, turn, finish)                  \
    extern "C" doorbell::measure::PriceBody symbol;                                       \
    asm(".pushsection " section "\n.balign 64\n.globl " #symbol "\n.type " #symbol        \
        ", @function\n" #symbol ":\n\t" prepare "\n.balign 64\n99:\n\t" units "\n\t" turn \
        "\n\tdecq %rsi\n\tjnz 99b\n\t" finish "\n\tret\n.size " #symbol ", . - " #symbol  \
        "\n.popsection")

/// Units without a number of their own.
#define DOORBELL_BODIES_IN(section, name, count, prepare, unit, finish)                            \
    DOORBELL_ONE_BODY(name##_once, section, prepare, ".rept " #count "\n\t" unit "\n.endr", "",    \
                      finish);                                                                     \
    DOORBELL_ONE_BODY(name##_twice, section, prepare, ".rept 2*" #count "\n\t" unit "\n.endr", "", \
                      finish);                                                                     \
    DOORBELL_BOTH_BODIES(name)
#define DOORBELL_BODIES(name, count, prepare, unit, finish) \
    DOORBELL_BODIES_IN(".text.primitives, \"ax\"", name, count, prepare, unit, finish)

/// Units that are numbered (`place` is the unit's number), on a walk that RDX, moved on by `step`
/// bytes a unit, begins again at R10 where it has reached R9.
#define DOORBELL_WALKING_BODY(symbol, count, prepare, unit, step)                                  \
    DOORBELL_ONE_BODY(symbol, ".text.primitives, \"ax\"",                                          \
                      "movq (%rdi), %rdx\n\tmovq 8(%rdi), %r10\n\tmovq 16(%rdi), %r9\n\t" prepare, \
                      ".set place, 0\n.rept " count "\n\t" unit "\n.set place, place + 1\n.endr",  \
                      "addq $" step "*" count ", %rdx\n\tcmpq %r9, %rdx\n\tcmovaeq %r10, %rdx",    \
                      "movq %rdx, (%rdi)")
#define DOORBELL_WALKING_BODIES(name, count, prepare, unit, step)               \
    DOORBELL_WALKING_BODY(name##_once, #count, prepare, unit, step);            \
    DOORBELL_WALKING_BODY(name##_twice, "(2*" #count ")", prepare, unit, step); \
    DOORBELL_BOTH_BODIES(name)
