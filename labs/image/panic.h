// The end of a boot that went wrong: everything known is said, as text and as a record.
#pragma once
#include <string_view>

#include "firmware/cpu/descriptors.h"

namespace doorbell::labs {

/// Where the image is, for the panic to say. Set before each step.
struct Whereabouts {
    const char* phase = "boot";
    std::string_view lab, test_case;
};
Whereabouts& whereabouts();

/// The common handler of everything that nobody asked for. Spurious interrupts of PIC and APIC
/// return; the rest ends in panic().
void unexpected(cpu::Frame& frame);

/// Says what happened and leaves the way the command line asked for, with wire::Exit::failed.
[[noreturn]] void panic(const cpu::Frame& frame);

/// Leaves the image: QEMU's exit port, power off, reset or halt. Defined by main.cpp, which knows
/// the way.
[[noreturn]] void leave(unsigned char exit_code);

}  // namespace doorbell::labs
