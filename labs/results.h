// What is remembered of each series after its samples have left: enough to judge claims.
#pragma once
#include <cstdint>
#include <span>
#include <string_view>

namespace doorbell::labs {

/// One finished series. Values in `unit`.
struct Summary {
    const char* lab = "";
    std::string_view which;  ///< the case's text
    const char* metric = "";
    const char* unit = "";
    const char* evidence = "";
    bool unstable = false;
    uint64_t count = 0, min = 0, p50 = 0, p99 = 0, max = 0, sum = 0;
};

/// The series of this boot so far.
class Results {
  public:
    Results() = default;
    /// `memory` is where they are kept; what does not fit any more is not remembered.
    explicit Results(std::span<Summary> memory) : all_(memory) {}
    /// The series of that lab, case and metric, or null (skipped, not selected, or not run yet). The case's
    /// text must be complete, as in the lab's table.
    const Summary* find(std::string_view lab, std::string_view which, std::string_view metric) const;
    void add(const Summary& s) {
        if (count_ < all_.size()) all_[count_++] = s;
    }

  private:
    std::span<Summary> all_;
    unsigned count_ = 0;
};

}  // namespace doorbell::labs
