// Misses that get in each other's way: those of one set of L1D, whose few ways they all wait for.
#pragma once
#include <array>
#include <cstdint>
#include <vector>

namespace doorbell::model {

/// Which sets took the last misses of L1D. Knows nothing of what they hold.
class SetCrowd {
  public:
    explicit SetCrowd(uint64_t sets) : mask_(sets - 1), taken_(sets, 0) { last_.fill(0); }

    /// A line misses: whether its set took many of the last misses, as where lines lie a way's size
    /// apart, or half or a quarter of it.
    bool miss(uint64_t line) {
        auto set = static_cast<uint32_t>(line & mask_);
        if (seen_ >= remembered) --taken_[last_[seen_ % remembered]];
        last_[seen_++ % remembered] = set;
        return ++taken_[set] >= many && taken_.size() > few_sets;
    }

  private:
    static constexpr unsigned remembered = 32, many = 7, few_sets = 16;
    uint64_t mask_;
    std::vector<uint8_t> taken_;  ///< of the remembered misses, by their set
    std::array<uint32_t, remembered> last_;
    uint64_t seen_ = 0;
};

}  // namespace doorbell::model
