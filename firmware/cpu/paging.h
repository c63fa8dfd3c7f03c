// Four-level page tables (SDM vol. 3A, "Paging", 4-level). The tables themselves live in
// identity-mapped memory, so that physical addresses can be dereferenced; in unit tests an arena
// stands in for that memory.
#pragma once
#include <cstdint>

#include "firmware/cpu/result.h"

namespace doorbell::cpu {

/// Permissions and kind of a mapping, as page-table bits. Absence of `writable` means read-only.
struct PageFlags {
    static constexpr uint64_t present = 1, writable = 2, user = 4, write_through = 8,
                              cache_disable = 16, large = 0x80, global = 0x100,
                              no_execute = 1ull << 63;
    static constexpr uint64_t uncached = write_through | cache_disable;
};

/// Gives one zeroed 4 KiB frame, or 0 when there is none left.
struct FrameSource {
    uint64_t (*take)(void* context);
    void* context;
    uint64_t operator()() const { return take(context); }
};

class PageTables {
  public:
    static constexpr uint64_t page = 4096, large_page = 2ull << 20, huge_page = 1ull << 30;
    static constexpr uint64_t address_mask = 0x000FFFFFFFFFF000;

    /// An empty address space. `huge`: whether the CPU has 1 GiB pages; `no_execute`: whether bit
    /// 63 may be set.
    static Result<PageTables> make(FrameSource frames, bool huge, bool no_execute);

    /// Maps [virtual_start, + bytes) to [physical_start, + bytes), both on page boundaries,
    /// replacing what was there. Uses the largest pages that fit and splits larger ones that are in
    /// the way.
    Result<void> map(uint64_t virtual_start, uint64_t physical_start, uint64_t bytes,
                     uint64_t flags);
    Result<void> map_identity(uint64_t start, uint64_t bytes, uint64_t flags) {
        return map(start, start, bytes, flags);
    }
    /// Takes pages out; a touch of them then faults.
    Result<void> unmap(uint64_t virtual_start, uint64_t bytes);
    /// The entry that maps `address` with all its bits (0 where nothing does).
    uint64_t entry_of(uint64_t address) const;
    /// Physical address of the top table, for CR3.
    uint64_t root() const { return root_; }
    /// Where the root() of the tables lies that were made last: for the cache model, which cannot
    /// see CR3.
    static const uint64_t* newest() { return &newest_; }
    /// Lets this address space share the top-level entry that covers `address` with `other`.
    void share(const PageTables& other, uint64_t address);

    PageTables() = default;

  private:
    PageTables(FrameSource frames, uint64_t root, bool huge, bool no_execute)
        : frames_(frames), root_(root), huge_(huge), no_execute_(no_execute) {}
    Result<uint64_t*> slot(uint64_t address, unsigned level);
    Result<void> set(uint64_t virtual_start, uint64_t physical_start, uint64_t bytes,
                     uint64_t flags);

    static inline uint64_t newest_ = 0;
    FrameSource frames_{};
    uint64_t root_ = 0;
    bool huge_ = false;
    bool no_execute_ = false;
};

}  // namespace doorbell::cpu
