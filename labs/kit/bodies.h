// Bodies: small programs whose cost is predicted from their counts and measured. Each is compiled
// once, and the same object code is linked into the image and the Linux program. They are judged by
// lab `caches` (labs/caches.cpp, host/labs/caches.cpp).
//
// A new body is one line of bodies.list and two functions in a file of labs/kit/bodies. It uses
// integers only, calls no library, and keeps all that it changes in its memory.
#pragma once
#include <cstdint>
#include <span>
#include <string_view>

namespace doorbell::labs {

/// Whether each run finds the data that the run before left, or new data.
enum class BodyInput : uint8_t { kept, fresh };

struct Body {
    std::string_view name;  ///< the value of the case's key `body`
    uint64_t bytes;         ///< of memory, which begins at a line's boundary
    BodyInput input;
    /// Makes the data; everything follows from `seed`. Not measured.
    void (*prepare)(void* memory, uint64_t seed);
    /// What is measured. The result follows from the data alone, and not from where the memory is.
    uint64_t (*run)(void* memory);

    /// Of a run's result, in 32 bits.
    static constexpr uint32_t checksum(uint64_t result) {
        return static_cast<uint32_t>(result ^ result >> 32);
    }
};

/// Where the memory of a body begins: at a multiple of this, a large page.
inline constexpr uint64_t body_alignment = 2 << 20;

/// All bodies, in the order in which they run.
std::span<const Body> all_bodies();

/// The body of that name, or null.
const Body* find_body(std::string_view name);

/// A body's samples are long: how many are taken where `samples` were asked for.
constexpr uint64_t body_samples(uint64_t samples) {
    return samples <= 20 ? samples : samples / 50 > 20 ? samples / 50 : 20;
}

}  // namespace doorbell::labs
