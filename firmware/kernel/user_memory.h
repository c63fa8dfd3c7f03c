// What a ring-3 task may name to the kernel. A task's memory is a few stretches, each contiguous in physical
// memory; the kernel reads and writes it under its own supervisor mapping. So a pointer that was checked cannot
// fault, and SMAP (SDM vol. 3A, "Supervisor-Mode Access Prevention") never has to be lifted.
#pragma once
#include <cstdint>

namespace doorbell::kernel {

enum class Access : uint8_t { read, write };

class UserMemory {
  public:
    static constexpr unsigned most = 6;

    struct Stretch {
        uint64_t user;    ///< address as the task knows it
        uint64_t bytes;
        uint64_t kernel;  ///< the same memory as the kernel knows it
        bool writable;
    };

    /// False where there is no room for another.
    bool add(const Stretch& stretch) {
        if (count_ == most) return false;
        stretches_[count_++] = stretch;
        return true;
    }

    /// The kernel's address of [address, + bytes) of the task, or 0 where any byte of it is not the task's to
    /// access that way. An access of no bytes is checked like one of one byte.
    uint64_t at(uint64_t address, uint64_t bytes, Access access) const {
        uint64_t length = bytes == 0 ? 1 : bytes;
        for (unsigned i = 0; i < count_; ++i) {
            const Stretch& s = stretches_[i];
            // By subtraction, so that no sum can wrap around the end of the address space.
            uint64_t offset = address - s.user;
            if (offset >= s.bytes || length > s.bytes - offset) continue;
            if (access == Access::write && !s.writable) return 0;
            return s.kernel + offset;
        }
        return 0;
    }

  private:
    Stretch stretches_[most] = {};
    unsigned count_ = 0;
};

}  // namespace doorbell::kernel
