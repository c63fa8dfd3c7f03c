// What the boot loader tells, in one form for both protocols. Everything is copied out of the
// loader's memory, which may be reused afterwards.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace doorbell::boot {

/// A stretch of physical memory. Types as in ACPI 6.5, table 15.2 (E820): 1 usable, 3 ACPI tables
/// that may be reclaimed, everything else reserved.
struct MemoryRegion {
    uint64_t base = 0;
    uint64_t length = 0;
    uint32_t type = 0;
    bool usable() const { return type == 1; }
    uint64_t end() const { return base + length; }
};

struct BootInfo {
    static constexpr size_t max_regions = 128;
    static constexpr size_t max_command_line = 2048;

    const char* protocol = "";  ///< "pvh" or "multiboot2"
    char command_line[max_command_line] = {};
    size_t command_line_length = 0;
    bool command_line_cut = false;  ///< it was longer than max_command_line
    uint64_t rsdp_address = 0;      ///< physical address of the RSDP; 0: not told
    uint8_t rsdp_copy[36] = {};     ///< multiboot2 hands over a copy instead
    size_t rsdp_copy_length = 0;    ///< 0: no copy
    MemoryRegion regions[max_regions];
    size_t region_count = 0;
    bool regions_cut = false;  ///< there were more than max_regions

    std::string_view words() const { return {command_line, command_line_length}; }
};

/// Reads the loader's information at `information` (identity-mapped, below 4 GiB). Knows PVH by its
/// magic number there, since EAX is not reliable under it. Returns false where it is neither
/// protocol's.
bool read_boot_info(uint64_t information, BootInfo& into);

}  // namespace doorbell::boot
