// The primitives that need ring 0, and the handlers and gates that they work with. Image only.
//
// A new one is one body in ring0_primitives.cpp and one line of its table.
#pragma once
#include <cstdint>
#include <span>

#include "labs/kit/primitives.h"

extern "C" {
/// What the bodies that wait for the local APIC's timer get. Offsets are known to the assembly.
struct TimerPlace {
    uint64_t page;   ///< the local APIC's, in xAPIC mode
    uint64_t count;  ///< what is loaded into the timer
    uint64_t hint;   ///< EAX of MWAIT
};

// Handlers in assembly: the first is an IRETQ alone, the second a SYSRET.
void price_return();
void price_sysret();
// Of `ipi_vector`: each notes that it ran and ends the interrupt, by the page at RDI or by MSR. The
// last one keeps all registers.
void price_handler();
void price_handler_x2();
void price_keeping_handler_x2();
}

namespace doorbell::labs {

inline constexpr uint8_t int_vector = 0x64, ipi_vector = 0x65;

/// What a primitive of ring 0 works on, and what the machine must have for it.
enum class Needs : uint8_t {
    nothing,
    page,         ///< a page of memory
    xapic,        ///< the local APIC's registers in memory; in x2APIC mode the primitive `x2`
    x2apic,       ///< the local APIC's registers as MSRs
    hpet,         ///< its registers
    intel_card,   ///< an Intel network card's registers
    extended,     ///< XSAVE, and an area for what it writes
    pcid,         ///< process-context identifiers, switched on
    timer_entry,  ///< the local APIC's timer: a TimerPlace
    timer,        ///< likewise, and a clock that goes on while the processor waits
    mwait,        ///< likewise, and MWAIT with the case's hint
    other_cores,  ///< another processor that runs
};

/// A primitive of ring 0.
struct RingZero {
    Primitive primitive;
    Needs needs;
    /// The same in x2APIC mode; null bodies: there is none.
    Primitive x2{};
};

std::span<const RingZero> ring0_primitives();

// Bodies in ring 3, which end by the call `exit` through INT 0x80.
extern const Primitive int_ring3, syscall_ring3;

/// Whether CPUID enumerates the C-state of MWAIT's hint (SDM vol. 2A, CPUID leaf 5, EDX: four bits
/// a C-state, C0 first, how many sub-states it has; vol. 2B, MWAIT: EAX[7:4] is the C-state less
/// one, EAX[3:0] the sub-state).
constexpr bool has_mwait_hint(uint32_t leaf5_edx, uint32_t hint) {
    uint32_t state = ((hint >> 4) + 1) & 0xF, sub_state = hint & 0xF;
    return state < 8 && (leaf5_edx >> (4 * state) & 0xF) > sub_state;
}

}  // namespace doorbell::labs
