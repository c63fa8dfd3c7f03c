// A card's interrupts: the measured handler, and the way of each kind to it.
#include <cstddef>

#include "firmware/cpu/descriptors.h"
#include "firmware/cpu/registers.h"
#include "firmware/measure/timestamp.h"
#include "firmware/platform/intx.h"
#include "labs/kit/cards.h"
#include "labs/kit/handler.h"

[[gnu::used]] NicEvent nic_event;
// What the handler below takes for granted.
static_assert(offsetof(NicEvent, known) == 0 && offsetof(NicEvent, handled) == 8 &&
              offsetof(NicEvent, end_of_interrupt) == 16 && offsetof(NicEvent, acknowledge) == 24 &&
              offsetof(NicEvent, fired) == 32);

asm(R"(
        .pushsection .text.nic, "ax"
        .macro  NIC_HANDLER name, acknowledge, x2apic
        HANDLER_BEGIN \name, nic_event
        movq    nic_event + 24(%rip), %rax
        \acknowledge (%rax), %eax
        .if     \x2apic
        pushq   %rcx
        .endif
        HANDLER_END_OF_INTERRUPT \x2apic, nic_event + 16
        .if     \x2apic
        popq    %rcx
        .endif
        HANDLER_STAMP nic_event + 8
        incl    nic_event + 32(%rip)
        HANDLER_RETURN
        .endm
        NIC_HANDLER nic_interrupt_xapic, movl, 0
        NIC_HANDLER nic_interrupt_x2apic, movl, 1
        NIC_HANDLER nic_interrupt_xapic_byte, movzbl, 0
        NIC_HANDLER nic_interrupt_x2apic_byte, movzbl, 1
        .popsection
)");
extern "C" void nic_interrupt_xapic();
extern "C" void nic_interrupt_x2apic();
extern "C" void nic_interrupt_xapic_byte();
extern "C" void nic_interrupt_x2apic_byte();

namespace doorbell::labs {
namespace {

/// The I/O APIC input that open_intx() opened.
platform::IntxInput intx;

void point_gate(const nic::Nic& nic) {
    bool x2 = nic_event.end_of_interrupt == 0;
    nic_event.acknowledge = nic.acknowledge_register();
    if (nic.acknowledge_is_byte())
        cpu::set_gate(nic_vector, x2 ? nic_interrupt_x2apic_byte : nic_interrupt_xapic_byte);
    else
        cpu::set_gate(nic_vector, x2 ? nic_interrupt_x2apic : nic_interrupt_xapic);
}

/// What is on its way already is taken by the handler, not by the panic that a stray interrupt is.
void take_what_is_under_way() {
    cpu::enable_interrupts();
    for (unsigned i = 0; i < 100; ++i) asm volatile("pause");
    cpu::disable_interrupts();
}

/// A card at its INTx wire, pulled by a packet.
class PacketPulls final : public platform::IntxWire {
  public:
    PacketPulls(Bench& bench, nic::Nic& card, nic::Nic& sender, const nic::ToSend& frame)
        : bench_(bench), card_(card), sender_(sender), frame_(frame) {}
    Result<void> pull() override {
        (void)card_.arm();
        if (sender_.transmit(&frame_, 1) != 1)
            return Error{"the sender took fewer frames than its ring has room for"};
        if (someone_within(card_, bench_.machine.tsc.hz / 10)) return {};
        return why_missing(card_, sender_,
                           Error{"a packet that was sent did not arrive within 100 ms"});
    }
    void let_go() override {
        card_.disarm();
        auto* cause = reinterpret_cast<const volatile uint8_t*>(nic_event.acknowledge);
        if (card_.acknowledge_is_byte())
            (void)*cause;
        else
            (void)*reinterpret_cast<const volatile uint32_t*>(cause);
        nic::Received r;
        for (unsigned i = 0; i < most_rounds && card_.receive(&r, 1) != 0; ++i) card_.recycle(1);
        (void)nic::BoundedWait(cpu::Tsc{}, bench_.machine.tsc.hz).until(100, [&] {
            return sender_.all_sent();
        });
    }
    void take() override { take_what_is_under_way(); }

  private:
    Bench& bench_;
    nic::Nic &card_, &sender_;
    const nic::ToSend& frame_;
};

}  // namespace

Result<void> open_interrupt(Bench& bench, nic::Nic& nic, nic::InterruptKind kind,
                            cpu::Handler handler) {
    nic_event.end_of_interrupt =
        bench.machine.apic->x2() ? 0
                                 : bench.machine.apic->xapic().base() +
                                       static_cast<uint64_t>(cpu::ApicRegister::end_of_interrupt);
    auto routed = nic.route(kind, nic_vector, bench.machine.apic->id());
    nic_event.fired = 0;
    point_gate(nic);
    if (handler != nullptr) {
        cpu::set_handler(nic_vector, handler);
        cpu::reset_gate(nic_vector);
    }
    return routed;
}

Result<void> open_intx(Bench& bench, nic::Nic& nic, nic::Nic& sender, const nic::ToSend& frame) {
    DOORBELL_TRY(open_interrupt(bench, nic, nic::InterruptKind::intx));
    platform::Machine& m = bench.machine;
    PacketPulls wire(bench, nic, sender, frame);
    auto found =
        platform::find_intx({m.io_apics, m.acpi, *m.apic.device, cpu::Tsc{}, m.tsc.hz, nic_vector,
                             nic.function().read8(platform::pci_register::interrupt_line)},
                            wire);
    if (!found) return found.error();
    intx = *found;
    intx.io_apic->unmask(intx.input);
    return {};
}

void close_interrupt(nic::Nic& nic) {
    nic.disarm();
    point_gate(nic);
    take_what_is_under_way();
    if (intx.io_apic != nullptr) intx.io_apic->mask(intx.input);
    intx = {};
    // The gate stays: what a card still holds back (QEMU's e1000e does, for 128 us) must not be a
    // stray interrupt.
}

bool fires_within(uint64_t ticks) {
    cpu::enable_interrupts();
    bool fired = true;
    for (uint64_t start = measure::end(); fired && nic_event.fired == 0;)
        fired = measure::end() - start <= ticks;
    cpu::disable_interrupts();
    return fired;
}

}  // namespace doorbell::labs
