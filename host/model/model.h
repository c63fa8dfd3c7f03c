// The modelled processor's memory hierarchy and what it counts; knows nothing of QEMU.
#pragma once
#include <cstdint>
#include <optional>

#include "firmware/wire/mailbox.h"
#include "host/model/cache.h"
#include "host/model/geometry.h"
#include "host/model/predictor.h"

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
        if (line == last_data_ && !two && virtual_address >> page_shift == last_page_)
            return Level::l1;
        return data_slowly(virtual_address, bytes, line, two);
    }
    /// The outcome of a conditional branch: whether it was predicted.
    bool branch(uint64_t address, bool taken) {
        bool predicted = gshare_ ? gshare_->predict(address, taken) : tage_.predict(address, taken);
        (*tally_)[wire::ModelCount::branch_misses] += !predicted;
        return predicted;
    }
    /// Every translation is forgotten (a write to CR3).
    void forget_pages() {
        dtlb_.clear();
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
    Level data_slowly(uint64_t virtual_address, unsigned bytes, uint64_t line, bool two);
    /// A miss of level 1 goes on.
    Level below(uint64_t line);

    static constexpr unsigned page_shift = 12;
    ModelCounts* tally_ = nullptr;
    unsigned line_shift_;
    bool device_to_llc_;
    uint64_t last_fetch_ = ~0ull, last_data_ = ~0ull, last_page_ = ~0ull;
    LruSets l1i_, l1d_, l2_, llc_, dtlb_;
    std::optional<Gshare> gshare_;
    Tage tage_;
};

}  // namespace doorbell::model
