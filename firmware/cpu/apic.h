// The local APIC of this processor, by memory (xAPIC) or by MSRs (x2APIC), behind one interface.
// Source: Intel SDM vol. 3A, chapter "Advanced Programmable Interrupt Controller (APIC)".
#pragma once
#include <cstdint>

#include "firmware/cpu/access.h"
#include "firmware/cpu/field.h"
#include "firmware/cpu/msr.h"
#include "firmware/cpu/result.h"

namespace doorbell::cpu {

/// Registers by their xAPIC offset, in the SDM's order (table "Local APIC Register Address Map").
/// The x2APIC's MSR is 0x800 + offset / 16.
enum class ApicRegister : uint16_t {
    id = 0x020,
    version = 0x030,
    task_priority = 0x080,
    end_of_interrupt = 0x0B0,
    spurious_vector = 0x0F0,
    in_service = 0x100,  ///< 8 registers of 32 bits, 16 bytes apart
    request = 0x200,     ///< likewise
    error_status = 0x280,
    lvt_cmci = 0x2F0,
    interrupt_command = 0x300,
    interrupt_command_high = 0x310,  ///< xAPIC only
    lvt_timer = 0x320,
    lvt_thermal = 0x330,
    lvt_performance = 0x340,
    lvt_lint0 = 0x350,
    lvt_lint1 = 0x360,
    lvt_error = 0x370,
    initial_count = 0x380,
    current_count = 0x390,
    divide_configuration = 0x3E0,
    self_ipi = 0x3F0,  ///< x2APIC only
};

/// The MSR of a register in x2APIC mode (SDM, "x2APIC Register Address Space").
constexpr uint32_t x2apic_msr(ApicRegister r) { return 0x800 + (static_cast<uint32_t>(r) >> 4); }

/// A register made of bits (field.h).
template <ApicRegister r>
struct ApicBits : Register<static_cast<uint64_t>(r)> {
    static constexpr ApicRegister which = r;
};
struct ApicVersion : ApicBits<ApicRegister::version> {
    static constexpr Field<ApicVersion, 16, 8> last_lvt_entry{};
};
struct SpuriousVector : ApicBits<ApicRegister::spurious_vector> {
    static constexpr Field<SpuriousVector, 0, 8> vector{};
    static constexpr Field<SpuriousVector, 8> software_enable{};
};
struct InterruptCommand : ApicBits<ApicRegister::interrupt_command> {  ///< its low half
    static constexpr Field<InterruptCommand, 0, 8> vector{};
    static constexpr Field<InterruptCommand, 12> pending{};  ///< xAPIC only
    static constexpr Field<InterruptCommand, 14> level_assert{};
    static constexpr Field<InterruptCommand, 18, 2> shorthand{};
    static constexpr unsigned to_self = 1;
};
/// An entry of the local vector table.
template <ApicRegister r>
struct Lvt : ApicBits<r> {
    static constexpr Field<Lvt, 0, 8> vector{};
    static constexpr Field<Lvt, 16> masked{};
};
struct LvtTimer : ApicBits<ApicRegister::lvt_timer> {
    static constexpr Field<LvtTimer, 0, 8> vector{};
    static constexpr Field<LvtTimer, 16> masked{};
    static constexpr Field<LvtTimer, 17, 2> mode{};  ///< TimerMode
};
struct DivideConfiguration : ApicBits<ApicRegister::divide_configuration> {
    static constexpr Field<DivideConfiguration, 0, 2> low{};
    static constexpr Field<DivideConfiguration, 3> high{};  ///< all three set: divide by 1
};

enum class ApicMode : uint8_t { xapic, x2apic };
/// The LVT timer's mode, bits 18:17.
enum class TimerMode : uint8_t { one_shot = 0, periodic = 1, tsc_deadline = 2 };

class LocalApic {
  public:
    /// Where the APIC's page lies (IA32_APIC_BASE), or 0 where CPUID names no APIC.
    static uint64_t page_address(Cpuid cpuid, Msrs msrs);

    LocalApic() = default;
    /// Globally enables the APIC, in x2APIC mode where CPUID names it and `wanted` allows it (an
    /// APIC that firmware left in x2APIC mode stays there), with every LVT entry masked. Error: no
    /// APIC, or its page lies elsewhere.
    static Result<LocalApic> bring_up(Cpuid cpuid, Msrs msrs, Mmio xapic_page,
                                      ApicMode wanted = ApicMode::x2apic);

    bool x2() const { return x2_; }
    Mmio xapic() const { return page_; }             ///< for measured code; valid only when !x2()
    bool has_deadline() const { return deadline_; }  ///< CPUID.1:ECX[24]
    uint32_t id() const;
    uint32_t version() const { return read(ApicRegister::version); }

    /// Software-enables the APIC, accepts interrupts of all priorities, and ends those that
    /// firmware left in service.
    void enable(uint8_t spurious_vector) const;
    /// Masks the LVT and software-disables the APIC.
    void disable() const;
    void mask_all() const;
    void eoi() const { write(ApicRegister::end_of_interrupt, 0); }

    // The timer.
    /// One count per tick of the timer's clock.
    void set_divide_1() const { write(DivideConfiguration::low | DivideConfiguration::high); }
    /// Stops the timer and sets its LVT entry. For TimerMode::tsc_deadline ask has_deadline()
    /// first.
    void set_timer_mode(TimerMode mode, uint8_t vector, bool masked) const;
    /// set_timer_mode(one_shot, vector, unmasked) and the count.
    void arm_one_shot(uint8_t vector, uint32_t count) const {
        set_timer_mode(TimerMode::one_shot, vector, false);
        set_initial_count(count);
    }
    /// Starts the count in the mode that is set; 0 stops it.
    void set_initial_count(uint32_t count) const { write(ApicRegister::initial_count, count); }
    uint32_t current_count() const { return read(ApicRegister::current_count); }
    /// In TSC-deadline mode: the interrupt comes when the TSC reaches `tsc`; 0 disarms.
    void arm_deadline(uint64_t tsc) const { cpu::write(msrs_, Value<msr::TscDeadline>(tsc)); }

    /// A fixed interrupt to this processor. Error: the last command is still being sent after the
    /// bound (xAPIC only).
    Result<void> send_self(uint8_t vector) const;
    /// A fixed interrupt to the processor with this APIC id, physical destination. Errors as above.
    Result<void> send(uint32_t apic_id, uint8_t vector) const;
    /// Whether `vector` is requested and not yet taken (IRR).
    bool requested(uint8_t vector) const { return bit(ApicRegister::request, vector); }
    bool in_service(uint8_t vector) const { return bit(ApicRegister::in_service, vector); }
    /// The error status, read the way the SDM asks for (written first), and cleared.
    uint32_t take_errors() const;

    uint32_t read(ApicRegister r) const {
        return x2_ ? static_cast<uint32_t>(msrs_.read(x2apic_msr(r)))
                   : page_.read32(static_cast<uint64_t>(r));
    }
    void write(ApicRegister r, uint32_t value) const {
        if (x2_)
            msrs_.write(x2apic_msr(r), value);
        else
            page_.write32(static_cast<uint64_t>(r), value);
    }
    template <class R>
    Value<R> read() const {
        return Value<R>(read(R::which));
    }
    template <class R>
    void write(Value<R> value) const {
        write(R::which, value.word());
    }

  private:
    bool bit(ApicRegister first, uint8_t vector) const;
    Result<void> wait_for_idle() const;

    Msrs msrs_;
    Mmio page_;
    bool x2_ = false;
    bool deadline_ = false;
};

}  // namespace doorbell::cpu
