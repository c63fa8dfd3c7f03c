// What the boot loader tells, in one form for both protocols. Everything is copied out of the
// loader's memory, which may be reused afterwards.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "firmware/boot/memory_map.h"
#include "firmware/cpu/pixel_memory.h"

namespace doorbell::boot {

struct BootInfo {
    static constexpr size_t max_command_line = 2048;

    const char* protocol = "";  ///< "pvh" or "multiboot2"
    char command_line[max_command_line] = {};
    size_t command_line_length = 0;
    bool command_line_cut = false;  ///< it was longer than max_command_line
    uint64_t rsdp_address = 0;      ///< physical address of the RSDP; 0: not told
    uint8_t rsdp_copy[36] = {};     ///< multiboot2 hands over a copy instead
    size_t rsdp_copy_length = 0;    ///< 0: no copy
    MemoryMap memory;
    bool map_cut = false;  ///< the loader claims more entries than a map can have
    cpu::PixelMemory
        frame_buffer;  ///< multiboot2's, in direct colour; unknown: the loader has none

    std::string_view words() const { return {command_line, command_line_length}; }
};

/// Physical memory as the reader may see it: the bytes at `address`, or null where any of them lies
/// outside of what may be read.
struct BootMemory {
    const uint8_t* (*read)(void* context, uint64_t address, uint64_t length);
    void* context;
    const uint8_t* operator()(uint64_t address, uint64_t length) const {
        return read(context, address, length);
    }
};

/// Reads the loader's information at `information`. Knows PVH by its magic number there, since EAX
/// is not reliable under it. Whatever the memory holds, it ends and reads nothing but what `memory`
/// gives. Returns false where it is neither protocol's.
bool read_boot_info(const BootMemory& memory, uint64_t information, BootInfo& into);
/// The same in identity-mapped memory below 4 GiB.
bool read_boot_info(uint64_t information, BootInfo& into);

}  // namespace doorbell::boot
