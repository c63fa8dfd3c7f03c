#include "firmware/cpu/paging.h"

namespace doorbell::cpu {
namespace {

// Level 0 is the page table (4 KiB pages), 3 the PML4.
constexpr unsigned shift_of(unsigned level) { return 12 + 9 * level; }
constexpr uint64_t index_of(uint64_t address, unsigned level) {
    return address >> shift_of(level) & 511;
}
uint64_t* table_at(uint64_t physical) { return reinterpret_cast<uint64_t*>(physical); }

}  // namespace

Result<PageTables> PageTables::make(FrameSource frames, bool huge, bool no_execute) {
    uint64_t root = frames();
    if (root == 0) return Lacking{"no memory for page tables"};
    newest_ = root;
    return PageTables(frames, root, huge, no_execute);
}

/// The entry for `address` at `level`, with the tables above it made or split as needed.
Result<uint64_t*> PageTables::slot(uint64_t address, unsigned level) {
    uint64_t* table = table_at(root_);
    for (unsigned at = 3; at > level; --at) {
        uint64_t& entry = table[index_of(address, at)];
        bool splits = (entry & PageFlags::present) && (entry & PageFlags::large);
        if (!(entry & PageFlags::present) || splits) {
            uint64_t fresh = frames_();
            if (fresh == 0) return Lacking{"no memory for page tables"};
            if (splits) {
                uint64_t size = 1ull << shift_of(at - 1);
                uint64_t base = entry & address_mask & ~(512 * size - 1);
                uint64_t flags = entry & ~address_mask;
                if (at - 1 == 0) flags &= ~PageFlags::large;
                for (uint64_t i = 0; i < 512; ++i) table_at(fresh)[i] = (base + i * size) | flags;
            }
            // Permissions are decided by the last level; the tables above allow everything.
            entry = fresh | PageFlags::present | PageFlags::writable | PageFlags::user;
        }
        table = table_at(entry & address_mask);
    }
    return &table[index_of(address, level)];
}

Result<void> PageTables::set(uint64_t virtual_start, uint64_t physical_start, uint64_t bytes,
                             uint64_t flags) {
    if (((virtual_start | physical_start | bytes) & (page - 1)) != 0)
        return Error{"mapping is not on a page boundary", virtual_start | physical_start | bytes};
    if (!no_execute_) flags &= ~PageFlags::no_execute;
    for (uint64_t done = 0; done < bytes;) {
        uint64_t v = virtual_start + done, p = physical_start + done, left = bytes - done;
        unsigned level = 0;
        if (((v | p) & (huge_page - 1)) == 0 && left >= huge_page && huge_)
            level = 2;
        else if (((v | p) & (large_page - 1)) == 0 && left >= large_page)
            level = 1;
        auto entry = slot(v, level);
        if (!entry) return entry.error();
        **entry = flags == 0 ? 0 : p | flags | (level > 0 ? PageFlags::large : 0);
        done += 1ull << shift_of(level);
    }
    return {};
}

Result<void> PageTables::map(uint64_t virtual_start, uint64_t physical_start, uint64_t bytes,
                             uint64_t flags) {
    return set(virtual_start, physical_start, bytes, flags | PageFlags::present);
}

Result<void> PageTables::unmap(uint64_t virtual_start, uint64_t bytes) {
    return set(virtual_start, virtual_start, bytes, 0);
}

uint64_t PageTables::entry_of(uint64_t address) const {
    const uint64_t* table = table_at(root_);
    for (unsigned level = 3;; --level) {
        uint64_t entry = table[index_of(address, level)];
        if (!(entry & PageFlags::present) || level == 0 || (entry & PageFlags::large)) return entry;
        table = table_at(entry & address_mask);
    }
}

void PageTables::share(const PageTables& other, uint64_t address) {
    table_at(root_)[index_of(address, 3)] = table_at(other.root_)[index_of(address, 3)];
}

}  // namespace doorbell::cpu
