#include "firmware/boot/boot_info.h"

namespace doorbell::boot {
namespace {

constexpr uint32_t pvh_magic = 0x336EC578;

/// Xen, include/public/arch-x86/hvm/start_info.h.
struct PvhStartInfo {
    uint32_t magic, version, flags, module_count;
    uint64_t modules, command_line, rsdp;
    uint64_t memory_map;  // from version 1 on
    uint32_t memory_map_entries, reserved;
};
struct PvhMemoryEntry {
    uint64_t base, length;
    uint32_t type, reserved;
};

/// Multiboot2 specification 2.0, section 3.6.
struct Tag {
    uint32_t type, size;
};
enum TagType : uint32_t {
    tag_end = 0,
    tag_command_line = 1,
    tag_memory_map = 6,
    tag_frame_buffer = 8,
    tag_acpi_old = 14,
    tag_acpi_new = 15
};
struct MemoryMapTag {
    Tag tag;
    uint32_t entry_size, entry_version;
};
struct MemoryMapEntry {
    uint64_t base, length;
    uint32_t type, reserved;
};
/// Section 3.6.12, as far as a screen in direct colour has it.
struct [[gnu::packed]] FrameBufferTag {
    static constexpr uint8_t direct_colour = 1;
    Tag tag;
    uint64_t address;
    uint32_t pitch, width, height;
    uint8_t pixel_bits, kind;
    uint16_t reserved;
    struct {
        uint8_t position, bits;
    } red, green, blue;
};

/// More than any firmware hands over; a larger number is not a number of entries.
constexpr uint32_t most_entries = 65536;

/// Copies a T out of the loader's memory, at any alignment. False: not all of it is readable.
template <class T>
bool load(const BootMemory& memory, uint64_t address, T& into) {
    const uint8_t* bytes = memory(address, sizeof(T));
    if (bytes == nullptr) return false;
    __builtin_memcpy(&into, bytes, sizeof(T));
    return true;
}

void copy_command_line(const BootMemory& memory, BootInfo& into, uint64_t text, uint64_t limit) {
    size_t n = 0;
    for (; n < limit; ++n) {
        const uint8_t* c = memory(text + n, 1);
        if (c == nullptr || *c == 0) break;
        if (n == BootInfo::max_command_line) {
            into.command_line_cut = true;
            break;
        }
        into.command_line[n] = static_cast<char>(*c);
    }
    into.command_line_length = n;
}

void read_pvh(const BootMemory& memory, uint64_t information, BootInfo& into) {
    PvhStartInfo info{};
    into.protocol = "pvh";
    if (!load(memory, information, info)) return;
    if (info.command_line != 0)
        copy_command_line(memory, into, info.command_line, BootInfo::max_command_line + 1);
    into.rsdp_address = info.rsdp;
    if (info.version < 1) return;
    into.map_cut = info.memory_map_entries > most_entries;
    for (uint32_t i = 0; i < info.memory_map_entries && i < most_entries; ++i) {
        PvhMemoryEntry entry;
        if (!load(memory, info.memory_map + i * sizeof entry, entry)) break;
        into.memory.add(entry.base, entry.length, entry.type);
    }
}

void read_memory_map(const BootMemory& memory, uint64_t place, uint32_t size, BootInfo& into) {
    MemoryMapTag map;
    if (size < sizeof map || !load(memory, place, map) || map.entry_size < sizeof(MemoryMapEntry))
        return;
    for (uint64_t o = sizeof map; o + map.entry_size <= size; o += map.entry_size) {
        MemoryMapEntry entry;
        if (!load(memory, place + o, entry)) return;
        into.memory.add(entry.base, entry.length, entry.type);
    }
}

void read_rsdp(const BootMemory& memory, uint64_t place, uint32_t bytes, BootInfo& into) {
    if (bytes > sizeof into.rsdp_copy) bytes = sizeof into.rsdp_copy;
    const uint8_t* copy = memory(place, bytes);
    if (bytes < into.rsdp_copy_length || copy == nullptr) return;
    for (uint32_t i = 0; i < bytes; ++i) into.rsdp_copy[i] = copy[i];
    into.rsdp_copy_length = bytes;
}

/// A screen of characters, or of colours by number, is left to the display adapter's text mode.
void read_frame_buffer(const BootMemory& memory, uint64_t place, uint32_t size, BootInfo& into) {
    FrameBufferTag tag;
    if (size < sizeof tag || !load(memory, place, tag) || tag.kind != FrameBufferTag::direct_colour)
        return;
    into.frame_buffer = {tag.address,
                         tag.pitch,
                         tag.width,
                         tag.height,
                         tag.pixel_bits,
                         {tag.red.position, tag.red.bits},
                         {tag.green.position, tag.green.bits},
                         {tag.blue.position, tag.blue.bits}};
}

void read_multiboot2(const BootMemory& memory, uint64_t information, uint32_t total,
                     BootInfo& into) {
    into.protocol = "multiboot2";
    for (uint64_t offset = 8; offset + sizeof(Tag) <= total;) {
        uint64_t place = information + offset;
        Tag tag;
        if (!load(memory, place, tag) || tag.type == tag_end || tag.size < sizeof(Tag) ||
            tag.size > total - offset)
            return;
        uint32_t body = tag.size - static_cast<uint32_t>(sizeof(Tag));
        switch (tag.type) {
            case tag_command_line:
                copy_command_line(memory, into, place + sizeof(Tag), body);
                break;
            case tag_memory_map:
                read_memory_map(memory, place, tag.size, into);
                break;
            case tag_frame_buffer:
                read_frame_buffer(memory, place, tag.size, into);
                break;
            case tag_acpi_old:
            case tag_acpi_new:  // where both are present, the newer RSDP comes second and wins
                read_rsdp(memory, place + sizeof(Tag), body, into);
                break;
        }
        offset += (uint64_t{tag.size} + 7) & ~7ull;
    }
}

const uint8_t* below_4_gib(void*, uint64_t address, uint64_t length) {
    constexpr uint64_t end = 1ull << 32;
    return address >= end || length > end - address ? nullptr
                                                    : reinterpret_cast<const uint8_t*>(address);
}

}  // namespace

bool read_boot_info(const BootMemory& memory, uint64_t information, BootInfo& into) {
    uint32_t head[2];
    if (!load(memory, information, head)) return false;
    if (head[0] == pvh_magic) {
        read_pvh(memory, information, into);
        into.memory.settle();
        return true;
    }
    // Multiboot2 information: total size, reserved (0), tags. A size that no loader would use shows
    // that the information is not valid.
    if (head[1] != 0 || head[0] < 16 || head[0] > (1u << 20)) return false;
    read_multiboot2(memory, information, head[0], into);
    into.memory.settle();
    return true;
}

bool read_boot_info(uint64_t information, BootInfo& into) {
    return read_boot_info(BootMemory{below_4_gib, nullptr}, information, into);
}

}  // namespace doorbell::boot
