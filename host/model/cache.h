// The model's parts: set-associative memories with exact LRU.
#pragma once
#include <cstdint>
#include <vector>

namespace doorbell::model {

/// A set-associative memory of tags (lines or pages) with exact least-recently-used replacement:
/// each set holds its tags in the order of their last use. Any number of sets.
class LruSets {
  public:
    LruSets() = default;
    LruSets(uint64_t sets, unsigned ways)
        : sets_(sets),
          mask_((sets & (sets - 1)) == 0 ? sets - 1 : 0),
          ways_(ways),
          tags_(sets * ways, none) {}

    bool present() const { return ways_ != 0; }
    /// Looks `tag` up. True on a hit; on a miss it replaces the set's least recently used tag.
    bool use(uint64_t tag) {
        uint64_t* set = set_of(tag);
        if (set[0] == tag) return true;
        uint64_t moved = set[0];
        for (unsigned i = 1; i < ways_; ++i) {
            uint64_t here = set[i];
            set[i] = moved;
            if (here == tag) {
                set[0] = tag;
                return true;
            }
            moved = here;
        }
        set[0] = tag;
        return false;
    }
    /// Takes `tag` out; the others keep their order.
    void drop(uint64_t tag) {
        uint64_t* set = set_of(tag);
        unsigned kept = 0;
        for (unsigned i = 0; i < ways_; ++i)
            if (set[i] != tag) set[kept++] = set[i];
        while (kept < ways_) set[kept++] = none;
    }
    void clear() { tags_.assign(tags_.size(), none); }

  private:
    static constexpr uint64_t none = ~0ull;
    uint64_t* set_of(uint64_t tag) {
        return &tags_[(mask_ != 0 ? tag & mask_ : tag % sets_) * ways_];
    }
    uint64_t sets_ = 1, mask_ = 0;
    unsigned ways_ = 0;
    std::vector<uint64_t> tags_;
};

}  // namespace doorbell::model
