// An address space: the image's own mapping, which ring 3 cannot touch, plus one window of memory
// that is the tasks' own, plus whatever is shared between spaces. Ring-3 code lies in the image
// (section .user_text) and is mapped in every space, readable and executable by ring 3.
#pragma once
#include <cstdint>

#include "firmware/cpu/paging.h"
#include "firmware/cpu/result.h"
#include "firmware/kernel/user_memory.h"
#include "firmware/platform/machine.h"

namespace doorbell::kernel {

/// Where every window begins: a top-level entry of its own, above all physical memory that is
/// mapped at its own address.
inline constexpr uint64_t window_start = 0x6000'0000'0000, shared_start = 0x6080'0000'0000;

struct Space {
    cpu::PageTables tables;
    UserMemory memory;
    uint64_t root = 0;              ///< value for CR3, with PCID where the kernel uses it
    uint64_t next = 0, end = 0;     ///< of the window, as ring 3 knows it
    uint64_t kernel_less_user = 0;  ///< add to an address in the window to get the kernel's
    uint64_t next_shared = shared_start;

    /// A new space with a window of `bytes` (rounded up to pages), zeroed, contiguous in physical
    /// memory.
    static Result<Space*> make(platform::Machine& machine, uint64_t bytes, uint64_t pcid_bits);

    /// `bytes` of the window for ring 3, or 0 when it is used up.
    uint64_t take(uint64_t bytes, uint64_t alignment = 64);
    /// A stack, its lower end on an unmapped page: address of its upper end, or 0.
    uint64_t take_stack(uint64_t bytes);
    /// Shows `bytes` of the kernel's memory (page-aligned, identity-mapped) to ring 3: its address
    /// there.
    Result<uint64_t> share(uint64_t kernel_address, uint64_t bytes, bool writable);

    /// The kernel's pointer to something in the window.
    template <class T>
    T* kernel(uint64_t user) const {
        return reinterpret_cast<T*>(user + kernel_less_user);
    }
};

}  // namespace doorbell::kernel
