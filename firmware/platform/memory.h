// Physical memory after boot: an arena that hands it out, and who may read what.
#pragma once
#include <cstdint>
#include <new>
#include <span>
#include <utility>

#include "firmware/cpu/paging.h"

namespace doorbell::platform {

/// Memory handed out from one stretch, upwards, never freed singly: a caller marks a place and
/// later goes back to it. Identity-mapped, so addresses are pointers.
class Arena {
  public:
    Arena() = default;
    Arena(uint64_t start, uint64_t end) : next_(start), end_(end) {}

    /// `bytes` at a multiple of `alignment` (a power of two), not cleared; 0 when there is too
    /// little left.
    uint64_t take(uint64_t bytes, uint64_t alignment = 16) {
        uint64_t at = (next_ + alignment - 1) & ~(alignment - 1);
        if (at < next_ || at > end_ || bytes > end_ - at) return 0;
        next_ = at + bytes;
        return at;
    }
    /// One zeroed 4 KiB frame, or 0.
    uint64_t frame() {
        uint64_t at = take(4096, 4096);
        for (uint64_t i = 0; at != 0 && i < 512; ++i)
            reinterpret_cast<volatile uint64_t*>(at)[i] = 0;
        return at;
    }
    /// An object made in the arena; null when there is no room. It is never destroyed.
    template <class T, class... Arguments>
    T* make(Arguments&&... arguments) {
        uint64_t at = take(sizeof(T), alignof(T) > 64 ? alignof(T) : 64);
        return at == 0 ? nullptr
                       : new (reinterpret_cast<void*>(at)) T{std::forward<Arguments>(arguments)...};
    }
    /// `count` values of a plain type, zeroed; empty when there is no room.
    template <class T>
    std::span<T> array(uint64_t count) {
        if (count > end_ / sizeof(T)) return {};
        uint64_t at = take(count * sizeof(T), 64);
        if (at == 0) return {};
        T* first = reinterpret_cast<T*>(at);
        for (uint64_t i = 0; i < count; ++i) new (first + i) T{};
        return {first, count};
    }

    uint64_t mark() const { return next_; }
    void back_to(uint64_t mark) { next_ = mark; }
    uint64_t left() const { return end_ - next_; }
    cpu::FrameSource frames() {
        return {[](void* self) { return static_cast<Arena*>(self)->frame(); }, this};
    }

  private:
    uint64_t next_ = 0, end_ = 0;
};

}  // namespace doorbell::platform
