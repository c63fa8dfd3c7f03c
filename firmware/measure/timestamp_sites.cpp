#include "firmware/measure/timestamp_sites.h"

#include "firmware/measure/timestamp_bytes.h"

namespace doorbell::measure {
namespace {

constexpr unsigned timestamp_length = sizeof timestamp_bytes;
/// From a begin() to its own last LFENCE, which a RDTSC of the measured code may follow.
constexpr unsigned begin_last_lfence = timestamp_length + sizeof begin_tail_bytes + begin_mov_bytes;
constexpr unsigned begin_length = timestamp_length + begin_tail_length;

template <unsigned n>
bool same(const char* at, const uint8_t (&bytes)[n]) {
    for (unsigned i = 0; i < n; ++i)
        if (static_cast<uint8_t>(at[i]) != bytes[i]) return false;
    return true;
}

}  // namespace

Result<void> TimestampSites::replace(char* from, char* until, const char* begins_target,
                                     const char* ends_target) {
    const char* not_a_timestamp = nullptr;
    for (char* at = from; at + timestamp_length <= until; ++at) {
        if (!same(at, timestamp_bytes) || at == not_a_timestamp) continue;
        if (count_ == most)
            return Error{"more timestamps in the image than a counting pass replaces", most};
        sites_[count_++] = at;
        bool begins = at + begin_length <= until && same(at + timestamp_length, begin_tail_bytes) &&
                      same(at + begin_last_lfence, lfence_bytes);
        if (begins) not_a_timestamp = at + begin_last_lfence;
        const char* target = begins ? begins_target : ends_target;
        auto distance = static_cast<uint32_t>(target - (at + timestamp_length));
        at[0] = static_cast<char>(0xE8);  // CALL rel32
        for (unsigned i = 0; i < 4; ++i) at[1 + i] = static_cast<char>(distance >> 8 * i);
    }
    return {};
}

void TimestampSites::restore() {
    for (unsigned s = 0; s < count_; ++s)
        for (unsigned i = 0; i < timestamp_length; ++i)
            sites_[s][i] = static_cast<char>(timestamp_bytes[i]);
    count_ = 0;
}

}  // namespace doorbell::measure
