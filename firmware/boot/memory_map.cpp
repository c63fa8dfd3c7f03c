#include "firmware/boot/memory_map.h"

namespace doorbell::boot {
namespace {

/// Whether `a` is given up before `b`.
bool matters_less(const MemoryRegion& a, const MemoryRegion& b) {
    auto rank = [](const MemoryRegion& r) { return r.acpi() ? 2 : r.usable() ? 1 : 0; };
    return rank(a) != rank(b) ? rank(a) < rank(b) : a.length < b.length;
}

}  // namespace

void MemoryMap::erase(size_t i) {
    for (--size_; i < size_; ++i) regions_[i] = regions_[i + 1];
}

void MemoryMap::drop_one() {
    size_t least = 0;
    for (size_t i = 1; i < size_; ++i)
        if (matters_less(regions_[i], regions_[least])) least = i;
    erase(least);
    ++dropped_;
}

/// Keeps the order by base. Full: one is given up first, which may be the new one.
void MemoryMap::insert(const MemoryRegion& region) {
    if (size_ == most) {
        bool less_than_all = true;
        for (const MemoryRegion& r : *this) less_than_all &= !matters_less(r, region);
        if (less_than_all) {
            ++dropped_;
            return;
        }
        drop_one();
    }
    size_t i = size_++;
    for (; i > 0 && regions_[i - 1].base > region.base; --i) regions_[i] = regions_[i - 1];
    regions_[i] = region;
}

void MemoryMap::add(uint64_t base, uint64_t length, uint32_t type) {
    if (length == 0 || base + length < base) return;
    // What touches or overlaps it and has its type becomes part of it.
    MemoryRegion joined{base, length, type};
    for (size_t i = 0; i < size_;) {
        const MemoryRegion r = regions_[i];
        if (r.type != type || r.end() < joined.base || r.base > joined.end()) {
            ++i;
            continue;
        }
        uint64_t start = r.base < joined.base ? r.base : joined.base,
                 end = r.end() > joined.end() ? r.end() : joined.end();
        joined = {start, end - start, type};
        erase(i);
    }
    insert(joined);
}

void MemoryMap::settle() {
    // Each pass takes one overlap away; a region in the middle splits the usable one around it.
    for (size_t u = 0; u < size_;) {
        const MemoryRegion usable = regions_[u];
        const MemoryRegion* other = nullptr;
        if (usable.usable())
            for (const MemoryRegion& r : *this)
                if (!r.usable() && r.base < usable.end() && r.end() > usable.base) other = &r;
        if (other == nullptr) {
            ++u;
            continue;
        }
        const MemoryRegion claimed = *other;
        const size_t dropped_before = dropped_;
        erase(u);
        if (claimed.base > usable.base)
            insert({usable.base, claimed.base - usable.base, usable.type});
        if (claimed.end() < usable.end())
            insert({claimed.end(), usable.end() - claimed.end(), usable.type});
        // The pieces stand at this place or behind it, unless something in front was given up.
        if (dropped_ != dropped_before) u = 0;
    }
}

}  // namespace doorbell::boot
