// The model's data TLB: two levels, for pages of several sizes.
#pragma once
#include <cstdint>

#include "host/model/cache.h"
#include "host/model/geometry.h"

namespace doorbell::model {

/// Says how a page of the guest is mapped.
class PageSizes {
  public:
    /// The page that holds virtual `address` has 2^shift bytes: 12, 21 or 30.
    virtual unsigned shift_of(uint64_t address) = 0;

  protected:
    ~PageSizes() = default;
};

/// The first level has places for 4 KiB pages and others for larger ones, or shares its places; the
/// second holds all sizes. Pages of 1 GiB stand where those of 2 MiB do.
class Tlb {
  public:
    explicit Tlb(const Geometry& g)
        : small_(sets_of(g.dtlb)), large_(sets_of(g.dtlb_large)), second_(sets_of(g.stlb)) {}

    /// What knew the page. `nowhere`: the page tables are walked.
    enum class Found : uint8_t { first, second, nowhere };

    /// Looks up the page of `address`, which has 2^shift bytes.
    Found use(uint64_t address, unsigned shift) {
        // The size in the upper bits: the lower ones choose the set.
        uint64_t tag = address >> shift | uint64_t{shift} << 58;
        LruSets& first = shift != small_page && large_.present() ? large_ : small_;
        if (first.use(tag)) return Found::first;
        return second_.present() && second_.use(tag) ? Found::second : Found::nowhere;
    }
    void clear() {
        for (LruSets* level : {&small_, &large_, &second_}) level->clear();
    }

    static constexpr unsigned small_page = 12;

  private:
    static LruSets sets_of(const TlbShape& shape) {
        return shape.entries == 0 ? LruSets() : LruSets(shape.entries / shape.ways, shape.ways);
    }
    LruSets small_, large_, second_;
};

}  // namespace doorbell::model
