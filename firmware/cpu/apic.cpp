#include "firmware/cpu/apic.h"

#include "firmware/cpu/cpuid.h"

namespace doorbell::cpu {
namespace {

using msr::ApicBase;

// Reads of the command register that sending may take; a message takes well under 100.
constexpr unsigned most_reads = 100000;

constexpr ApicRegister next(ApicRegister first, unsigned n) {
    return static_cast<ApicRegister>(static_cast<unsigned>(first) + 16 * n);
}

/// A fixed interrupt, physical destination.
constexpr Value<InterruptCommand> to_one(uint8_t vector) {
    return InterruptCommand::level_assert | InterruptCommand::vector(vector);
}

}  // namespace

uint64_t LocalApic::page_address(Cpuid cpuid, Msrs msrs) {
    if (!CpuidLeaf<1>(cpuid)[cpuid::VersionEdx::apic]) return 0;
    return ApicBase::page(cpu::read<ApicBase>(msrs));
}

Result<LocalApic> LocalApic::bring_up(Cpuid cpuid, Msrs msrs, Mmio xapic_page, ApicMode wanted) {
    CpuidLeaf<1> features(cpuid);
    if (!features[cpuid::VersionEdx::apic]) return Lacking{"CPUID names no local APIC"};
    LocalApic apic;
    apic.msrs_ = msrs;
    apic.page_ = xapic_page;
    apic.deadline_ = features[cpuid::VersionEcx::tsc_deadline];

    auto base = cpu::read<ApicBase>(msrs);
    if (!(base & ApicBase::enable)) cpu::write(msrs, base = base | ApicBase::enable);
    bool can_x2 = features[cpuid::VersionEcx::x2apic];
    // The way back from x2APIC to xAPIC mode goes through the disabled state, and may be locked:
    // the firmware's choice stays.
    if (!(base & ApicBase::x2apic) && can_x2 && wanted == ApicMode::x2apic)
        cpu::write(msrs, base = base | ApicBase::x2apic);
    apic.x2_ = static_cast<bool>(base & ApicBase::x2apic);
    if (!apic.x2_ && ApicBase::page(base) != xapic_page.base())
        return Error{"the local APIC's page lies elsewhere", ApicBase::page(base)};
    uint32_t version = apic.version();
    if (version == 0 || version == ~0u) return Error{"the local APIC does not answer", version};
    apic.mask_all();
    return apic;
}

uint32_t LocalApic::id() const {
    uint32_t id = read(ApicRegister::id);
    return x2_ ? id : id >> 24;
}

void LocalApic::mask_all() const {
    unsigned last_entry = ApicVersion::last_lvt_entry.of(read<ApicVersion>());
    auto mask = [&]<ApicRegister r>() { write(read<Lvt<r>>() | Lvt<r>::masked); };
    mask.operator()<ApicRegister::lvt_timer>();
    mask.operator()<ApicRegister::lvt_lint0>();
    mask.operator()<ApicRegister::lvt_lint1>();
    mask.operator()<ApicRegister::lvt_error>();
    // Later processors have more entries; the version register counts them.
    if (last_entry >= 4) mask.operator()<ApicRegister::lvt_performance>();
    if (last_entry >= 5) mask.operator()<ApicRegister::lvt_thermal>();
    if (last_entry >= 6) mask.operator()<ApicRegister::lvt_cmci>();
}

void LocalApic::enable(uint8_t spurious_vector) const {
    write(ApicRegister::task_priority, 0);
    write(SpuriousVector::software_enable | SpuriousVector::vector(spurious_vector));
    // An interrupt in service holds back all of its priority and below. One EOI ends one; there are
    // 256.
    for (unsigned i = 0; i < 256; ++i) {
        uint32_t any = 0;
        for (unsigned n = 0; n < 8; ++n) any |= read(next(ApicRegister::in_service, n));
        if (any == 0) break;
        eoi();
    }
    (void)take_errors();
}

void LocalApic::disable() const {
    set_initial_count(0);
    mask_all();
    write(read<SpuriousVector>() & ~SpuriousVector::software_enable);
}

void LocalApic::set_timer_mode(TimerMode mode, uint8_t vector, bool masked) const {
    set_initial_count(0);
    write(LvtTimer::mode(static_cast<unsigned>(mode)) | LvtTimer::masked(masked) |
          LvtTimer::vector(vector));
    // The store to the LVT must have arrived before the deadline's MSR is written (SDM,
    // "TSC-Deadline Mode").
    if (mode == TimerMode::tsc_deadline && !x2_) asm volatile("mfence" ::: "memory");
}

Result<void> LocalApic::wait_for_idle() const {
    for (unsigned i = 0; i < most_reads; ++i)
        if (!(read<InterruptCommand>() & InterruptCommand::pending)) return {};
    return Error{"waited for the local APIC to send an interrupt",
                 read(ApicRegister::interrupt_command)};
}

Result<void> LocalApic::send_self(uint8_t vector) const {
    if (x2_) {
        write(ApicRegister::self_ipi, vector);
        return {};
    }
    DOORBELL_TRY(wait_for_idle());
    write(InterruptCommand::shorthand(InterruptCommand::to_self) | to_one(vector));
    return {};
}

Result<void> LocalApic::send(uint32_t apic_id, uint8_t vector) const {
    if (x2_) {
        // One 64-bit register; there is no delivery status to wait for.
        msrs_.write(x2apic_msr(ApicRegister::interrupt_command),
                    uint64_t{apic_id} << 32 | to_one(vector).word());
        return {};
    }
    if (apic_id > 0xFF) return Lacking{"an xAPIC cannot reach an APIC id over 255", apic_id};
    DOORBELL_TRY(wait_for_idle());
    write(ApicRegister::interrupt_command_high, apic_id << 24);
    write(to_one(vector));
    return {};
}

uint32_t LocalApic::take_errors() const {
    write(ApicRegister::error_status, 0);
    uint32_t errors = read(ApicRegister::error_status);
    write(ApicRegister::error_status, 0);
    return errors;
}

bool LocalApic::bit(ApicRegister first, uint8_t vector) const {
    return (read(next(first, vector / 32)) >> vector % 32 & 1) != 0;
}

}  // namespace doorbell::cpu
