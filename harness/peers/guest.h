// A Linux guest in the same machine as the image: Debian's kernel, busybox, one static program of
// ours, and the same cable that the image's labs use.
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "harness/peers/packages.h"
#include "harness/run/outside.h"
#include "harness/run/session.h"

namespace doorbell::harness {

struct Guest {
    std::string name;                  ///< of the run's folder, and in its manifest
    std::filesystem::path program;     ///< static; writes records on its standard output
    std::vector<std::string> words;    ///< its arguments; none may hold a blank
    std::vector<std::string> modules;  ///< of the kernel, each with its parameters behind it;
                                       ///< without their own dependencies
    std::string kernel_words;          ///< more of them
    std::string before;                ///< lines of the shell, before the program starts
    std::string clock = "exact", nic = "e1000e", net = "wire";  ///< as in `doorbell run`
    std::optional<OutsidePlan> outside = {};  ///< what is sent while lab echo runs
};

/// What every guest consists of.
struct GuestSystem {
    std::filesystem::path kernel, modules, busybox;
    std::string package;  ///< the kernel's
};

/// Takes it from Debian's packages, and fetches those that are missing. Throws MachineError.
GuestSystem guest_system(Packages& packages);

/// Boots it, collects, saves into `out`. Throws MachineError where nothing was started.
Finished run_guest(const Guest& guest, const GuestSystem& system, const std::filesystem::path& qemu,
                   const std::filesystem::path& out, unsigned timeout_s, bool progress);

}  // namespace doorbell::harness
