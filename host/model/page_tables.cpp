#include "host/model/page_tables.h"

namespace doorbell::model {

unsigned PageTables::walk(uint64_t table, uint64_t address) const {
    constexpr uint64_t present = 1, large = 0x80, address_mask = 0x000FFFFFFFFFF000;
    for (unsigned shift = 39;; shift -= 9) {
        table &= address_mask;
        // The tables of an address space that is gone hold anything.
        if (table == 0 || table >= ram_end_) return 0;
        uint64_t entry = guest_.word(table + 8 * (address >> shift & 511));
        if ((entry & present) == 0) return 0;
        if (shift == Tlb::small_page || (shift < 39 && (entry & large) != 0)) return shift;
        table = entry;
    }
}

unsigned PageTables::read(uint64_t address) const {
    unsigned shift = walk(root_, address);
    if (shift == 0 && newest_root_ != 0 && newest_root_ < ram_end_)
        shift = walk(guest_.word(newest_root_), address);
    return shift != 0 ? shift : Tlb::small_page;
}

}  // namespace doorbell::model
