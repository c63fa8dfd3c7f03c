// The bytes that begin() and end() (timestamp.h) compile to, for those who look for timestamps in
// machine code: the PMU pass, which replaces them by calls, and the cache model, which sees them
// pass. tests/unit/pmu_pass_test.cpp holds them against the compiled functions.
#pragma once
#include <cstdint>

namespace doorbell::measure {

inline constexpr uint8_t lfence_bytes[] = {0x0F, 0xAE, 0xE8};
inline constexpr uint8_t timestamp_bytes[] = {0x0F, 0xAE, 0xE8, 0x0F, 0x31};  ///< lfence; rdtsc

/// What follows a timestamp in begin(): shl $32,%rdx; or %rdx,%rax. A mov of RAX (begin_mov_bytes
/// long) and an lfence come after that.
inline constexpr uint8_t begin_tail_bytes[] = {0x48, 0xC1, 0xE2, 0x20, 0x48, 0x09, 0xD0};
inline constexpr unsigned begin_mov_bytes = 3;
/// Where the instructions of that tail start, and how long it is with mov and lfence.
inline constexpr unsigned begin_tail_starts[] = {0, 4, sizeof begin_tail_bytes,
                                                 sizeof begin_tail_bytes + begin_mov_bytes};
inline constexpr unsigned begin_tail_length =
    sizeof begin_tail_bytes + begin_mov_bytes + sizeof lfence_bytes;

}  // namespace doorbell::measure
