// A Linux lab: one question, one file, one table, like the image's labs (labs/lab.h), whose case it
// shares.
#pragma once
#include <cstdint>
#include <span>
#include <string_view>

#include "labs/kit/lab.h"

namespace doorbell::host {

using labs::Case;

class LinuxBench;  // bench.h

struct Lab {
    const char* name;
    const char* question;
    const char* needs;  ///< rights beyond a plain user's, as text
    std::span<const Case> cases;
    /// Measures one case; throws Skip where this machine lacks something, Wrong where something is
    /// wrong.
    void (*body)(LinuxBench& bench, const Case& test_case);
    /// Divides the user's number of samples for this case, because one of its samples is long.
    uint64_t (*fewer)(const Case& test_case) = nullptr;
    /// Whether its counters include the threads and processes that it makes.
    bool count_threads = false;
    /// Whether `doorbell host` without a lab's name runs it.
    bool by_default = true;
};

/// All labs, in the order in which they run.
std::span<const Lab* const> catalogue();

}  // namespace doorbell::host
