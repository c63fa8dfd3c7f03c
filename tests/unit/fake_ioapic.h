// An I/O APIC, after its datasheet.
#pragma once
#include "firmware/platform/ioapic.h"
#include "tests/unit/fakes.h"

namespace doorbell::test {

/// 82093AA: a select register and a window. Fails when the halves of an unmasked entry are changed.
struct FakeIoApic : FakeDevice {
    static constexpr uint64_t base = 0xFEC00000;
    uint32_t version = 0x00170020;  // 24 inputs
    uint32_t selected = 0;
    uint32_t low[256] = {}, high[256] = {};

    unsigned inputs() const { return (version >> 16 & 0xFF) + 1; }
    uint32_t* entry() {
        if (selected < 0x10 || selected >= 0x10 + 2 * inputs()) return nullptr;
        unsigned n = (selected - 0x10) / 2;
        return selected % 2 == 0 ? &low[n] : &high[n];
    }
    uint64_t on_read(uint64_t address, unsigned bytes) override {
        if (bytes != 4 || address != base + 0x10) return FakeDevice::on_read(address, bytes);
        if (selected == 1) return version;
        if (uint32_t* e = entry()) return *e;
        return FakeDevice::on_read(selected, bytes);
    }
    void on_write(uint64_t address, unsigned bytes, uint64_t value) override {
        if (bytes == 4 && address == base) {
            selected = static_cast<uint32_t>(value);
            return;
        }
        uint32_t* e = bytes == 4 && address == base + 0x10 ? entry() : nullptr;
        if (e == nullptr) return FakeDevice::on_write(address, bytes, value);
        if (selected % 2 == 1)
            EXPECT_TRUE(low[(selected - 0x10) / 2] & 1u << 16)
                << "destination changed while unmasked";
        *e = static_cast<uint32_t>(value) &
             ~(selected % 2 == 0 ? 0x5000u : 0u);  // status bits are read-only
    }
};

}  // namespace doorbell::test
