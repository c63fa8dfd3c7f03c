#include "firmware/platform/acpi.h"

namespace doorbell::platform {
namespace {

using namespace std::string_view_literals;
using Bytes = std::span<const uint8_t>;

constexpr size_t header_length = 36;  // DESCRIPTION_HEADER, section 5.2.6
constexpr uint32_t longest_table = 4u
                                   << 20;  // bounds the time that a corrupt length field can cost
constexpr size_t most_tables = 512;        // entries of one root table that are looked at
constexpr size_t short_rsdp = 20, full_rsdp = 36;  // section 5.2.5.3

/// A little-endian field, or 0 where the table is too short to have it (older revisions end
/// earlier).
template <class T>
T field(Bytes table, size_t offset) {
    if (offset > table.size() || table.size() - offset < sizeof(T)) return 0;
    T value = 0;
    for (size_t i = sizeof(T); i != 0; --i)
        value = static_cast<T>(uint64_t{value} << 8 | table[offset + i - 1]);
    return value;
}

bool sums_to_zero(Bytes bytes) {
    uint8_t sum = 0;
    for (uint8_t b : bytes) sum = static_cast<uint8_t>(sum + b);
    return sum == 0;
}

bool starts_with(Bytes bytes, std::string_view text) {
    if (bytes.size() < text.size()) return false;
    for (size_t i = 0; i < text.size(); ++i)
        if (bytes[i] != static_cast<uint8_t>(text[i])) return false;
    return true;
}

class Parser {
  public:
    Parser(const PhysicalMemory& memory, Acpi& acpi) : memory_(memory), acpi_(acpi) {}

    Result<void> run(Bytes rsdp, uint64_t rsdp_address);

  private:
    Bytes open(uint64_t address, std::string_view signature);
    bool walk(uint64_t root, std::string_view signature, size_t width);
    void table(uint64_t address);
    void madt(uint64_t address, Bytes bytes);
    void madt_entry(uint64_t address, Bytes entry);
    void hpet(uint64_t address, Bytes bytes);
    void mcfg(uint64_t address, Bytes bytes);
    void fadt(uint64_t address, Bytes bytes);
    void spcr(uint64_t address, Bytes bytes);
    AcpiRegister place(uint64_t table, Bytes bytes, size_t generic_offset, size_t old_offset,
                       uint8_t bits);
    void find_s5(Bytes aml);
    bool read_s5(Bytes package);

    void fault(std::string_view signature, uint64_t address, Error error) {
        AcpiFault f{{}, address, error};
        for (size_t i = 0; i < signature.size() && i < 4; ++i)
            f.signature[i] = signature[i] >= ' ' && signature[i] <= '~' ? signature[i] : '?';
        acpi_.faults.add(f);
    }

    const PhysicalMemory& memory_;
    Acpi& acpi_;
    bool have_madt_ = false, have_hpet_ = false, have_mcfg_ = false, have_spcr_ = false;
};

/// The whole table at `address` if it has that signature, a sane length and a right checksum; else
/// a fault and none.
Bytes Parser::open(uint64_t address, std::string_view signature) {
    Bytes header = memory_(address, header_length);
    if (header.empty()) {
        fault(signature, address, {"a table lies outside of memory", address});
        return {};
    }
    if (!starts_with(header, signature)) {
        fault(signature, address,
              {"a table has another signature than the one expected there",
               field<uint32_t>(header, 0)});
        return {};
    }
    uint32_t length = field<uint32_t>(header, 4);
    if (length < header_length || length > longest_table) {
        fault(signature, address, {"a table's length is impossible", length});
        return {};
    }
    Bytes bytes = memory_(address, length);
    if (bytes.empty()) {
        fault(signature, address, {"a table reaches outside of memory, length", length});
        return {};
    }
    if (!sums_to_zero(bytes)) {
        fault(signature, address, {"a table has a wrong checksum"});
        return {};
    }
    return bytes;
}

Result<void> Parser::run(Bytes rsdp, uint64_t rsdp_address) {
    if (rsdp.size() < short_rsdp) return Error{"the RSDP is shorter than 20 bytes", rsdp.size()};
    if (!starts_with(rsdp, "RSD PTR "sv)) return Lacking{"no RSDP at this address", rsdp_address};
    if (!sums_to_zero(rsdp.first(short_rsdp)))
        return Error{"the RSDP has a wrong checksum", rsdp_address};

    uint8_t revision = rsdp[15];
    if (revision >= 2 && rsdp.size() >= full_rsdp) {
        uint32_t length = field<uint32_t>(rsdp, 20);
        if (length < full_rsdp || length > rsdp.size())
            fault("RSDP"sv, rsdp_address, {"the RSDP's length is impossible", length});
        else if (!sums_to_zero(rsdp.first(length)))
            fault("RSDP"sv, rsdp_address, {"the RSDP's extended checksum is wrong"});
        else if (uint64_t xsdt = field<uint64_t>(rsdp, 24); xsdt != 0 && walk(xsdt, "XSDT"sv, 8))
            return {};
    }
    uint32_t rsdt = field<uint32_t>(rsdp, 16);
    if (rsdt != 0 && walk(rsdt, "RSDT"sv, 4)) return {};
    return Error{"neither the XSDT nor the RSDT can be used", rsdt};
}

bool Parser::walk(uint64_t root, std::string_view signature, size_t width) {
    Bytes bytes = open(root, signature);
    if (bytes.empty()) return false;
    size_t count = (bytes.size() - header_length) / width;
    if (count > most_tables) {
        fault(signature, root, {"more tables than the parser reads", count});
        count = most_tables;
    }
    auto entry = [&](size_t i) {
        size_t at = header_length + i * width;
        return width == 8 ? field<uint64_t>(bytes, at) : field<uint32_t>(bytes, at);
    };
    for (size_t i = 0; i < count; ++i) table(entry(i));

    // A few machines keep _S5_ in an SSDT.
    for (size_t i = 0; i < count && !acpi_.fixed.s5_known; ++i)
        if (starts_with(memory_(entry(i), header_length), "SSDT"sv))
            if (Bytes ssdt = open(entry(i), "SSDT"sv); !ssdt.empty())
                find_s5(ssdt.subspan(header_length));
    return true;
}

void Parser::table(uint64_t address) {
    Bytes header = memory_(address, header_length);
    if (address == 0 || header.empty())
        return fault("?"sv, address, {"a table lies outside of memory", address});
    auto first = [&](bool& seen, std::string_view signature) -> Bytes {
        if (seen || !starts_with(header, signature)) return {};
        Bytes bytes = open(address, signature);
        seen = !bytes.empty();
        return bytes;
    };
    if (Bytes b = first(have_madt_, "APIC"sv); !b.empty()) madt(address, b);
    if (Bytes b = first(have_hpet_, "HPET"sv); !b.empty()) hpet(address, b);
    if (Bytes b = first(have_mcfg_, "MCFG"sv); !b.empty()) mcfg(address, b);
    if (Bytes b = first(acpi_.fixed.present, "FACP"sv); !b.empty()) fadt(address, b);
    if (Bytes b = first(have_spcr_, "SPCR"sv); !b.empty()) spcr(address, b);
}

// MADT, section 5.2.12.
void Parser::madt(uint64_t address, Bytes bytes) {
    constexpr size_t first_entry = 44;
    if (bytes.size() < first_entry)
        return fault("APIC"sv, address, {"the MADT is too short", bytes.size()});
    for (Bytes rest = bytes.subspan(first_entry); !rest.empty();) {
        size_t length = rest.size() < 2 ? 0 : rest[1];
        // Without a length there is no next entry either; what came before is kept.
        if (length < 2 || length > rest.size())
            return fault("APIC"sv, address, {"a MADT entry's length is impossible", length});
        madt_entry(address, rest.first(length));
        rest = rest.subspan(length);
    }
    if (acpi_.cpus.dropped() != 0)
        fault("APIC"sv, address,
              {"processors beyond the 64th are not listed", acpi_.cpus.dropped()});
}

void Parser::madt_entry(uint64_t address, Bytes entry) {
    constexpr struct {
        uint8_t type, length;
    } lengths[] = {{0, 8}, {1, 12}, {2, 10}, {5, 12}, {9, 16}};
    for (auto [type, length] : lengths)
        if (entry[0] == type && entry.size() < length)
            return fault("APIC"sv, address,
                         {"a MADT entry is shorter than its type needs", entry.size()});
    auto add_cpu = [&](uint32_t id, uint32_t flags) {
        if ((flags & 1) == 0) return;
        for (uint32_t known : acpi_.cpus)
            if (known == id) return;
        acpi_.cpus.add(id);
    };
    switch (entry[0]) {
        case 0:  // processor local APIC
            if (entry[3] != 0xFF) add_cpu(entry[3], field<uint32_t>(entry, 4));
            break;
        case 9:  // processor local x2APIC
            if (field<uint32_t>(entry, 4) != ~0u)
                add_cpu(field<uint32_t>(entry, 4), field<uint32_t>(entry, 8));
            break;
        case 1: {  // I/O APIC
            AcpiIoApic io{field<uint32_t>(entry, 4), field<uint32_t>(entry, 8)};
            if (io.address == 0 || !acpi_.io_apics.add(io))
                fault("APIC"sv, address, {"an I/O APIC cannot be taken", io.address});
            break;
        }
        case 2: {  // interrupt source override
            uint16_t flags = field<uint16_t>(entry, 8);
            AcpiOverride o{entry[3], field<uint32_t>(entry, 4),
                           (flags & 3) == 3 ? Polarity::active_low : Polarity::active_high,
                           (flags >> 2 & 3) == 3 ? Trigger::level : Trigger::edge};
            if (entry[2] != 0 || o.irq > 15 || !acpi_.overrides.add(o))
                fault("APIC"sv, address, {"an interrupt source override cannot be taken", o.irq});
            break;
        }
        default:
            break;
    }
}

// HPET table, HPET specification section 3.2.4.
void Parser::hpet(uint64_t address, Bytes bytes) {
    if (bytes.size() < 56)
        return fault("HPET"sv, address, {"the HPET table is too short", bytes.size()});
    if (bytes[40] != 0)
        return fault("HPET"sv, address, {"the HPET is not in memory space", bytes[40]});
    acpi_.hpet_address = field<uint64_t>(bytes, 44);
}

// MCFG, PCI Firmware Specification section 4.1.2.
void Parser::mcfg(uint64_t address, Bytes bytes) {
    constexpr size_t first_entry = 44, entry_length = 16;
    for (size_t at = first_entry; at + entry_length <= bytes.size(); at += entry_length) {
        AcpiEcam e{field<uint64_t>(bytes, at), field<uint16_t>(bytes, at + 8), bytes[at + 10],
                   bytes[at + 11]};
        if (e.base == 0 || e.last_bus < e.first_bus || !acpi_.ecam.add(e))
            fault("MCFG"sv, address, {"a configuration space range cannot be taken", e.base});
    }
    if (bytes.size() < first_entry || (bytes.size() - first_entry) % entry_length != 0)
        fault("MCFG"sv, address,
              {"the MCFG's length is not a whole number of entries", bytes.size()});
}

// SPCR, section "Serial Port Console Redirection Table": interface at 36, address at 40, baud
// at 58.
void Parser::spcr(uint64_t address, Bytes bytes) {
    if (bytes.size() < 80) return fault("SPCR"sv, address, {"the SPCR is too short", bytes.size()});
    constexpr uint8_t full_16550 = 0, subset_16550 = 1, generic_16550 = 0x12;
    uint8_t interface = bytes[36];
    if (interface != full_16550 && interface != subset_16550 && interface != generic_16550)
        return fault("SPCR"sv, address,
                     {"the firmware's serial port is not a 16550; its interface is", interface});
    AcpiRegister at{static_cast<AcpiRegister::Space>(bytes[40]), bytes[41],
                    field<uint64_t>(bytes, 44)};
    if (!at) return;  // console redirection is off
    constexpr uint64_t last_port = 0xFFF8;
    if (at.space != AcpiRegister::Space::io || at.address > last_port)
        return fault("SPCR"sv, address,
                     {"the firmware's serial port is not at an I/O port but at", at.address});
    acpi_.serial.port = static_cast<uint16_t>(at.address);
    switch (bytes[58]) {
        case 3:
            acpi_.serial.baud = 9600;
            break;
        case 4:
            acpi_.serial.baud = 19200;
            break;
        case 6:
            acpi_.serial.baud = 57600;
            break;
        case 7:
            acpi_.serial.baud = 115200;
            break;
    }
}

/// A register by its generic address where the FADT has one, else by its old 32-bit port number.
AcpiRegister Parser::place(uint64_t table, Bytes bytes, size_t generic_offset, size_t old_offset,
                           uint8_t bits) {
    AcpiRegister r;
    uint64_t address = field<uint64_t>(bytes, generic_offset + 4);
    if (address != 0) {
        r = {static_cast<AcpiRegister::Space>(bytes[generic_offset]), bytes[generic_offset + 1],
             address};
    } else if (old_offset != 0) {
        r = {AcpiRegister::Space::io, bits, field<uint32_t>(bytes, old_offset)};
    }
    if (r && r.space == AcpiRegister::Space::io && r.address > 0xFFFF) {
        fault("FACP"sv, table, {"a register's I/O port is beyond 0xFFFF", r.address});
        return {};
    }
    if (r && static_cast<uint8_t>(r.space) > 2) {
        fault("FACP"sv, table,
              {"a register is in an address space that is not supported", r.address});
        return {};
    }
    return r;
}

// FADT, section 5.2.9, offsets of table 5.9.
void Parser::fadt(uint64_t address, Bytes bytes) {
    AcpiFixed& f = acpi_.fixed;
    uint32_t flags = field<uint32_t>(bytes, 112);
    uint32_t smi_command = field<uint32_t>(bytes, 48);
    f.smi_command = smi_command <= 0xFFFF ? static_cast<uint16_t>(smi_command) : 0;
    f.acpi_enable = field<uint8_t>(bytes, 52);
    f.pm1a_control = place(address, bytes, 172, 64, 16);
    f.pm1b_control = place(address, bytes, 184, 68, 16);
    f.pm_timer = place(address, bytes, 208, 76, 32);
    f.pm_timer_32 = (flags & 1u << 8) != 0;
    f.reset = place(address, bytes, 116, 0, 8);
    f.reset_value = field<uint8_t>(bytes, 128);
    f.reset_supported = (flags & 1u << 10) != 0 && f.reset;
    f.hardware_reduced = (flags & 1u << 20) != 0;
    f.sleep_control = place(address, bytes, 244, 0, 8);

    uint64_t dsdt = field<uint64_t>(bytes, 140);
    if (dsdt == 0) dsdt = field<uint32_t>(bytes, 40);
    if (dsdt == 0) return fault("FACP"sv, address, {"the FADT names no DSDT"});
    if (Bytes b = open(dsdt, "DSDT"sv); !b.empty()) find_s5(b.subspan(header_length));
}

/// Looks for Name(_S5_, Package...) (section 20.2.5.1): NameOp, an optional root prefix, the name,
/// PackageOp. A scan finds it without an AML interpreter, because the object's contents are
/// constants (section 7.4.2).
void Parser::find_s5(Bytes aml) {
    constexpr uint8_t name_op = 0x08, package_op = 0x12;
    for (size_t at = 1; at + 5 < aml.size(); ++at) {
        if (aml[at] != '_' || !starts_with(aml.subspan(at), "_S5_"sv) || aml[at + 4] != package_op)
            continue;
        bool named =
            aml[at - 1] == name_op || (at >= 2 && aml[at - 1] == '\\' && aml[at - 2] == name_op);
        if (named && read_s5(aml.subspan(at + 5))) return;
    }
}

/// `package` begins at PkgLength (section 20.2.4), which counts itself.
bool Parser::read_s5(Bytes package) {
    size_t more = package[0] >> 6;
    if (package.size() <= more) return false;
    size_t length = more == 0 ? package[0] & 0x3F : package[0] & 0x0F;
    for (size_t i = 1; i <= more; ++i) length |= size_t{package[i]} << (8 * i - 4);
    if (length < more + 2 || length > package.size()) return false;
    size_t elements = package[more + 1];
    Bytes rest = package.subspan(more + 2, length - more - 2);

    uint32_t values[2] = {};
    size_t found = 0;
    while (found < 2 && found < elements && !rest.empty()) {
        size_t size = 0;
        switch (rest[0]) {  // section 20.2.3
            case 0x00:
            case 0x01:
                break;  // ZeroOp, OneOp
            case 0x0A:
                size = 1;
                break;  // BytePrefix
            case 0x0B:
                size = 2;
                break;  // WordPrefix
            case 0x0C:
                size = 4;
                break;  // DWordPrefix
            default:
                return false;
        }
        if (rest.size() < 1 + size) return false;
        uint32_t value = rest[0];
        if (size != 0) value = 0;
        for (size_t i = size; i != 0; --i) value = value << 8 | rest[i];
        values[found++] = value;
        rest = rest.subspan(1 + size);
    }
    if (found == 0) return false;
    if (found == 1) values[1] = values[0] >> 8;  // one integer carries both, a byte each
    // SLP_TYP has 3 bits (section 4.8.3.2.1).
    acpi_.fixed.s5_a = values[0] & 7;
    acpi_.fixed.s5_b = values[1] & 7;
    return acpi_.fixed.s5_known = true;
}

}  // namespace

Result<Acpi> Acpi::parse_rsdp_bytes(const PhysicalMemory& memory, std::span<const uint8_t> rsdp) {
    Acpi acpi;
    DOORBELL_TRY(Parser(memory, acpi).run(rsdp, 0));
    return acpi;
}

Result<Acpi> Acpi::parse(const PhysicalMemory& memory, uint64_t rsdp_address) {
    std::span<const uint8_t> rsdp = memory(rsdp_address, full_rsdp);
    if (rsdp.empty()) rsdp = memory(rsdp_address, short_rsdp);
    if (rsdp.empty()) return Error{"the RSDP lies outside of memory", rsdp_address};
    // A later revision's structure may be longer than this one's.
    uint32_t length = field<uint32_t>(rsdp, 20);
    if (length > full_rsdp && length <= 4096)
        if (std::span<const uint8_t> longer = memory(rsdp_address, length); !longer.empty())
            rsdp = longer;
    Acpi acpi;
    DOORBELL_TRY(Parser(memory, acpi).run(rsdp, rsdp_address));
    return acpi;
}

Result<uint64_t> Acpi::find_rsdp(const PhysicalMemory& memory) {
    auto scan = [&](uint64_t from, uint64_t to) -> uint64_t {
        for (uint64_t at = from; at < to; at += 16) {
            std::span<const uint8_t> bytes = memory(at, short_rsdp);
            if (starts_with(bytes, "RSD PTR "sv) && sums_to_zero(bytes)) return at;
        }
        return 0;
    };
    uint64_t ebda = uint64_t{field<uint16_t>(memory(0x40E, 2), 0)} << 4;
    if (ebda != 0)
        if (uint64_t at = scan(ebda, ebda + 1024)) return at;
    if (uint64_t at = scan(0xE0000, 0x100000)) return at;
    return Lacking{"no RSDP in the BIOS areas"};
}

AcpiOverride Acpi::isa(uint8_t irq) const {
    for (const AcpiOverride& o : overrides)
        if (o.irq == irq) return o;
    return {irq, irq, Polarity::active_high, Trigger::edge};
}

}  // namespace doorbell::platform
