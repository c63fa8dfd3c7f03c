#include "firmware/measure/mean.h"

namespace doorbell::measure {
namespace {

/// The nearest whole number to the square root; saturates.
uint64_t root_of(unsigned __int128 square) {
    if (square >> 126 != 0) return ~0ull;
    unsigned __int128 low = 0, high = static_cast<unsigned __int128>(1) << 63;
    while (low < high) {
        unsigned __int128 middle = (low + high + 1) / 2;
        if (middle * middle <= square)
            low = middle;
        else
            high = middle - 1;
    }
    auto root = static_cast<uint64_t>(low);
    return square - low * low > low ? root + 1 : root;
}

}  // namespace

void MeanSum::add(uint64_t value, uint64_t count) {
    uint64_t distance = value < median_ ? median_ - value : value - median_;
    if (distance > near_in_steps * step_) {
        apart_ += count;
        return;
    }
    samples_ += count;
    auto signed_distance = static_cast<int64_t>(distance) * (value < median_ ? -1 : 1);
    sum_ += signed_distance * static_cast<int64_t>(count);
    squares_ += static_cast<unsigned __int128>(distance) * distance * count;
}

Mean MeanSum::mean() const {
    Mean mean;
    mean.samples = samples_;
    mean.apart = apart_;
    if (samples_ == 0) return mean;
    auto n = static_cast<int64_t>(samples_);
    int64_t thousandfold = sum_ * 1000;
    int64_t away = (thousandfold + (thousandfold < 0 ? -n : n) / 2) / n;
    mean.milli = static_cast<int64_t>(median_) * 1000 + away;
    unsigned __int128 all = samples_;
    auto size = static_cast<unsigned __int128>(sum_ < 0 ? -sum_ : sum_);
    unsigned __int128 spread = squares_ * all - size * size;  // n^2 times the variance
    if (spread == 0 || samples_ == 1)
        mean.error_milli = step_ * 1000;
    else
        mean.error_milli = root_of(spread * 1000000 / (all * all * (all - 1)));
    return mean;
}

Mean mean_of(const Histogram& samples, uint64_t step) {
    MeanSum sum(samples.percentile(50000), step);
    for (size_t bin = samples.first_bin(); bin < samples.end_bin(); ++bin)
        if (samples.at(bin) != 0) sum.add(Histogram::lowest_of(bin), samples.at(bin));
    return sum.mean();
}

Mean operator-(const Mean& body, const Mean& empty) {
    Mean difference = body;
    difference.milli -= empty.milli;
    difference.error_milli =
        root_of(static_cast<unsigned __int128>(body.error_milli) * body.error_milli +
                static_cast<unsigned __int128>(empty.error_milli) * empty.error_milli);
    return difference;
}

}  // namespace doorbell::measure
