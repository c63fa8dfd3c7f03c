// The modelled processor's memory hierarchy and what it counts; knows nothing of QEMU.
#pragma once
#include <cstdint>
#include <optional>

#include "firmware/wire/mailbox.h"
#include "host/model/cache.h"
#include "host/model/geometry.h"
#include "host/model/predictor.h"
#include "host/model/tlb.h"

namespace doorbell::model {

/// What QEMU adds to while it runs, and the model in its callbacks. Plain numbers: the address of
/// each is handed to QEMU.
struct ModelCounts {
    uint64_t counts[wire::model_counts] = {};
    uint64_t silent = 0;  ///< instructions of timestamps and markers
    uint64_t path() const { return counts[static_cast<unsigned>(wire::ModelCount::path_steps)]; }
    uint64_t& operator[](wire::ModelCount c) { return counts[static_cast<unsigned>(c)]; }
    /// Every instruction so far: what a clock that counts instructions shows.
    uint64_t ticks() const { return counts[0] + silent; }
};

/// What served an access.
enum class Level : uint8_t { l1, l2, llc, memory };

class Hierarchy {
  public:
    explicit Hierarchy(const Geometry& geometry);

    /// Who knows how large pages are; without it, all have 4 KiB. Outlives this.
    void page_sizes(PageSizes* sizes) { sizes_ = sizes; }
    /// The tally that is added to; QEMU decides where it lies.
    void count_into(ModelCounts* tally) { tally_ = tally; }

    /// Instructions of one line are executed; `two`: an instruction that reaches into the next
    /// line.
    Level fetch(uint64_t line, bool two) {
        if (line == last_fetch_ && !two) return Level::l1;
        return fetch_slowly(line, two);
    }
    /// Data at physical address `address` is used, `bytes` of it. A use of two lines misses at most
    /// once; one of two pages may miss both, each of which takes a walk.
    Level data(uint64_t virtual_address, uint64_t address, unsigned bytes) {
        uint64_t line = address >> line_shift_;
        bool two = (address + bytes - 1) >> line_shift_ != line;
        if (line == last_data_ && !two && virtual_address >> Tlb::small_page == last_page_)
            return Level::l1;
        return data_slowly(virtual_address, bytes, line, two);
    }
    /// Whether a use of memory that begins there may reach into the next line.
    bool near_end_of_line(uint64_t address) const {
        constexpr uint64_t most = 16;  // bytes of an access in QEMU
        uint64_t line = uint64_t{1} << line_shift_;
        return (address & (line - 1)) + most > line;
    }
    /// Grows with each count of a level below L1, and of the TLB.
    uint64_t counted() const { return counted_; }
    /// The outcome of a conditional branch: whether it was predicted.
    bool branch(uint64_t address, bool taken) {
        bool predicted = gshare_ ? gshare_->predict(address, taken) : tage_.predict(address, taken);
        (*tally_)[wire::ModelCount::branch_misses] += !predicted;
        return predicted;
    }
    /// How often the predictor learned something.
    uint64_t predictor_changes() const { return gshare_ ? gshare_->changes() : tage_.changes(); }
    /// Every translation is forgotten (a write to CR3).
    void forget_pages() {
        tlb_.clear();
        last_page_ = ~0ull;
    }
    /// Everything is forgotten.
    void forget();
    /// A device wrote there.
    void device(uint64_t address, uint64_t bytes);

    unsigned line_shift() const { return line_shift_; }
    /// Bits of the ModelCounts that this geometry cannot have.
    uint64_t absent() const;

  private:
    Level fetch_slowly(uint64_t line, bool two);
    void translate(uint64_t address);
    Level data_slowly(uint64_t virtual_address, unsigned bytes, uint64_t line, bool two);
    /// A miss of level 1 goes on.
    Level below(uint64_t line);

    ModelCounts* tally_ = nullptr;
    PageSizes* sizes_ = nullptr;
    unsigned line_shift_;
    bool device_to_llc_;
    uint64_t counted_ = 0;
    uint64_t last_fetch_ = ~0ull, last_data_ = ~0ull, last_page_ = ~0ull;
    LruSets l1i_, l1d_, l2_, llc_;
    Tlb tlb_;
    std::optional<Gshare> gshare_;
    Tage tage_;
};

}  // namespace doorbell::model
