// Control registers, flags and the single instructions around them (SDM vol. 3A, "System
// Architecture Overview"; vol. 2 for each instruction). Image only.
#pragma once
#include <cstdint>

namespace doorbell::cpu {

namespace cr0 {
inline constexpr uint64_t monitor_coprocessor = 1 << 1, emulation = 1 << 2, task_switched = 1 << 3,
                          write_protect = 1 << 16;
}
namespace cr4 {
inline constexpr uint64_t time_stamp_disable = 1 << 2, osfxsr = 1 << 9, osxmmexcpt = 1 << 10,
                          umip = 1 << 11, pcid = 1 << 17, osxsave = 1 << 18, smep = 1 << 20,
                          smap = 1 << 21;
}
namespace rflags {
inline constexpr uint64_t fixed = 1 << 1, trap = 1 << 8, interrupt = 1 << 9, direction = 1 << 10,
                          iopl3 = 3 << 12, nested = 1 << 14, virtual_8086 = 1 << 17,
                          alignment_check = 1 << 18;
}

template <unsigned number>
uint64_t read_control_register() {
    uint64_t v;
    asm volatile("mov %%cr%c1, %0" : "=r"(v) : "i"(number));
    return v;
}
inline uint64_t read_cr0() { return read_control_register<0>(); }
inline uint64_t read_cr2() { return read_control_register<2>(); }
inline uint64_t read_cr3() { return read_control_register<3>(); }
inline uint64_t read_cr4() { return read_control_register<4>(); }
inline void write_cr0(uint64_t v) { asm volatile("mov %0, %%cr0" : : "r"(v) : "memory"); }
inline void write_cr3(uint64_t v) { asm volatile("mov %0, %%cr3" : : "r"(v) : "memory"); }
inline void write_cr4(uint64_t v) { asm volatile("mov %0, %%cr4" : : "r"(v) : "memory"); }
inline void invalidate_page(uint64_t address) {
    asm volatile("invlpg (%0)" : : "r"(address) : "memory");
}

inline uint64_t read_rflags() {
    uint64_t v;
    asm volatile("pushfq\n\tpopq %0" : "=r"(v) : : "memory");
    return v;
}
inline void enable_interrupts() { asm volatile("sti" : : : "memory"); }
inline void disable_interrupts() { asm volatile("cli" : : : "memory"); }
/// Halts for good: interrupts off, so that only an NMI or a reset ends it.
[[noreturn]] inline void stop() {
    for (;;) asm volatile("cli\n\thlt" : : : "memory");
}

}  // namespace doorbell::cpu
