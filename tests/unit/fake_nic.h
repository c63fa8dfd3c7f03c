// Shared by the drivers' tests: memory for rings, and frames.
#pragma once
#include <memory>
#include <set>
#include <vector>

#include "firmware/nic/nic.h"
#include "tests/unit/fake_pci.h"

namespace doorbell::test {

/// An arena of real memory.
class Memory {
  public:
    explicit Memory(size_t bytes = 8u << 20)
        : bytes_(new uint8_t[bytes]),
          arena_(reinterpret_cast<uint64_t>(bytes_.get()),
                 reinterpret_cast<uint64_t>(bytes_.get()) + bytes) {}
    platform::Arena& arena() { return arena_; }

  private:
    std::unique_ptr<uint8_t[]> bytes_;
    platform::Arena arena_;
};

/// Frames to send, each 60 bytes that begin with its number.
struct Outgoing {
    std::vector<std::vector<uint8_t>> memory;
    std::vector<nic::ToSend> frames;
    explicit Outgoing(unsigned count, uint8_t first = 0) {
        for (unsigned i = 0; i < count; ++i) {
            memory.emplace_back(nic::headroom + 60, static_cast<uint8_t>(first + i));
            frames.push_back({memory.back().data() + nic::headroom, 60});
        }
    }
};

}  // namespace doorbell::test
