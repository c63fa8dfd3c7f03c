#include "host/model/model.h"

#include <algorithm>
#include <bit>

namespace doorbell::model {

using wire::ModelCount;

namespace {
LruSets sets_of(const CacheShape& shape) {
    return shape.bytes == 0 ? LruSets() : LruSets(shape.sets(), shape.ways);
}
constexpr uint64_t bit(ModelCount c) { return 1ull << static_cast<unsigned>(c); }
}  // namespace

Hierarchy::Hierarchy(const Geometry& g)
    : line_shift_(static_cast<unsigned>(std::countr_zero(g.l1d.line))),
      device_to_llc_(g.device_to_llc),
      l1i_(sets_of(g.l1i)),
      l1d_(sets_of(g.l1d)),
      l2_(sets_of(g.l2)),
      llc_(sets_of(g.llc)),
      tlb_(g),
      gshare_(g.predictor == Geometry::tage ? std::optional<Gshare>()
                                            : std::optional<Gshare>(g.predictor)) {}

uint64_t Hierarchy::absent() const {
    return (l2_.present() ? 0 : bit(ModelCount::l2_misses)) |
           (llc_.present() ? 0 : bit(ModelCount::llc_misses));
}

Level Hierarchy::below(uint64_t line) {
    if (l2_.present()) {
        if (l2_.use(line)) return Level::l2;
        ++(*tally_)[ModelCount::l2_misses];
        ++counted_;
    }
    if (!llc_.present()) return Level::memory;
    if (llc_.use(line)) return Level::llc;
    ++(*tally_)[ModelCount::llc_misses];
    ++counted_;
    return Level::memory;
}

Level Hierarchy::fetch_slowly(uint64_t line, bool two) {
    Level served = Level::l1;
    for (uint64_t l = line; l <= line + two; ++l) {
        if (l == last_fetch_) continue;
        last_fetch_ = l;
        if (l1i_.use(l)) continue;
        served = std::max(served, below(l));
    }
    (*tally_)[ModelCount::l1i_misses] += served != Level::l1;
    return served;
}

void Hierarchy::translate(uint64_t address) {
    unsigned shift = sizes_ != nullptr ? sizes_->shift_of(address) : Tlb::small_page;
    Tlb::Found found = tlb_.use(address, shift);
    if (found == Tlb::Found::first) return;
    bool large = shift != Tlb::small_page, walks = found == Tlb::Found::nowhere;
    ModelCounts& tally = *tally_;
    ++counted_;
    ++tally[ModelCount::dtlb_misses];
    tally[ModelCount::dtlb_large_misses] += large;
    tally[ModelCount::page_walks] += walks;
    tally[ModelCount::page_walks_large] += large && walks;
}

Level Hierarchy::data_slowly(uint64_t virtual_address, unsigned bytes, uint64_t line, bool two) {
    for (uint64_t page = virtual_address >> Tlb::small_page;
         page <= (virtual_address + bytes - 1) >> Tlb::small_page; ++page) {
        if (page == last_page_) continue;
        last_page_ = page;
        translate(page << Tlb::small_page);
    }
    Level served = Level::l1;
    for (uint64_t l = line; l <= line + two; ++l) {
        if (l == last_data_) continue;
        last_data_ = l;
        if (l1d_.use(l)) continue;
        served = std::max(served, below(l));
    }
    (*tally_)[ModelCount::l1d_misses] += served != Level::l1;
    return served;
}

void Hierarchy::forget() {
    for (LruSets* level : {&l1i_, &l1d_, &l2_, &llc_}) level->clear();
    tlb_.clear();
    if (gshare_) gshare_->clear();
    tage_.clear();
    last_fetch_ = last_data_ = last_page_ = ~0ull;
}

void Hierarchy::device(uint64_t address, uint64_t bytes) {
    if (bytes == 0) return;
    for (uint64_t line = address >> line_shift_; line <= (address + bytes - 1) >> line_shift_;
         ++line) {
        l1i_.drop(line);
        l1d_.drop(line);
        if (l2_.present()) l2_.drop(line);
        if (!llc_.present()) continue;
        if (device_to_llc_)
            llc_.use(line);
        else
            llc_.drop(line);
    }
    last_fetch_ = last_data_ = ~0ull;
}

}  // namespace doorbell::model
