// Branch predictors of the model.
#pragma once
#include <array>
#include <cstdint>
#include <vector>

namespace doorbell::model {

/// Two-bit counters chosen by the branch's address and the last outcomes (gshare: McFarling,
/// "Combining Branch Predictors", 1993). A new counter says "not taken".
class Gshare {
  public:
    explicit Gshare(uint64_t counters) : counters_(counters, 1), mask_(counters - 1) {}
    /// Learns the outcome of the branch at `address`; whether it had been predicted.
    bool predict(uint64_t address, bool taken) {
        uint8_t& c = counters_[(address ^ history_) & mask_];
        bool right = (c >= 2) == taken;
        uint8_t before = c;
        if (taken && c < 3) ++c;
        if (!taken && c > 0) --c;
        changes_ += c != before;
        history_ = (history_ << 1 | taken) & mask_;
        return right;
    }
    void clear() {
        counters_.assign(counters_.size(), 1);
        history_ = 0;
        ++changes_;
    }
    /// How often something was learned; the history of outcomes aside.
    uint64_t changes() const { return changes_; }

  private:
    std::vector<uint8_t> counters_;
    uint64_t mask_, history_ = 0, changes_ = 0;
};

/// Tables of tagged counters that look at histories of growing lengths; the longest that knows a
/// branch decides (TAGE: Seznec and Michaud, "A case for (partially) TAgged GEometric history
/// length branch prediction", 2006). Current cores predict in this way. The same outcomes always
/// give the same predictions: where the original draws lots, the shortest history is taken.
class Tage {
  public:
    static constexpr unsigned longest_history = 560;  ///< outcomes

    Tage() { clear(); }
    bool predict(uint64_t address, bool taken) {
        // A wait turns on one or two branches: once all outcomes that are remembered are the same
        // and a branch has changed nothing, it changes nothing at the next turn either.
        if (run_ >= history_room && taken == last_ && settled_[place_of(address)] == address)
            return true;
        return predict_slowly(address, taken);
    }
    void clear();
    /// How often something was learned; the history of outcomes aside.
    uint64_t changes() const { return changes_; }

  private:
    static constexpr unsigned tables = 8, entries_log2 = 11, base_entries = 1 << 13;
    static constexpr std::array<unsigned, tables> lengths{4,  9,   18,  36,
                                                          70, 140, 280, longest_history};
    static constexpr unsigned tag_bits = 12, history_room = 1024;
    struct Entry {
        uint16_t tag = 0;
        uint8_t counter = 4;  ///< three bits: taken from 4 on
        uint8_t useful = 0;
    };
    /// A history of `length` outcomes, folded into `width` bits as it grows. Both are known when
    /// this is compiled: at every branch there are three for each table.
    template <unsigned length, unsigned width>
    static void fold(uint32_t& value, uint32_t newest, uint32_t oldest) {
        value = value << 1 | newest;
        value ^= oldest << length % width;
        value ^= value >> width;
        value &= (1u << width) - 1;
    }
    template <unsigned table>
    void remember_in(bool taken);
    bool predict_slowly(uint64_t address, bool taken);
    void remember(bool taken);
    void allocate(unsigned from, bool taken);
    /// Whether anything was learned.
    bool learn(uint64_t address, bool taken, int provider, bool other);

    std::vector<uint8_t> base_;
    std::array<std::vector<Entry>, tables> tables_;
    std::array<uint32_t, tables> index_{}, tag_{}, tag_again_{};
    std::array<bool, history_room> history_;
    unsigned newest_ = 0;
    uint64_t changes_ = 0;
    unsigned run_ = 0;  ///< outcomes in a row that were equal to `last_`
    bool last_ = false;
    /// Branches that have changed nothing since the last change of anything.
    static constexpr uint64_t nowhere = ~0ull;
    static unsigned place_of(uint64_t address) { return (address >> 2 ^ address >> 5) % 8; }
    std::array<uint64_t, 8> settled_{};
    std::array<uint32_t, tables> at_{};  ///< of the branch that is looked up
    std::array<uint16_t, tables> tags_{};
};

}  // namespace doorbell::model
