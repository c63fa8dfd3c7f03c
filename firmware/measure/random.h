// Random numbers that are the same on every machine for the same seed (splitmix64: Steele, Lea,
// Flood, "Fast Splittable Pseudorandom Number Generators", 2014).
#pragma once
#include <cstdint>

namespace doorbell::measure {

class Random {
  public:
    constexpr explicit Random(uint64_t seed) : state_(seed) {}
    constexpr uint64_t next() {
        uint64_t z = state_ += 0x9E3779B97F4A7C15;
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
        z = (z ^ z >> 27) * 0x94D049BB133111EB;
        return z ^ z >> 31;
    }
    /// A number in [0, limit), limit below 2^32; the bias is below limit / 2^32.
    constexpr uint64_t below(uint64_t limit) { return (next() >> 32) * limit >> 32; }

  private:
    uint64_t state_;
};

}  // namespace doorbell::measure
