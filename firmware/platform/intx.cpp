#include "firmware/platform/intx.h"

namespace doorbell::platform {
namespace {

/// ISA interrupts are 0 to 15; PCI's own are routed behind them.
constexpr uint32_t first_pci_interrupt = 16;
/// A wire's change is at the local APIC within microseconds; emulated cards may hold it back for
/// 128 of them.
constexpr uint64_t window_us = 200;

class Search {
  public:
    Search(const IntxSearch& search, IntxWire& wire) : s_(search), wire_(wire) {}

    /// Whether the wire, and nobody else, arrives here.
    Result<bool> arrives_at(const IoApic& io, unsigned input, Polarity polarity) {
        ++tried;
        if (reports(io, input, polarity)) {
            wire_.take();
            return false;
        }
        DOORBELL_TRY(wire_.pull());
        bool found = reports(io, input, polarity);
        // The input is masked and the wire at rest before the EOI reaches the I/O APIC: it ends
        // there.
        wire_.let_go();
        if (found) wire_.take();
        return found;
    }
    unsigned tried = 0;

  private:
    bool reports(const IoApic& io, unsigned input, Polarity polarity) const {
        if (!io.route(input, s_.vector, s_.apic.id(), polarity, Trigger::level, false))
            return false;
        bool reported = false;
        for (uint64_t start = s_.tsc(), limit = s_.tsc_hz / 1000000 * window_us;
             !reported && s_.tsc() - start < limit;)
            reported = s_.apic.requested(s_.vector);
        io.mask(input);
        return reported;
    }

    const IntxSearch& s_;
    IntxWire& wire_;
};

}  // namespace

Result<IntxInput> find_intx(const IntxSearch& s, IntxWire& wire) {
    if (s.io_apics.empty()) return Lacking{"INTx needs an I/O APIC, and the machine names none"};
    Search search(s, wire);
    for (const IoApic& io : s.io_apics) {
        for (unsigned input = 0; input < io.inputs(); ++input) {
            if (io.gsi_base() + input < first_pci_interrupt) continue;
            auto found = search.arrives_at(io, input, Polarity::active_low);
            if (!found) return found.error();
            if (*found) return IntxInput{&io, input};
        }
    }
    // 0, the timer's, and 255 say that firmware routed it nowhere.
    if (s.interrupt_line != 0 && s.interrupt_line < first_pci_interrupt) {
        AcpiOverride line = s.acpi.isa(s.interrupt_line);
        Polarity polarity = line.trigger == Trigger::level ? line.polarity : Polarity::active_low;
        for (const IoApic& io : s.io_apics) {
            if (!io.has_gsi(line.gsi)) continue;
            auto found = DOORBELL_TRY(search.arrives_at(io, line.gsi - io.gsi_base(), polarity));
            if (found) return IntxInput{&io, line.gsi - io.gsi_base()};
        }
    }
    constexpr const char* unseen = "no I/O APIC input reports the card's INTx (as many were tried)";
    // Where firmware routed the pin nowhere, no input need report it.
    if (s.interrupt_line == 0 || s.interrupt_line == 255) return Lacking{unseen, search.tried};
    return Error{unseen, search.tried};
}

}  // namespace doorbell::platform
