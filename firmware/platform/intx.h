// Where a PCI function's INTx arrives. Firmware tells it by AML (_PRT), which nothing here reads.
// So the function is made to pull its wire, and the I/O APIC input that reports it is the one.
// Source: PCI Local Bus Specification 3.0 (section 2.2.6: INTx is level sensitive, asserted low;
// section 6.2.4: Interrupt Line), Intel 82093AA datasheet (section 3.2.4: redirection entry, remote
// IRR), Intel SDM vol. 3A
// ("Signaling Interrupt Servicing Completion": the EOI of a level-triggered interrupt is told to
// the I/O APICs).
#pragma once
#include <cstdint>
#include <span>

#include "firmware/cpu/access.h"
#include "firmware/cpu/apic.h"
#include "firmware/cpu/result.h"
#include "firmware/platform/acpi.h"
#include "firmware/platform/ioapic.h"

namespace doorbell::platform {

/// The function at the end of the wire, and the processor's side of an interrupt. Interrupts are
/// off, but for take().
struct IntxWire {
    /// Has the function pull the wire. Error: it would not.
    virtual Result<void> pull() = 0;
    /// Takes the cause away, as the function's handler would.
    virtual void let_go() = 0;
    /// Lets the processor take what is pending at the vector, and end it.
    virtual void take() = 0;

  protected:
    ~IntxWire() = default;
};

struct IntxInput {
    const IoApic* io_apic = nullptr;
    unsigned input = 0;
};

/// What the search needs of the machine.
struct IntxSearch {
    std::span<const IoApic> io_apics;
    const Acpi& acpi;
    const cpu::LocalApic& apic;
    cpu::Tsc tsc;
    uint64_t tsc_hz;
    uint8_t vector;
    uint8_t interrupt_line;  ///< the function's, by which firmware names an ISA interrupt
};

/// Tries the inputs from global system interrupt 16 on, where PCI's own arrive, then the ISA input
/// of Interrupt Line. An input that reports while the wire is at rest is somebody else's and is
/// passed by. What it finds is routed to the vector (level, active low unless the MADT says
/// otherwise) and masked; every other input that was tried is masked, as IoApic::bring_up() left
/// it. Error: no I/O APIC, pull() failed, or no input reported.
Result<IntxInput> find_intx(const IntxSearch& search, IntxWire& wire);

}  // namespace doorbell::platform
