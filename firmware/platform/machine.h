// The machine that the image woke up on: what was found, brought up once, and is used by every lab.
#pragma once
#include <cstdint>
#include <optional>
#include <span>

#include "firmware/cpu/apic.h"
#include "firmware/cpu/features.h"
#include "firmware/cpu/memory_region.h"
#include "firmware/cpu/paging.h"
#include "firmware/cpu/tsc.h"
#include "firmware/platform/acpi.h"
#include "firmware/platform/hpet.h"
#include "firmware/platform/ioapic.h"
#include "firmware/platform/memory.h"
#include "firmware/platform/pci.h"
#include "firmware/platform/pit.h"
#include "firmware/platform/pm_timer.h"

namespace doorbell::platform {

/// A device that is there, or the reason why it is not.
template <class Device>
struct Maybe {
    std::optional<Device> device;
    Error absent{"not looked for"};
    explicit operator bool() const { return device.has_value(); }
    const Device* operator->() const { return &*device; }
    Device* operator->() { return &*device; }
    void take(Result<Device> found) {
        if (found)
            device.emplace(*found);
        else
            absent = found.error();
    }
};

/// What the boot loader knows of the machine.
struct Handover {
    std::span<const cpu::MemoryRegion> memory;
    uint64_t rsdp_address = 0;           ///< 0: not told
    std::span<const uint8_t> rsdp_copy;  ///< empty: none
    bool memory_cut = false;             ///< some regions of the map are missing
};

/// ACPI's tables, from what the boot loader knows or from where a BIOS leaves them. Error: there
/// are none, or they cannot be read.
Result<Acpi> read_acpi(const Handover& handover);

struct Machine {
    cpu::Features features;
    Acpi acpi;
    Maybe<cpu::LocalApic> apic;
    Maybe<Hpet> hpet;
    Maybe<Pit> pit;
    Maybe<PmTimer> pm_timer;
    std::optional<Error> acpi_absent;  ///< why there are no ACPI tables
    Bounded<IoApic, 64> io_apics;
    PciConfig pci;
    std::optional<Error> mcfg_wrong;  ///< why a range of the MCFG table is not used
    std::span<PciFunction> network;   ///< network cards, their BARs mapped
    cpu::TscClock tsc;
    cpu::TimerRate apic_rate;   ///< TSC ticks a LAPIC count
    Arena arena;                ///< memory that nobody else uses
    cpu::PageTables tables;     ///< the image's own address space
    uint64_t memory_bytes = 0;  ///< usable memory, by the boot loader's map
    const char* lfence = "";    ///< how LFENCE came to be serializing

    Machine() = default;
    Machine(const Machine&) = delete;

    /// Brings everything up in place: page permissions, ACPI, interrupt controllers, timers, the
    /// TSC's rate. What is missing stays absent with its reason. Error: no memory, no local APIC,
    /// or no way to tell the TSC's rate; then nothing can be measured.
    Result<void> bring_up(const Handover& handover);

    /// The IOAPIC and its input that carry a global system interrupt; null where none does.
    const IoApic* io_apic_for(uint32_t gsi) const;
    /// Routes an ISA interrupt as the MADT says to `vector` of this processor, masked or not.
    /// Error: no IOAPIC has that input.
    Result<void> route_isa(uint8_t irq, uint8_t vector, bool masked) const;
    /// Maps a device's registers, uncached, at their own address.
    Result<cpu::Mmio> map_registers(uint64_t address, uint64_t bytes);
    /// Takes away what the devices might still do: timers stopped, inputs masked.
    void quiet() const;
};

}  // namespace doorbell::platform
