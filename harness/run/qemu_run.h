// A run in QEMU, from checks to a saved run. `doorbell run` and everything that runs again use it.
#pragma once
#include <filesystem>
#include <optional>
#include <string>

#include "harness/machine/machine.h"
#include "harness/run/selection.h"
#include "harness/run/session.h"
#include "harness/system/failure.h"

namespace doorbell::harness {

struct QemuRun {
    MachineOptions machine;  ///< image_words is filled in from `selection`
    Selection selection;
    std::optional<std::filesystem::path> out;
    unsigned timeout_s = 0;  ///< without a record; 0: default_timeout()
    bool progress = true;
    std::string extra_words;  ///< appended to the image's command line as they are
};

/// How long a run may stay without a record: cases with many samples are silent for long.
unsigned default_timeout(const Selection& selection);

/// No program has QEMU's name: a package may be missing.
struct NoQemu : MachineError {
    using MachineError::MachineError;
};

/// A program's absolute path: as PATH finds it, where the name has no slash; the name itself where
/// nothing is found.
std::filesystem::path absolute_program(const std::filesystem::path& program);

/// "7.2.22" of the QEMU at `path`. Throws NoQemu where there is none, MachineError where it cannot
/// be run, is not QEMU, or is older than 7.2 (the first with what the exact clock needs and was
/// tested).
std::string check_qemu(const std::filesystem::path& path);

/// Why that QEMU does not load the cache model of that geometry; "" where it does.
std::string why_no_model(const MachineOptions& machine);

/// Checks, starts, collects, saves. Throws UsageError and MachineError where nothing was started;
/// after the start, what went wrong is in the result.
Finished run_in_qemu(QemuRun request);

}  // namespace doorbell::harness
