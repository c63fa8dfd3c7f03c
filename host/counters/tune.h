// Settings of this host that make figures steadier while labs run: frequency at its highest and
// without turbo, and no watchdog on the PMU. Settings restores them.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "host/counters/settings.h"

namespace doorbell::host {

/// Changes the settings that this host has, for `cpus`, below `root` ("/" except in tests). Returns
/// sentences: what was changed, and what could not be.
struct Tuned {
    std::vector<std::string> changed, refused;
};
Tuned tune(Settings& settings, const std::vector<int>& cpus,
           const std::filesystem::path& root = "/");

}  // namespace doorbell::host
