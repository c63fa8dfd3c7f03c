// Repeats a run from its manifest.
#pragma once
#include <string>
#include <vector>

#include "harness/results/stored_run.h"
#include "harness/run/qemu_run.h"

namespace doorbell::harness {

/// What a manifest asks for: machine and selection, read through the same checks as a user's words.
/// The image and QEMU are those that the manifest names. Throws UsageError where it was not made by
/// `doorbell run`, or asks for something that this version does not have.
QemuRun request_from(const Json& manifest);

/// What differs from the first run, in sentences: the image's hash, QEMU's version, the image's
/// command line.
std::vector<std::string> differences_before(const Json& manifest, const QemuRun& request);

/// Of the counted series, how many are identical; those that are not, in sentences; and those that
/// the second run's machine lacks, by its own record.
struct Identity {
    size_t all = 0, same = 0;
    std::vector<std::string> differences, lacking;
};
Identity identity_of(const StoredRun& before, const StoredRun& after);

}  // namespace doorbell::harness
