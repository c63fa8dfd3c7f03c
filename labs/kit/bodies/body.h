// What the bodies share: short names of the integers, and numbers that they draw while they run.
#pragma once
#include <cstdint>

#include "firmware/measure/random.h"
#include "labs/kit/bodies.h"

namespace doorbell::labs::bodies {

using u8 = uint8_t;
using u16 = uint16_t;
using u32 = uint32_t;
using u64 = uint64_t;
using measure::Random;

inline constexpr u64 kib = 1024, mib = 1024 * kib;

/// Random numbers that a body draws while it runs: cheap, and its state lies in the body's memory,
/// so that each run draws other ones (Marsaglia, "Xorshift RNGs", 2003).
struct Draw {
    u64 state;
    void seed(u64 number) { state = Random(number).next() | 1; }
    u64 next() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        return state;
    }
    /// A number in [0, limit), limit below 2^32.
    u64 below(u64 limit) { return (next() >> 32) * limit >> 32; }
};

/// A bijection of 64 bits: keys that lie anywhere, from numbers that count up (the finish of
/// MurmurHash3).
constexpr u64 mix(u64 x) {
    x = (x ^ x >> 33) * 0xFF51AFD7ED558CCD;
    x = (x ^ x >> 33) * 0xC4CEB9FE1A85EC53;
    return x ^ x >> 33;
}

inline void fill_random(void* memory, u64 bytes, u64 seed) {
    Random random(seed);
    auto* words = static_cast<u64*>(memory);
    for (u64 i = 0; i < bytes / 8; ++i) words[i] = random.next();
}

/// Depends on every element and its place.
template <class T>
u64 sum_of(const T* values, u64 count) {
    u64 sum = 0;
    for (u64 i = 0; i < count; ++i) sum = sum * 31 + values[i];
    return sum;
}

/// A body's memory, seen as what it holds.
template <class T>
T& as(void* memory) {
    return *static_cast<T*>(memory);
}

}  // namespace doorbell::labs::bodies
