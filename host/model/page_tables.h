// How large the pages of the guest are, as its own page tables say.
#pragma once
#include <array>
#include <cstdint>

#include "host/model/attribution.h"
#include "host/model/tlb.h"

namespace doorbell::model {

/// Reads four-level page tables (SDM vol. 3A, "Paging") in guest memory. The plugin cannot see CR3:
/// the image says where its own tables are, and where those are that were made last, in which its
/// address spaces have what the image's own lack.
class PageTables final : public PageSizes {
  public:
    explicit PageTables(const Guest& guest) : guest_(guest) {}

    /// `newest_root`: address of the word that holds the second.
    void are_at(uint64_t root, uint64_t newest_root, uint64_t ram_end) {
        root_ = root;
        newest_root_ = newest_root;
        ram_end_ = ram_end;
        forget();
    }
    unsigned shift_of(uint64_t address) override {
        Region& r = regions_[(address >> large_page) % regions_.size()];
        if (r.number != address >> large_page) r = {address >> large_page, read(address)};
        return r.shift;
    }
    /// Translations may have changed.
    void forget() { regions_ = {}; }

  private:
    static constexpr unsigned large_page = 21;
    /// Of 2 MiB: all its pages have one size.
    struct Region {
        uint64_t number = ~0ull;
        unsigned shift = Tlb::small_page;
    };
    unsigned read(uint64_t address) const;
    /// 0: not mapped there.
    unsigned walk(uint64_t table, uint64_t address) const;

    const Guest& guest_;
    uint64_t root_ = 0, newest_root_ = 0, ram_end_ = 0;
    std::array<Region, 64> regions_{};
};

}  // namespace doorbell::model
