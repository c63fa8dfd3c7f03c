// The ACPI tables a measuring machine needs: who the processors are, where APICs and HPET lie, how
// to power off. Source: ACPI Specification 6.5, chapter 5 (tables), chapter 4 (fixed hardware),
// chapter 20 (AML encoding); IA-PC HPET Specification 1.0a section 3.2.4; PCI Firmware
// Specification 3.2 section 4.1.2 (MCFG); Microsoft, "Serial Port Console Redirection Table".
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "firmware/cpu/result.h"
#include "firmware/platform/interrupt.h"

namespace doorbell::platform {

/// Physical memory as the parser may see it: a function that gives `length` bytes at `address`, or
/// an empty span where any of them lies outside of what may be read.
class PhysicalMemory {
  public:
    using Read = std::span<const uint8_t> (*)(void* context, uint64_t address, uint64_t length);
    constexpr PhysicalMemory(Read read, void* context) : read_(read), context_(context) {}
    /// Exactly `length` bytes, or none.
    std::span<const uint8_t> operator()(uint64_t address, uint64_t length) const {
        std::span<const uint8_t> bytes = read_(context_, address, length);
        return bytes.size() < length ? std::span<const uint8_t>{} : bytes.first(length);
    }

  private:
    Read read_;
    void* context_;
};

/// A list of fixed capacity; what does not fit is counted, not kept.
template <class T, size_t most>
class Bounded {
  public:
    /// False when the list is full already.
    constexpr bool add(const T& item) {
        if (size_ == most) {
            ++dropped_;
            return false;
        }
        items_[size_++] = item;
        return true;
    }
    constexpr size_t size() const { return size_; }
    constexpr size_t dropped() const { return dropped_; }
    constexpr bool empty() const { return size_ == 0; }
    constexpr const T& operator[](size_t i) const { return items_[i]; }
    constexpr const T* begin() const { return items_.data(); }
    constexpr const T* end() const { return items_.data() + size_; }
    constexpr operator std::span<const T>() const { return {items_.data(), size_}; }

  private:
    std::array<T, most> items_{};
    size_t size_ = 0;
    size_t dropped_ = 0;
};

/// A register's place (Generic Address Structure, section 5.2.3.2). address 0: there is none.
struct AcpiRegister {
    enum class Space : uint8_t { memory = 0, io = 1, pci = 2 };
    Space space = Space::io;
    uint8_t bits = 0;
    uint64_t address = 0;
    constexpr explicit operator bool() const { return address != 0; }
};

struct AcpiIoApic {
    uint64_t address = 0;
    uint32_t gsi_base = 0;  ///< the global system interrupt of its input 0
};

/// Where an ISA interrupt really arrives (MADT type 2, section 5.2.12.5). "Conforms to the bus" is
/// resolved: ISA is active high, edge.
struct AcpiOverride {
    uint8_t irq = 0;
    uint32_t gsi = 0;
    Polarity polarity = Polarity::active_high;
    Trigger trigger = Trigger::edge;
};

/// One range of PCI Express configuration space (ECAM).
struct AcpiEcam {
    uint64_t base = 0;  ///< address of bus 0, even where first_bus is not 0
    uint16_t segment = 0;
    uint8_t first_bus = 0, last_bus = 0;
};

/// What the FADT says of fixed hardware (section 5.2.9).
struct AcpiFixed {
    bool present = false;
    uint16_t smi_command = 0;  ///< I/O port; 0: the machine is in ACPI mode from the start
    uint8_t acpi_enable = 0;
    AcpiRegister pm1a_control, pm1b_control;
    AcpiRegister pm_timer;
    bool pm_timer_32 = false;  ///< the PM timer counts 32 bits, not 24
    bool reset_supported = false;
    AcpiRegister reset;
    uint8_t reset_value = 0;
    bool hardware_reduced = false;  ///< no fixed hardware; sleep by the register below
    AcpiRegister sleep_control;
    bool s5_known = false;
    uint8_t s5_a = 0, s5_b = 0;  ///< SLP_TYP values for S5 (soft off), of PM1a and PM1b
};

/// The serial port that the firmware itself speaks by (SPCR), where it is a 16550 at an I/O port.
struct AcpiSerial {
    uint16_t port = 0;  ///< 0: the firmware names none
    uint32_t baud = 0;  ///< 0: the table does not say
};

/// A table or entry that was skipped.
struct AcpiFault {
    char signature[5] = {};  ///< of the table ("RSDP" for the pointer structure)
    uint64_t address = 0;    ///< of the table
    Error error{nullptr, 0};
};

/// What was read. A partly bad set of tables gives what is good and a list of faults.
struct Acpi {
    /// Parses from the RSDP at a physical address. Error: no usable RSDP, or no usable RSDT/XSDT.
    static Result<Acpi> parse(const PhysicalMemory& memory, uint64_t rsdp_address);
    /// The same with a copy of the RSDP (multiboot2 hands one over): 20 bytes or more.
    static Result<Acpi> parse_rsdp_bytes(const PhysicalMemory& memory,
                                         std::span<const uint8_t> rsdp);
    /// Looks for the RSDP where a BIOS leaves it: the first KiB of the EBDA, then 0xE0000-0xFFFFF
    /// (section 5.2.5.1). Error: there is none.
    static Result<uint64_t> find_rsdp(const PhysicalMemory& memory);

    /// The global system interrupt of an ISA interrupt: the override, or the identity.
    AcpiOverride isa(uint8_t irq) const;

    Bounded<uint32_t, 64> cpus;  ///< APIC ids of the processors that are enabled
    Bounded<AcpiIoApic, 64> io_apics;
    Bounded<AcpiOverride, 16> overrides;
    uint64_t hpet_address = 0;  ///< 0: no HPET
    Bounded<AcpiEcam, 16> ecam;
    AcpiFixed fixed;
    AcpiSerial serial;
    Bounded<AcpiFault, 16> faults;
};

}  // namespace doorbell::platform
