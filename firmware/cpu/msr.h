// Model-specific registers by name, and their bits, each bound to its register. Source: Intel SDM
// vol. 4; AMD APM vol. 2, appendix A.
#pragma once
#include <cstdint>

#include "firmware/cpu/access.h"
#include "firmware/cpu/field.h"

namespace doorbell::cpu {

template <uint64_t number>
using Msr = Register<number, uint64_t>;

template <class R>
concept MsrRegister = std::same_as<typename R::Word, uint64_t> && R::address <= ~uint32_t{0};

/// The register's content.
template <MsrRegister R>
Value<R> read(Msrs msrs) {
    return Value<R>(msrs.read(static_cast<uint32_t>(R::address)));
}
/// To the register that the value belongs to.
template <MsrRegister R>
void write(Msrs msrs, Value<R> value) {
    msrs.write(static_cast<uint32_t>(R::address), value.word());
}

namespace msr {

struct ApicBase : Msr<0x1B> {  ///< IA32_APIC_BASE
    static constexpr Field<ApicBase, 10> x2apic{};
    static constexpr Field<ApicBase, 11> enable{};
    static constexpr uint64_t page_mask = 0x000FFFFFFFFFF000;
    static constexpr uint64_t page(Value<ApicBase> value) { return value.word() & page_mask; }
};
struct SmiCount : Msr<0x34> {  ///< MSR_SMI_COUNT, Intel
    static constexpr Field<SmiCount, 0, 32> count{};
};
struct BiosSignId : Msr<0x8B> {};    ///< IA32_BIOS_SIGN_ID; AMD: PATCH_LEVEL
struct TscDeadline : Msr<0x6E0> {};  ///< IA32_TSC_DEADLINE

struct Efer : Msr<0xC0000080> {  ///< IA32_EFER
    static constexpr Field<Efer, 0> system_call{};
};
struct Star : Msr<0xC0000081> {  ///< IA32_STAR: selectors
    static constexpr Field<Star, 32, 16> syscall{};
    static constexpr Field<Star, 48, 16> sysret{};
};
struct Lstar : Msr<0xC0000082> {};  ///< IA32_LSTAR: where SYSCALL goes
struct Fmask : Msr<0xC0000084> {};  ///< IA32_FMASK: flags that SYSCALL clears

struct DecodeConfiguration : Msr<0xC0011029> {  ///< DE_CFG, AMD
    static constexpr Field<DecodeConfiguration, 1> lfence_serialize{};
};

}  // namespace msr
}  // namespace doorbell::cpu
