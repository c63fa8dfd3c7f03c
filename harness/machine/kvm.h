// Whether KVM on this machine is backed by hardware.
#pragma once
#include <filesystem>
#include <string>

namespace doorbell::harness {

/// What was found. `usable` only where /dev/kvm can be opened and the CPU's own virtualization
/// stands behind it: a /dev/kvm without it (a paravirtual module) is slower than emulation and
/// fails on some instructions.
struct Kvm {
    bool usable = false;
    std::string because;  ///< why, or why not, in one sentence
};

/// Looks below `root`, which is "/" except in tests.
Kvm look_for_kvm(const std::filesystem::path& root = "/");

}  // namespace doorbell::harness
