// Lines that a device is about to write, watched until it has: what a poll looks at. The emulator
// shows no DMA, but the first look that finds other bytes than the looks before it misses.
#pragma once
#include <array>
#include <cstdint>
#include <cstring>

namespace doorbell::model {

class DeviceLines {
  public:
    /// The line at `address` (a multiple of the line's size), whose bytes are now at `now`. The
    /// oldest of eight gives way.
    void watch(uint64_t address, const void* now) {
        for (Line& line : lines_)
            if (line.address == address) return keep(line, now);
        Line& line = lines_[next_++ % lines_.size()];
        line.address = address;
        keep(line, now);
        low_ = ~0ull;
        uint64_t high = 0;
        for (const Line& l : lines_) {
            if (l.address == none) continue;
            low_ = l.address < low_ ? l.address : low_;
            high = l.address > high ? l.address : high;
        }
        span_ = high - low_ + bytes;
    }
    /// Whether `address` may lie in a watched line: asked at every use of memory.
    bool near(uint64_t address) const { return address - low_ < span_; }
    /// A load looks at the line at `address`, whose bytes are now at `now`: whether the device
    /// wrote it since the look before. It is not watched any more then.
    bool written(uint64_t address, const void* now) {
        for (Line& line : lines_) {
            if (line.address != address) continue;
            if (std::memcmp(line.content.data(), now, bytes) == 0) return false;
            line.address = none;
            return true;
        }
        return false;
    }
    /// The processor itself wrote the line at `address`.
    void stored(uint64_t address, const void* now) {
        for (Line& line : lines_)
            if (line.address == address) keep(line, now);
    }
    void forget() { *this = {}; }

    static constexpr uint64_t bytes = 64;

  private:
    static constexpr uint64_t none = ~0ull;
    struct Line {
        uint64_t address = none;
        std::array<uint8_t, bytes> content{};
    };
    static void keep(Line& line, const void* now) { std::memcpy(line.content.data(), now, bytes); }
    std::array<Line, 8> lines_;
    unsigned next_ = 0;
    uint64_t low_ = ~0ull, span_ = 0;
};

}  // namespace doorbell::model
