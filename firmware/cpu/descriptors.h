// GDT, TSS and IDT of the one processor that measures (SDM vol. 3A, "Protected-Mode Memory
// Management", "Task Management", "Interrupt and Exception Handling"). Image only.
#pragma once
#include <cstdint>

namespace doorbell::cpu {

/// Segment selectors. The user segments stand in the order that SYSRET wants: base + 8 data, base +
/// 16 code.
namespace selector {
inline constexpr uint16_t kernel_code = 0x08, kernel_data = 0x10, sysret_base = 0x18,
                          user_data = 0x20 | 3, user_code = 0x28 | 3, tss = 0x30;
}

/// Interrupt stacks in the TSS, by the number that a gate carries.
enum class Ist : uint8_t { none = 0, double_fault = 1, nmi = 2, machine_check = 3 };

/// Vectors that are used here. Exceptions have 0 to 31; the PICs are remapped, masked, to 32 to 47.
namespace vector {
inline constexpr uint8_t nmi = 2, breakpoint = 3, invalid_opcode = 6, double_fault = 8,
                         general_protection = 13, page_fault = 14, machine_check = 18,
                         pic_base = 32, first_free = 48, system_call = 0x80, spurious = 0xFF;
}

/// Everything that was in the registers when an interrupt or exception came, lowest address first,
/// as the stubs of interrupts.S push it.
struct Frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
    uint64_t vector, error_code;
    uint64_t rip, cs, rflags, rsp, ss;
};

/// Called by the common stub with interrupts off; returning resumes the interrupted code.
using Handler = void (*)(Frame& frame);

/// Where RSP0 lies in the task state segment (SDM vol. 3A, "Task Management in 64-bit Mode").
inline constexpr uint64_t rsp0_at = 4;

/// Loads GDT, TSS and an IDT with all 256 gates set to the common stub, whose handler is
/// `otherwise`.
void load_descriptors(Handler otherwise);

/// Has the common stub call `handler` for `vector`; returns the one before.
Handler set_handler(uint8_t vector, Handler handler);

/// As long as it lives, a RDMSR, WRMSR or RDPMC that raises #GP or #UD is stepped over, and reads
/// 0: for registers that are promised, or that every real processor has, and that are missing all
/// the same. One at a time.
class FaultGuard {
  public:
    FaultGuard();
    ~FaultGuard();
    FaultGuard(const FaultGuard&) = delete;
    bool faulted() const;  ///< whether one did, since the guard was made

  private:
    Handler protection_, opcode_;
};

/// Points the gate itself at `entry`, an assembly routine that ends in IRETQ: for measured code,
/// which cannot afford the common stub. `dpl` is the least privileged ring that may raise it by INT
/// n.
void set_gate(uint8_t vector, void (*entry)(), unsigned dpl = 0, Ist ist = Ist::none);

/// Gives `vector` back to the common stub (interrupt gate, DPL `dpl`).
void reset_gate(uint8_t vector, unsigned dpl = 0);

}  // namespace doorbell::cpu
