#include "firmware/measure/histogram.h"

namespace doorbell::measure {

void Histogram::clear() {
    for (size_t bin = first_bin(), end = end_bin(); bin < end; ++bin) counts_[bin] = 0;
    sum_ = 0;
    min_ = ~0ull;
    max_ = 0;
}

uint64_t Histogram::count() const {
    uint64_t total = 0;
    for (size_t bin = first_bin(), end = end_bin(); bin < end; ++bin) total += counts_[bin];
    return total;
}

uint64_t Histogram::percentile(uint64_t per_100000) const {
    uint64_t total = count();
    if (total == 0) return 0;
    uint64_t rank = rank_of(total, per_100000), seen = 0;
    for (size_t bin = first_bin(), end = end_bin(); bin < end; ++bin) {
        seen += counts_[bin];
        if (seen >= rank) return value_of(bin, min_, max_);
    }
    return max_;
}

}  // namespace doorbell::measure
