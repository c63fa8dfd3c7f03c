#include "firmware/platform/machine.h"

#include "firmware/cpu/descriptors.h"
#include "firmware/cpu/msr.h"
#include "firmware/cpu/registers.h"
#include "firmware/platform/pic.h"

extern "C" {
extern char image_start[], text_start[], text_end[], user_text_start[], user_text_end[],
    image_end[];
extern const uint64_t guard_pages[];
}

namespace doorbell::platform {
namespace {

using cpu::PageFlags;
using cpu::PageTables;

constexpr uint64_t four_gib = 1ull << 32;
constexpr uint64_t page_up(uint64_t a) { return (a + 4095) & ~4095ull; }
constexpr uint64_t page_down(uint64_t a) { return a & ~4095ull; }
uint64_t address_of(const char* symbol) { return reinterpret_cast<uint64_t>(symbol); }

/// The largest usable stretch below 4 GiB that the image does not stand in.
Arena find_arena(const Handover& handover) {
    uint64_t best_start = 0, best_end = 0;
    for (const cpu::MemoryRegion& r : handover.memory) {
        if (!r.usable()) continue;
        uint64_t start = page_up(r.base), end = page_down(r.end() < four_gib ? r.end() : four_gib);
        if (start < address_of(image_end) && end > address_of(image_start))
            start = address_of(image_end);
        // The first MiB belongs to firmware and to old devices.
        if (start < (1u << 20)) start = 1u << 20;
        if (end > start && end - start > best_end - best_start) best_start = start, best_end = end;
    }
    return Arena(best_start, best_end);
}

/// ACPI tables lie where the boot loader's map says anything at all, or in the BIOS area below 1
/// MiB.
std::span<const uint8_t> read_physical(void* context, uint64_t address, uint64_t length) {
    auto& handover = *static_cast<const Handover*>(context);
    auto inside = [&](uint64_t start, uint64_t end) {
        return address >= start && address <= end && length <= end - address;
    };
    bool known = inside(0x400, 1u << 20);
    for (const cpu::MemoryRegion& r : handover.memory) known = known || inside(r.base, r.end());
    if (!known || address + length > four_gib) return {};
    return {reinterpret_cast<const uint8_t*>(address), length};
}

Result<void> build_tables(Machine& m, const Handover& handover) {
    const cpu::Features& f = m.features;
    m.tables = DOORBELL_TRY(PageTables::make(m.arena.frames(), f.gigabyte_pages, f.no_execute));
    constexpr uint64_t data = PageFlags::writable | PageFlags::no_execute;
    // Below 4 GiB whatever is not memory is devices; above, only what a map or a driver names.
    auto mapped = m.tables.map_identity(0, four_gib, data | PageFlags::uncached);
    if (!mapped) return mapped;
    for (const cpu::MemoryRegion& r : handover.memory) {
        if (!r.memory()) continue;
        uint64_t start = page_down(r.base), end = page_up(r.end());
        if (end <= start || r.end() > (1ull << f.physical_bits)) continue;
        mapped = m.tables.map_identity(start, end - start, data);
        if (!mapped) return mapped;
    }
    // The image itself: nothing is both writable and executable, address 0 and the pages under
    // stacks fault.
    mapped = m.tables.map_identity(address_of(image_start),
                                   address_of(text_start) - address_of(image_start),
                                   PageFlags::no_execute);
    if (mapped)
        mapped = m.tables.map_identity(address_of(text_start),
                                       address_of(text_end) - address_of(text_start), 0);
    if (mapped)
        mapped = m.tables.map_identity(address_of(user_text_start),
                                       address_of(user_text_end) - address_of(user_text_start),
                                       PageFlags::user);
    if (mapped)
        mapped = m.tables.map_identity(address_of(user_text_end),
                                       address_of(image_end) - address_of(user_text_end), data);
    for (const uint64_t* guard = guard_pages; mapped && *guard != 0; ++guard)
        mapped = m.tables.unmap(*guard, 4096);
    if (mapped) mapped = m.tables.unmap(0, 4096);
    return mapped;
}

/// AMD: LFENCE waits only where DE_CFG (MSR C001_1029) bit 1 says so, on families that have it
/// ("Software Techniques for Managing Speculation on AMD Processors"). Under a hypervisor that
/// register is the host's.
const char* make_lfence_serializing(const cpu::Features& f) {
    using cpu::msr::DecodeConfiguration;
    if (f.intel()) return "always (Intel)";
    if (!f.amd()) return "unknown vendor: assumed";
    if (f.lfence_serializing) return "always (CPUID Fn8000_0021_EAX[2])";
    if (f.family == 0x0F || f.family == 0x11) return "always (family)";
    if (f.hypervisor_present) return "as the hypervisor left it";
    auto value = cpu::read<DecodeConfiguration>(cpu::Msrs{});
    if (value & DecodeConfiguration::lfence_serialize) return "DE_CFG[1] was set";
    cpu::write(cpu::Msrs{}, value | DecodeConfiguration::lfence_serialize);
    return "DE_CFG[1] set here";
}

void map_bars(Machine& m, PciFunction& f) {
    for (unsigned i = 0; i < 6; ++i) {
        PciBar& bar = f.bar(i);
        if (bar.kind != PciBar::Kind::memory) continue;
        auto window = m.map_registers(bar.address, bar.bytes);
        if (!window) continue;
        bar.window = *window;
        bar.mapped = true;
    }
}

/// Finds the network cards, however many, and maps their registers, once and for all: page tables
/// that are made later, inside a case, would be given back with the case's memory.
void find_network(Machine& m) {
    m.pci = PciConfig(cpu::Ports{});
    for (const AcpiEcam& ecam : m.acpi.ecam) {
        auto window =
            m.map_registers(ecam.base + (static_cast<uint64_t>(ecam.first_bus) << 20),
                            static_cast<uint64_t>(ecam.last_bus - ecam.first_bus + 1) << 20);
        auto right = window ? m.pci.check(ecam, *window) : Result<void>(window.error());
        if (right)
            m.pci.add(ecam, *window);
        else
            m.mcfg_wrong = right.error();
    }
    constexpr uint8_t network_class = 0x02;
    size_t count = 0, next = 0;
    for_each_pci_function(m.pci, network_class, [&](PciAddress) { ++count; });
    m.network = m.arena.array<PciFunction>(count);
    for_each_pci_function(m.pci, network_class, [&](PciAddress a) {
        if (next == m.network.size()) return;
        PciFunction& f = m.network[next++];
        f = PciFunction::read(m.pci, a);
        map_bars(m, f);
    });
}

Result<void> bring_up_apic(Machine& m) {
    silence_pics(cpu::Ports{}, cpu::vector::pic_base);
    uint64_t apic_page = cpu::LocalApic::page_address(cpu::Cpuid{}, cpu::Msrs{});
    if (apic_page == 0) return Error{"CPUID names no local APIC"};
    auto page = DOORBELL_TRY(m.map_registers(apic_page, 4096));
    // An RDMSR of the x2APIC's timer count reads QEMU's virtual clock in the middle of a
    // translation block, which ends QEMU where that clock counts instructions ("Bad icount read").
    bool icount = m.features.tcg() && m.features.x2apic && cpu::counts_instructions(cpu::Tsc{});
    m.apic.take(cpu::LocalApic::bring_up(cpu::Cpuid{}, cpu::Msrs{}, page,
                                         icount ? cpu::ApicMode::xapic : cpu::ApicMode::x2apic));
    if (!m.apic) return m.apic.absent;
    m.apic->enable(cpu::vector::spurious);
    return {};
}

void find_io_apics(Machine& m) {
    for (const AcpiIoApic& io : m.acpi.io_apics) {
        auto registers = m.map_registers(io.address, 4096);
        if (!registers) continue;
        auto up = IoApic::bring_up(*registers, io.gsi_base);
        if (up) m.io_apics.add(*up);
    }
}

void find_hpet(Machine& m) {
    if (m.acpi.hpet_address == 0) {
        m.hpet.absent = Lacking{"no HPET table in ACPI"};
        return;
    }
    auto registers = m.map_registers(m.acpi.hpet_address, 4096);
    if (registers)
        m.hpet.take(Hpet::bring_up(*registers));
    else
        m.hpet.absent = registers.error();
}

/// How fast the TSC and the local APIC's timer run.
Result<void> find_rates(Machine& m) {
    cpu::ReferenceCounter references[3];
    size_t count = 0;
    if (m.hpet) references[count++] = m.hpet->reference();
    if (m.pm_timer) references[count++] = m.pm_timer->reference();
    if (m.pit) references[count++] = m.pit->reference();
    // Under emulation every read of a device is slow, and a longer window adds no precision.
    const bool tcg = m.features.tcg();
    cpu::Calibration how;
    if (tcg) how.window_us = 2000;
    auto clock = cpu::establish(cpu::Cpuid{}, cpu::Tsc{}, {references, count}, how);
    if (!clock) return clock.error();
    m.tsc = *clock;
    auto rate = cpu::measure_apic_timer(*m.apic.device, cpu::Tsc{}, m.tsc.hz / (tcg ? 1000 : 100));
    if (!rate) return rate.error();
    m.apic_rate = *rate;
    return {};
}

}  // namespace

Result<Acpi> read_acpi(const Handover& handover) {
    PhysicalMemory memory(read_physical, const_cast<Handover*>(&handover));
    if (!handover.rsdp_copy.empty()) return Acpi::parse_rsdp_bytes(memory, handover.rsdp_copy);
    uint64_t rsdp = handover.rsdp_address;
    if (rsdp == 0) {
        auto found = Acpi::find_rsdp(memory);
        if (!found) return Lacking{"no RSDP"};
        rsdp = *found;
    }
    return Acpi::parse(memory, rsdp);
}

Result<void> Machine::bring_up(const Handover& handover) {
    features = cpu::Features::read(cpu::Cpuid{});
    lfence = make_lfence_serializing(features);
    for (const cpu::MemoryRegion& r : handover.memory)
        if (r.usable()) memory_bytes += r.length;
    arena = find_arena(handover);
    if (arena.left() < (16u << 20))
        return Lacking{
            handover.memory_cut
                ? "less than 16 MiB of usable memory below 4 GiB in what was kept of the "
                  "boot loader's memory map, which was too long"
                : "less than 16 MiB of usable memory below 4 GiB",
            arena.left()};

    // ACPI first: the BIOS area in page 0 may have to be read, which the image's own tables leave
    // out.
    if (auto tables_of_acpi = read_acpi(handover))
        acpi = *tables_of_acpi;
    else if (handover.memory_cut)
        acpi_absent = Error{
            "ACPI's tables cannot be read; the boot loader's memory map was too long, and where "
            "they lie may be missing from it"};
    else
        acpi_absent = tables_of_acpi.error();
    DOORBELL_TRY(build_tables(*this, handover));
    cpu::write_cr3(tables.root());

    DOORBELL_TRY(bring_up_apic(*this));
    find_io_apics(*this);
    find_hpet(*this);
    find_network(*this);
    pit.take(Pit::bring_up(cpu::Ports{}));
    pm_timer.take(PmTimer::bring_up(cpu::Ports{}, acpi.fixed));
    return find_rates(*this);
}

const IoApic* Machine::io_apic_for(uint32_t gsi) const {
    for (const IoApic& io : io_apics)
        if (io.has_gsi(gsi)) return &io;
    return nullptr;
}

Result<void> Machine::route_isa(uint8_t irq, uint8_t vector, bool masked) const {
    AcpiOverride line = acpi.isa(irq);
    const IoApic* io = io_apic_for(line.gsi);
    if (io == nullptr) return Lacking{"no IOAPIC input for this ISA interrupt", irq};
    return io->route(line.gsi - io->gsi_base(), vector, apic->id(), line.polarity, line.trigger,
                     masked);
}

Result<cpu::Mmio> Machine::map_registers(uint64_t address, uint64_t bytes) {
    uint64_t start = page_down(address), end = page_up(address + bytes);
    if (end <= start || end > (1ull << features.physical_bits))
        return Error{"registers lie outside physical memory", address};
    DOORBELL_TRY(tables.map_identity(
        start, end - start, PageFlags::writable | PageFlags::no_execute | PageFlags::uncached));
    for (uint64_t a = start; a < end; a += 4096) cpu::invalidate_page(a);
    return cpu::Mmio(address);
}

void Machine::quiet() const {
    for (const PciFunction& card : network) card.disable();
    if (apic) apic->disable();
    for (const IoApic& io : io_apics)
        for (unsigned i = 0; i < io.inputs(); ++i) io.mask(i);
    if (hpet)
        for (unsigned i = 0; i < hpet->timers(); ++i) hpet->silence(i);
    if (pit) pit->stop();
}

}  // namespace doorbell::platform
