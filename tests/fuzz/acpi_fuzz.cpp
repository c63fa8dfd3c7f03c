// Fuzzes the ACPI parser. The first byte of an input chooses how the rest is read: even, as raw
// memory with the RSDP at its start; odd, as a list of tables (signature, length, body) that get
// headers and right checksums, so that the fuzzer gets past them. On any input the parser must end,
// stay inside memory and keep its promises.
#include <algorithm>
#include <cstdlib>

#include "tests/unit/acpi_builder.h"

namespace {

using doorbell::platform::Acpi;
using doorbell::test::AcpiMemory;
using doorbell::test::Body;
using doorbell::test::Bytes;

void require(bool truth) {
    if (!truth) std::abort();
}

void check(const doorbell::Result<Acpi>& acpi) {
    if (!acpi) {
        require(acpi.error().what != nullptr);
        return;
    }
    for (size_t i = 0; i < acpi->cpus.size(); ++i)
        for (size_t k = 0; k < i; ++k) require(acpi->cpus[i] != acpi->cpus[k]);
    for (const auto& io : acpi->io_apics) require(io.address != 0);
    for (const auto& o : acpi->overrides) require(o.irq < 16);
    for (const auto& e : acpi->ecam) require(e.base != 0 && e.first_bus <= e.last_bus);
    for (const auto& f : acpi->faults) require(f.error.what != nullptr && f.signature[4] == 0);
    require(acpi->fixed.s5_a < 8 && acpi->fixed.s5_b < 8);
    const auto& timer = acpi->fixed.pm_timer;
    require(timer.space != doorbell::platform::AcpiRegister::Space::io || timer.address <= 0xFFFF);
}

void as_tables(const uint8_t* data, size_t size) {
    static constexpr const char* signatures[] = {"APIC", "HPET", "MCFG", "FACP",
                                                 "SSDT", "XSDT", "WAET", "DSDT"};
    AcpiMemory memory;
    Body root;
    uint64_t dsdt = 0;
    for (size_t at = 0; at + 2 <= size;) {
        const char* signature = signatures[data[at] % 8];
        size_t length = std::min<size_t>(data[at + 1] * 2, size - at - 2);
        Bytes body(data + at + 2, data + at + 2 + length);
        // A FADT points at the DSDT in front of it, unless its own bytes differ.
        if (std::string_view(signature) == "FACP" && body.size() >= 8 && body[4] == 0) {
            Body patched{body};
            body = patched.set(4, dsdt, 4).bytes;
        }
        uint64_t address = memory.table(signature, body);
        if (std::string_view(signature) == "DSDT") dsdt = address;
        root.u64(address);
        at += 2 + length;
    }
    check(Acpi::parse(memory.view(), memory.rsdp(0, memory.table("XSDT", root.bytes))));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    if (data[0] % 2 != 0) {
        as_tables(data + 1, size - 1);
        return 0;
    }
    AcpiMemory memory;
    memory.bytes.assign(data + 1, data + size);
    check(Acpi::parse(memory.view(), AcpiMemory::base));
    check(Acpi::parse_rsdp_bytes(memory.view(), memory.bytes));
    if (auto found = Acpi::find_rsdp(memory.view())) check(Acpi::parse(memory.view(), *found));
    return 0;
}
