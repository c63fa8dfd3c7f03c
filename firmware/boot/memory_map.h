// The loader's memory map in order: sorted by address, neighbours of one type joined, and where two
// types claim the same memory, the one that is not usable wins. What does not fit is dropped from
// the least important end and counted.
#pragma once
#include <cstddef>
#include <cstdint>

#include "firmware/cpu/memory_region.h"

namespace doorbell::boot {

using cpu::MemoryRegion;

class MemoryMap {
  public:
    static constexpr size_t most = 512;

    /// Takes a region in, in any order. An empty one, or one that wraps around the end of the
    /// address space, is ignored.
    void add(uint64_t base, uint64_t length, uint32_t type);
    /// To be called once, when all were added: usable memory that another type claims too is taken
    /// out of the usable regions.
    void settle();

    size_t size() const { return size_; }
    const MemoryRegion& operator[](size_t i) const { return regions_[i]; }
    const MemoryRegion* begin() const { return regions_; }
    const MemoryRegion* end() const { return regions_ + size_; }
    /// How many regions were dropped, after joining, because there were more than `most`: the
    /// smallest reserved ones first, then the smallest usable ones, ACPI's last.
    size_t dropped() const { return dropped_; }

  private:
    void insert(const MemoryRegion& region);
    void erase(size_t i);
    void drop_one();
    MemoryRegion regions_[most];
    size_t size_ = 0, dropped_ = 0;
};

}  // namespace doorbell::boot
