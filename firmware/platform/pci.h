// PCI: who is there, where its registers lie, how it interrupts. Configuration space by ECAM where
// the MCFG table gives it and tells the truth, by ports 0xCF8/0xCFC otherwise. Source: PCI Local
// Bus Specification 3.0 (chapter 6: configuration space, capabilities, MSI, MSI-X), PCI Express
// Base Specification 3.0 (section 7.2.2: ECAM), PCI Firmware Specification 3.2 (section 4.1.2:
// MCFG).
#pragma once
#include <cstdint>
#include <span>
#include <type_traits>

#include "firmware/cpu/access.h"
#include "firmware/cpu/result.h"
#include "firmware/platform/acpi.h"

namespace doorbell::platform {

struct PciAddress {
    uint16_t segment = 0;
    uint8_t bus = 0, device = 0, function = 0;
    constexpr bool operator==(const PciAddress&) const = default;
};

/// Registers of configuration space that are used here (PCI 3.0, figure 6-1 and section 6.2).
namespace pci_register {
inline constexpr uint16_t vendor = 0x00, device = 0x02, command = 0x04, status = 0x06,
                          revision = 0x08, header_type = 0x0E, bar0 = 0x10, secondary_bus = 0x19,
                          capabilities = 0x34, interrupt_line = 0x3C, interrupt_pin = 0x3D;
}
namespace pci_command {
inline constexpr uint16_t io = 1 << 0, memory = 1 << 1, bus_master = 1 << 2,
                          interrupt_disable = 1 << 10;
}
/// Capability ids (PCI 3.0, appendix H).
namespace pci_capability {
inline constexpr uint8_t msi = 0x05, vendor = 0x09, msix = 0x11;
}

/// Configuration space of every function.
class PciConfig {
  public:
    PciConfig() = default;
    explicit PciConfig(cpu::Ports ports) : ports_(ports) {}
    /// `window` shows the configuration space of ecam.first_bus and following.
    void add(const AcpiEcam& ecam, cpu::Mmio window) { ranges_.add({ecam, window}); }
    /// Whether MCFG is right about that window: the range's first bus must show the same functions
    /// as the ports do, where those reach it and anything answers there, and one function at least
    /// where they do not. Error: it does not; then these buses are better left to the ports.
    Result<void> check(const AcpiEcam& ecam, cpu::Mmio window) const;

    /// Offsets in bytes, naturally aligned. A function that is not there reads as all ones.
    uint8_t read8(PciAddress a, uint16_t offset) const {
        return static_cast<uint8_t>(read(a, offset, 1));
    }
    uint16_t read16(PciAddress a, uint16_t offset) const {
        return static_cast<uint16_t>(read(a, offset, 2));
    }
    uint32_t read32(PciAddress a, uint16_t offset) const { return read(a, offset, 4); }
    void write16(PciAddress a, uint16_t offset, uint16_t value) const {
        write(a, offset, 2, value);
    }
    void write32(PciAddress a, uint16_t offset, uint32_t value) const {
        write(a, offset, 4, value);
    }
    bool by_ecam(PciAddress a) const { return range_of(a) != nullptr; }

    struct Range {
        AcpiEcam ecam;
        cpu::Mmio window;
    };
    std::span<const Range> ranges() const { return {ranges_.begin(), ranges_.end()}; }

  private:
    const Range* range_of(PciAddress a) const;
    uint32_t read(PciAddress a, uint16_t offset, unsigned bytes) const;
    void write(PciAddress a, uint16_t offset, unsigned bytes, uint32_t value) const;
    uint32_t read_by_ports(PciAddress a, uint16_t offset, unsigned bytes) const;

    cpu::Ports ports_;
    Bounded<Range, 16> ranges_;
};

/// A base address register, sized.
struct PciBar {
    enum class Kind : uint8_t { none, memory, io, bad };
    Kind kind = Kind::none;
    bool prefetchable = false;
    uint64_t address = 0, bytes = 0;
    cpu::Mmio window;  ///< valid once `mapped`
    bool mapped = false;
};

/// One function with what was read of it when it was found.
class PciFunction {
  public:
    PciFunction() = default;
    /// Reads ids and sizes the BARs; decoding is off while a BAR holds ones (PCI 3.0,
    /// section 6.2.5.1). An invalid BAR (a size that is not a power of two, an address that is not
    /// a multiple of it) is Kind::bad.
    static PciFunction read(const PciConfig& config, PciAddress address);

    PciAddress address() const { return address_; }
    uint16_t vendor() const { return vendor_; }
    uint16_t device() const { return device_; }
    uint32_t class_code() const { return class_; }  ///< class, subclass, interface: 24 bits
    PciBar& bar(unsigned i) { return bars_[i]; }
    const PciBar& bar(unsigned i) const { return bars_[i]; }

    uint8_t read8(uint16_t offset) const { return config_->read8(address_, offset); }
    uint16_t read16(uint16_t offset) const { return config_->read16(address_, offset); }
    uint32_t read32(uint16_t offset) const { return config_->read32(address_, offset); }
    void write16(uint16_t offset, uint16_t value) const {
        config_->write16(address_, offset, value);
    }
    void write32(uint16_t offset, uint32_t value) const {
        config_->write32(address_, offset, value);
    }

    /// The first capability of that id behind `after` (0: from the start); 0 where there is none.
    /// The walk ends after as many steps as capabilities fit, so that a circular list ends, too.
    uint16_t capability(uint8_t id, uint16_t after = 0) const;

    /// `bytes` of BAR `i` from `offset` on. Error: no such memory, not mapped, or beyond its end.
    Result<cpu::Mmio> registers(unsigned i, uint64_t offset, uint64_t bytes) const;

    /// Memory decoding and bus mastering on, INTx off. Error: the function has vanished (reads as
    /// all ones), or does not take it.
    Result<void> enable() const;
    /// Bus mastering and MSI off, MSI-X masked: the function can neither write memory nor
    /// interrupt. INTx stays off.
    void disable() const;

    /// Sends MSI as `vector` to that local APIC, and enables it instead of MSI-X. Error: no MSI, or
    /// an APIC id over 255.
    Result<void> route_msi(uint8_t vector, uint32_t apic_id) const;
    /// Sends entry `entry` of the MSI-X table as `vector`, and enables MSI-X with that entry
    /// unmasked. Error: no MSI-X, no such entry, a table outside of its BAR, an APIC id over 255.
    Result<void> route_msix(unsigned entry, uint8_t vector, uint32_t apic_id) const;
    /// Lets the function pull its INTx wire, instead of MSI and MSI-X. Error: it has no interrupt
    /// pin.
    Result<void> route_intx() const;

  private:
    void read_bars();
    void clear_message(uint8_t capability_id, uint16_t enable) const;
    void change_command(uint16_t set, uint16_t clear) const;

    const PciConfig* config_ = nullptr;
    PciAddress address_;
    uint16_t vendor_ = 0, device_ = 0;
    uint32_t class_ = 0;
    PciBar bars_[6];
};

/// Calls `visit` with the address of every function of base class `base_class` (0x02: network).
/// Looked at are the buses below bus 0, over bridges as firmware left them, then every other bus
/// where anything answers and what lies below it: further root buses (a second socket's, an
/// expander's) are not reached from any bridge. Each bus is looked at only once, whatever the
/// bridges say.
using PciVisitor = void (*)(void* context, PciAddress address);
void visit_pci_class(const PciConfig& config, uint8_t base_class, PciVisitor visit, void* context);

/// The same with a callable.
template <class Visit>
void for_each_pci_function(const PciConfig& config, uint8_t base_class, Visit&& visit) {
    visit_pci_class(
        config, base_class,
        [](void* context, PciAddress a) {
            (*static_cast<std::remove_reference_t<Visit>*>(context))(a);
        },
        &visit);
}

}  // namespace doorbell::platform
