// A region of physical memory, as a boot loader describes it and the platform takes it.
#pragma once
#include <cstdint>

namespace doorbell::cpu {

/// A region of physical memory. Types as in ACPI 6.5, table 15.2 (E820): 1 usable, 3 ACPI tables
/// that may be reclaimed, 4 ACPI non-volatile storage, everything else reserved.
struct MemoryRegion {
    uint64_t base = 0;
    uint64_t length = 0;
    uint32_t type = 0;
    bool usable() const { return type == 1; }
    bool acpi() const { return type == 3 || type == 4; }
    bool memory() const { return usable() || acpi(); }
    uint64_t end() const { return base + length; }
};

}  // namespace doorbell::cpu
