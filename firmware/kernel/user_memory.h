// What a ring-3 task may name to the kernel. A task's memory is a few stretches, each contiguous in
// physical memory; the kernel reads and writes it under its own supervisor mapping. So a pointer
// that was checked cannot fault, and SMAP (SDM vol. 3A, "Supervisor-Mode Access Prevention") never
// has to be lifted.
#pragma once
#include <cstdint>

namespace doorbell::kernel {

enum class Access : uint8_t { read, write };

class UserMemory {
  public:
    static constexpr unsigned most = 6;

    struct Stretch {
        uint64_t user;  ///< address as the task knows it
        uint64_t bytes;
        uint64_t kernel;  ///< the same memory as the kernel knows it
        bool writable;

        bool holds(uint64_t address, uint64_t length) const {
            // By subtraction, so that no sum can wrap around the end of the address space.
            uint64_t offset = address - user;
            return offset < bytes && length <= bytes - offset;
        }
        uint64_t kernel_side(uint64_t address, Access access) const {
            return access == Access::write && !writable ? 0 : kernel + (address - user);
        }
    };

    /// False where there is no room for another.
    bool add(const Stretch& stretch) {
        if (count_ == most) return false;
        stretches_[count_++] = stretch;
        return true;
    }

    /// The kernel's address of [address, + bytes) of the task, or 0 where any byte of it is not the
    /// task's to access that way. An access of no bytes is checked like one of one byte.
    uint64_t at(uint64_t address, uint64_t bytes, Access access) const {
        uint64_t length = bytes == 0 ? 1 : bytes;
        // The first stretch is where a task's stacks and data are: nearly every pointer ends there.
        if (stretches_[0].holds(address, length)) [[likely]]
            return stretches_[0].kernel_side(address, access);
        return further(address, length, access);
    }

    /// The same, in the first stretch alone, to write: where stacks are.
    uint64_t on_stack(uint64_t address, uint64_t bytes) const {
        const Stretch& first = stretches_[0];
        return first.holds(address, bytes) && first.writable ? first.kernel + (address - first.user)
                                                             : 0;
    }

    /// Where gates.S finds the first stretch.
    static constexpr unsigned long first_at() { return __builtin_offsetof(UserMemory, stretches_); }

  private:
    [[gnu::noinline]] uint64_t further(uint64_t address, uint64_t length, Access access) const {
        for (unsigned i = 1; i < count_; ++i)
            if (stretches_[i].holds(address, length))
                return stretches_[i].kernel_side(address, access);
        return 0;
    }

    Stretch stretches_[most] = {};
    unsigned count_ = 0;
};

}  // namespace doorbell::kernel
