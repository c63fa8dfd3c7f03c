#include "firmware/platform/pci.h"

#include <bit>

namespace doorbell::platform {
namespace {

constexpr uint16_t config_address_port = 0xCF8, config_data_port = 0xCFC;
constexpr uint64_t ecam_bus_bytes = 1u << 20;
constexpr uint16_t nobody = 0xFFFF;
// 256 bytes, 64 of them the header, at least 4 bytes a capability.
constexpr unsigned most_capabilities = (256 - 64) / 4;
constexpr uint8_t header_bridge = 1, header_multi_function = 0x80;
constexpr uint16_t status_capabilities = 1 << 4;
constexpr uint16_t msi_enable = 1, msix_enable = 1 << 15, msix_mask_all = 1 << 14;
constexpr uint64_t message_address = 0xFEE00000;  // SDM vol. 3A, "Message Address Register Format"

constexpr uint64_t ecam_offset(const AcpiEcam& ecam, PciAddress a) {
    return (a.bus - ecam.first_bus) * ecam_bus_bytes + (a.device * 8u + a.function) * 4096;
}

}  // namespace

const PciConfig::Range* PciConfig::range_of(PciAddress a) const {
    for (const Range& r : ranges_)
        if (a.segment == r.ecam.segment && a.bus >= r.ecam.first_bus && a.bus <= r.ecam.last_bus)
            return &r;
    return nullptr;
}

Result<void> PciConfig::check(const AcpiEcam& ecam, cpu::Mmio window) const {
    bool anyone = false;
    for (uint8_t device = 0; device < 32; ++device) {
        PciAddress a{ecam.segment, ecam.first_bus, device, 0};
        uint32_t shown = window.read32(ecam_offset(ecam, a)),
                 by_ports = read_by_ports(a, pci_register::vendor, 4);
        if (by_ports != ~0u && by_ports != shown)
            return Error{"MCFG: its window does not show what ports 0xCF8/0xCFC show", ecam.base};
        anyone = anyone || (shown != ~0u && shown != 0);
    }
    if (!anyone) return Error{"MCFG: nothing answers in its window", ecam.base};
    return {};
}

uint32_t PciConfig::read(PciAddress a, uint16_t offset, unsigned bytes) const {
    if (const Range* r = range_of(a)) {
        uint64_t at = ecam_offset(r->ecam, a) + offset;
        return bytes == 1   ? r->window.read8(at)
               : bytes == 2 ? r->window.read16(at)
                            : r->window.read32(at);
    }
    return read_by_ports(a, offset, bytes);
}

uint32_t PciConfig::read_by_ports(PciAddress a, uint16_t offset, unsigned bytes) const {
    // The ports reach segment 0 and the first 256 bytes only.
    if (a.segment != 0 || offset > 255) return ~0u;
    ports_.out32(config_address_port,
                 1u << 31 | a.bus << 16 | a.device << 11 | a.function << 8 | (offset & 0xFC));
    uint16_t port = config_data_port + (offset & 3);
    return bytes == 1 ? ports_.in8(port) : bytes == 2 ? ports_.in16(port) : ports_.in32(port);
}

void PciConfig::write(PciAddress a, uint16_t offset, unsigned bytes, uint32_t value) const {
    if (const Range* r = range_of(a)) {
        uint64_t at = ecam_offset(r->ecam, a) + offset;
        if (bytes == 2)
            r->window.write16(at, static_cast<uint16_t>(value));
        else
            r->window.write32(at, value);
        return;
    }
    if (a.segment != 0 || offset > 255) return;
    ports_.out32(config_address_port,
                 1u << 31 | a.bus << 16 | a.device << 11 | a.function << 8 | (offset & 0xFC));
    uint16_t port = config_data_port + (offset & 3);
    if (bytes == 2)
        ports_.out16(port, static_cast<uint16_t>(value));
    else
        ports_.out32(port, value);
}

PciFunction PciFunction::read(const PciConfig& config, PciAddress address) {
    PciFunction f;
    f.config_ = &config;
    f.address_ = address;
    f.vendor_ = f.read16(pci_register::vendor);
    if (f.vendor_ == nobody) return f;
    f.device_ = f.read16(pci_register::device);
    f.class_ = f.read32(pci_register::revision) >> 8;
    if ((f.read8(pci_register::header_type) & 0x7F) == 0) f.read_bars();
    return f;
}

void PciFunction::read_bars() {
    uint16_t command = read16(pci_register::command);
    write16(pci_register::command, command & ~(pci_command::io | pci_command::memory));
    for (unsigned i = 0; i < 6; ++i) {
        uint16_t at = static_cast<uint16_t>(pci_register::bar0 + 4 * i);
        PciBar& bar = bars_[i];
        uint32_t low = read32(at);
        write32(at, ~0u);
        uint32_t taken = read32(at);
        write32(at, low);
        if (taken == 0) continue;
        if (low & 1) {
            bar.kind = PciBar::Kind::io;
            bar.address = low & ~3u;
            bar.bytes = (~(taken & ~3u) + 1) & 0xFFFF;
            continue;
        }
        bar.kind = PciBar::Kind::memory;
        bar.prefetchable = (low & 8) != 0;
        bar.address = low & ~15u;
        uint64_t size_mask = 0xFFFFFFFF00000000 | (taken & ~15u);
        bool wide = (low & 6) == 4;
        if (wide && i == 5) {
            bar.kind = PciBar::Kind::bad;
            break;
        }
        if (wide) {
            uint32_t high = read32(at + 4);
            write32(at + 4, ~0u);
            size_mask = static_cast<uint64_t>(read32(at + 4)) << 32 | (taken & ~15u);
            write32(at + 4, high);
            bar.address |= static_cast<uint64_t>(high) << 32;
            ++i;
        }
        bar.bytes = ~size_mask + 1;
        if (!std::has_single_bit(bar.bytes) || (bar.address & (bar.bytes - 1)) != 0 ||
            bar.address == 0)
            bar.kind = PciBar::Kind::bad;
    }
    write16(pci_register::command, command);
}

uint16_t PciFunction::capability(uint8_t id, uint16_t after) const {
    if ((read16(pci_register::status) & status_capabilities) == 0) return 0;
    uint16_t at = after == 0 ? read8(pci_register::capabilities) : read8(after + 1);
    for (unsigned step = 0; step < most_capabilities; ++step) {
        at &= 0xFC;
        if (at < 0x40) return 0;
        uint16_t head = read16(at);
        if (head == nobody) return 0;
        if ((head & 0xFF) == id) return at;
        at = head >> 8;
    }
    return 0;
}

Result<cpu::Mmio> PciFunction::registers(unsigned i, uint64_t offset, uint64_t bytes) const {
    if (i >= 6 || bars_[i].kind != PciBar::Kind::memory)
        return Lacking{"PCI: no memory behind this BAR", i};
    const PciBar& bar = bars_[i];
    if (!bar.mapped) return Error{"PCI: this BAR could not be mapped", bar.address};
    if (offset > bar.bytes || bytes > bar.bytes - offset)
        return Error{"PCI: registers lie beyond their BAR's end", offset};
    return bar.window.at(offset);
}

void PciFunction::change_command(uint16_t set, uint16_t clear) const {
    uint16_t command = read16(pci_register::command);
    write16(pci_register::command, static_cast<uint16_t>((command | set) & ~clear));
}

void PciFunction::clear_message(uint8_t capability_id, uint16_t enable) const {
    if (uint16_t at = capability(capability_id))
        write16(at + 2, static_cast<uint16_t>(read16(at + 2) & ~enable));
}

Result<void> PciFunction::enable() const {
    if (read16(pci_register::vendor) == nobody)
        return Error{"PCI: the function has vanished (reads as all ones)"};
    constexpr uint16_t wanted = pci_command::memory | pci_command::bus_master;
    change_command(wanted | pci_command::interrupt_disable, 0);
    uint16_t command = read16(pci_register::command);
    if ((command & wanted) != wanted) return Error{"PCI: bus mastering cannot be enabled", command};
    return {};
}

void PciFunction::disable() const {
    if (read16(pci_register::vendor) == nobody) return;
    change_command(pci_command::interrupt_disable, pci_command::bus_master);
    clear_message(pci_capability::msi, msi_enable);
    // MSI-X is masked as a whole, not disabled: QEMU's e1000e aborts if it is disabled while an
    // interrupt is throttled.
    if (uint16_t at = capability(pci_capability::msix))
        write16(at + 2, read16(at + 2) | msix_mask_all);
}

Result<void> PciFunction::route_msi(uint8_t vector, uint32_t apic_id) const {
    if (apic_id > 255) return Lacking{"an APIC id over 255 needs interrupt remapping", apic_id};
    uint16_t at = capability(pci_capability::msi);
    if (at == 0) return Lacking{"the card has no MSI"};
    clear_message(pci_capability::msix, msix_enable);
    // Section 6.8.1: control at +2 (bit 0 enable, bits 6:4 messages granted, bit 7 64-bit address,
    // bit 8 masks).
    uint16_t control = read16(at + 2);
    bool wide = (control & 1 << 7) != 0;
    write32(at + 4, static_cast<uint32_t>(message_address | apic_id << 12));
    if (wide) write32(at + 8, 0);
    write16(at + (wide ? 12 : 8), vector);
    if (control & 1 << 8) write32(at + (wide ? 16 : 12), 0);
    write16(at + 2, static_cast<uint16_t>((control & ~0x70) | 1));
    return {};
}

Result<void> PciFunction::route_msix(unsigned entry, uint8_t vector, uint32_t apic_id) const {
    if (apic_id > 255) return Lacking{"an APIC id over 255 needs interrupt remapping", apic_id};
    uint16_t at = capability(pci_capability::msix);
    if (at == 0) return Lacking{"the card has no MSI-X"};
    // Section 6.8.2: control at +2 (bits 10:0 entries - 1, bit 14 mask all, bit 15 enable), table
    // BAR and offset at +4.
    uint16_t control = read16(at + 2);
    unsigned entries = (control & 0x7FF) + 1u;
    if (entry >= entries) return Error{"the card's MSI-X table has no such entry", entry};
    uint32_t place = read32(at + 4);
    auto table = DOORBELL_TRY(registers(place & 7, place & ~7u, entries * 16u));
    write16(at + 2, static_cast<uint16_t>(control | msix_enable | msix_mask_all));
    for (unsigned i = 0; i < entries; ++i) table.write32(i * 16 + 12, 1);
    table.write32(entry * 16, static_cast<uint32_t>(message_address | apic_id << 12));
    table.write32(entry * 16 + 4, 0);
    table.write32(entry * 16 + 8, vector);
    table.write32(entry * 16 + 12, 0);
    write16(at + 2, static_cast<uint16_t>((control & ~msix_mask_all) | msix_enable));
    return {};
}

/// Section 6.2.2, Interrupt Disable; section 6.8.3.3: a function with MSI or MSI-X enabled must not
/// use its pin.
Result<void> PciFunction::route_intx() const {
    if (read8(pci_register::interrupt_pin) == 0) return Lacking{"the card has no interrupt pin"};
    clear_message(pci_capability::msi, msi_enable);
    clear_message(pci_capability::msix, msix_enable);
    change_command(0, pci_command::interrupt_disable);
    return {};
}

namespace {

/// The buses of one segment: which were looked at, and which are to be.
struct Walk {
    const PciConfig& config;
    uint16_t segment;
    uint8_t base_class;
    PciVisitor visit;
    void* context;
    bool seen[256] = {};
    uint8_t queue[256] = {};
    unsigned first = 0, last = 0;

    void add(uint8_t bus) {
        if (seen[bus]) return;
        seen[bus] = true;
        queue[last++] = bus;
    }
    void look_at(PciAddress a, uint8_t header) {
        if ((header & 0x7F) == header_bridge) add(config.read8(a, pci_register::secondary_bus));
        if (config.read32(a, pci_register::revision) >> 24 == base_class) visit(context, a);
    }
    void look_at_bus(uint8_t bus) {
        for (uint8_t device = 0; device < 32; ++device) {
            for (uint8_t function = 0; function < 8; ++function) {
                PciAddress a{segment, bus, device, function};
                if (config.read16(a, pci_register::vendor) == nobody) {
                    if (function == 0) break;
                    continue;
                }
                uint8_t header = config.read8(a, pci_register::header_type);
                look_at(a, header);
                if (function == 0 && (header & header_multi_function) == 0) break;
            }
        }
    }
    void look_at_all_below(uint8_t bus) {
        for (add(bus); first != last;) look_at_bus(queue[first++]);
    }
};

}  // namespace

void visit_pci_class(const PciConfig& config, uint8_t base_class, PciVisitor visit, void* context) {
    Walk walk{config, 0, base_class, visit, context};
    for (unsigned bus = 0; bus < 256; ++bus) walk.look_at_all_below(static_cast<uint8_t>(bus));
    // Other segments are reached by ECAM only.
    uint16_t before = 0;
    for (const PciConfig::Range& range : config.ranges()) {
        if (range.ecam.segment == 0 || range.ecam.segment == before) continue;
        before = range.ecam.segment;
        Walk other{config, before, base_class, visit, context};
        for (const PciConfig::Range& part : config.ranges())
            for (unsigned bus = part.ecam.first_bus; bus <= part.ecam.last_bus; ++bus)
                if (part.ecam.segment == before) other.look_at_all_below(static_cast<uint8_t>(bus));
    }
}

}  // namespace doorbell::platform
