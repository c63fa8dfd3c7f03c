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

template <class T>
const T* at(uint64_t address) {
    return reinterpret_cast<const T*>(address);
}

void copy_command_line(BootInfo& into, const char* text, size_t limit) {
    size_t n = 0;
    while (n < limit && text[n] != 0) {
        if (n == BootInfo::max_command_line) {
            into.command_line_cut = true;
            break;
        }
        into.command_line[n] = text[n];
        ++n;
    }
    into.command_line_length = n;
}

void add_region(BootInfo& into, uint64_t base, uint64_t length, uint32_t type) {
    if (length == 0 || base + length < base) return;
    if (into.region_count == BootInfo::max_regions) {
        into.regions_cut = true;
        return;
    }
    into.regions[into.region_count++] = {base, length, type};
}

void read_pvh(const PvhStartInfo& info, BootInfo& into) {
    into.protocol = "pvh";
    if (info.command_line != 0)
        copy_command_line(into, at<char>(info.command_line), BootInfo::max_command_line + 1);
    into.rsdp_address = info.rsdp;
    if (info.version < 1) return;
    auto* entry = at<PvhMemoryEntry>(info.memory_map);
    for (uint32_t i = 0; i < info.memory_map_entries; ++i)
        add_region(into, entry[i].base, entry[i].length, entry[i].type);
}

void read_multiboot2(uint64_t information, uint32_t total, BootInfo& into) {
    into.protocol = "multiboot2";
    uint64_t offset = 8;
    while (offset + sizeof(Tag) <= total) {
        uint64_t place = information + offset;
        auto* tag = at<Tag>(place);
        if (tag->type == tag_end || tag->size < sizeof(Tag) || tag->size > total - offset) return;
        uint32_t body = tag->size - static_cast<uint32_t>(sizeof(Tag));
        switch (tag->type) {
            case tag_command_line:
                copy_command_line(into, at<char>(place + sizeof(Tag)), body);
                break;
            case tag_memory_map: {
                auto* map = at<MemoryMapTag>(place);
                if (tag->size < sizeof *map || map->entry_size < sizeof(MemoryMapEntry)) break;
                for (uint64_t o = sizeof *map; o + map->entry_size <= tag->size;
                     o += map->entry_size) {
                    auto* entry = at<MemoryMapEntry>(place + o);
                    add_region(into, entry->base, entry->length, entry->type);
                }
                break;
            }
            case tag_acpi_old:
            case tag_acpi_new:  // a newer RSDP, where both are there, comes second and wins
                if (body > sizeof into.rsdp_copy) body = sizeof into.rsdp_copy;
                if (body < into.rsdp_copy_length) break;
                for (uint32_t i = 0; i < body; ++i)
                    into.rsdp_copy[i] = at<uint8_t>(place + sizeof(Tag))[i];
                into.rsdp_copy_length = body;
                break;
        }
        offset += (tag->size + 7) & ~7u;
    }
}

}  // namespace

bool read_boot_info(uint64_t information, BootInfo& into) {
    if (*at<uint32_t>(information) == pvh_magic) {
        read_pvh(*at<PvhStartInfo>(information), into);
        return true;
    }
    // Multiboot2 information: total size, reserved (0), tags. A loader that hands over nothing
    // sensible is told by a size that no loader would use.
    uint32_t total = at<uint32_t>(information)[0];
    if (at<uint32_t>(information)[1] != 0 || total < 16 || total > (1u << 20)) return false;
    read_multiboot2(information, total, into);
    return true;
}

}  // namespace doorbell::boot
