// A local APIC that follows the SDM's rules: register map, access widths, reserved writes, mode
// changes.
#pragma once
#include <iterator>
#include <set>

#include "firmware/cpu/apic.h"
#include "tests/unit/fakes.h"

namespace doorbell::test {

struct FakeApic {
    static constexpr uint64_t page = 0xFEE00000;

    World world;
    FakeCpuid processor;
    uint64_t base = page | 1 << 8 | 1 << 11;  // bootstrap processor, enabled
    uint32_t max_lvt = 6;
    uint32_t id = 3;
    std::map<uint32_t, uint32_t> registers{
        {0x80, 0x20},     {0xF0, 0xFF},     {0x280, 0},       {0x300, 0},      {0x310, 0},
        {0x380, 0},       {0x3E0, 0},       {0x320, 0x10000}, {0x350, 0x700},  {0x360, 0x400},
        {0x370, 0x10000}, {0x340, 0x10000}, {0x330, 0x10000}, {0x2F0, 0x10000}};  // by xAPIC offset
    std::set<unsigned> in_service, requested;
    unsigned eois = 0;
    uint64_t deadline = 0;
    uint64_t x2_command = 0;
    unsigned command_busy_for = 0;  // reads of the command register that show "pending"
    bool timer_stuck = false;
    uint64_t timer_start = 0;
    uint64_t ticks_per_count = 1;

    FakeApic() {
        processor.leaves[1] = {0, 0, 1u << 21 | 1u << 24, 1u << 9};
        mmio.apic = this;
        mmio.world = &world;
        msr.apic = this;
        msr.world = &world;
    }
    bool x2() const { return (base & 1 << 10) != 0; }

    uint32_t get(uint32_t offset) {
        if (offset == 0x20) return x2() ? id : id << 24;
        if (offset == 0x30) return max_lvt << 16 | 0x15;
        if (offset >= 0x100 && offset < 0x180) return bits(in_service, (offset - 0x100) / 16);
        if (offset >= 0x200 && offset < 0x280) return bits(requested, (offset - 0x200) / 16);
        if (offset == 0x390) return count();
        if (offset == 0x300 && command_busy_for != 0) {
            --command_busy_for;
            return registers[0x300] | 1u << 12;
        }
        if (!exists(offset)) {
            ADD_FAILURE() << "read of an APIC register that does not exist: " << std::hex << offset;
            return 0;
        }
        return registers[offset];
    }
    void set(uint32_t offset, uint32_t value) {
        if (offset == 0xB0) {
            EXPECT_EQ(value, 0u) << "EOI takes only 0";
            ++eois;
            if (!in_service.empty()) in_service.erase(std::prev(in_service.end()));
            return;
        }
        if (offset == 0x280) EXPECT_EQ(value, 0u) << "ESR takes only 0";
        if (!exists(offset)) {
            ADD_FAILURE() << "write of an APIC register that does not exist or is read-only: "
                          << std::hex << offset;
            return;
        }
        if (offset >= 0x320 && offset <= 0x370 && (registers[0xF0] & 0x100) == 0 && offset != 0x320)
            EXPECT_TRUE(value & 1u << 16)
                << "an LVT entry can only be masked while the APIC is disabled";
        registers[offset] = value;
        if (offset == 0x380) timer_start = world.now;
    }
    /// The count at `world.now`: the initial count minus what has passed.
    uint32_t count() const {
        uint64_t initial = registers.at(0x380);
        uint64_t passed = timer_stuck ? 0 : (world.now - timer_start) / ticks_per_count;
        return static_cast<uint32_t>(passed < initial ? initial - passed : 0);
    }
    Result<cpu::LocalApic> bring_up(cpu::ApicMode wanted = cpu::ApicMode::x2apic) {
        return cpu::LocalApic::bring_up(processor.cpuid(), cpu::Msrs(msr), cpu::Mmio(mmio, page),
                                        wanted);
    }

    struct Page : FakeDevice {
        FakeApic* apic = nullptr;
        bool valid(uint64_t address, unsigned bytes) {
            EXPECT_FALSE(apic->x2()) << "the page is not there in x2APIC mode";
            EXPECT_TRUE(apic->base & 1 << 11) << "the APIC is disabled";
            EXPECT_EQ(bytes, 4u);
            EXPECT_EQ(address % 16, 0u) << "registers lie at multiples of 16";
            return address >= page && address < page + 0x1000;
        }
        uint64_t on_read(uint64_t address, unsigned bytes) override {
            return valid(address, bytes) ? apic->get(static_cast<uint32_t>(address - page))
                                         : FakeDevice::on_read(address, bytes);
        }
        void on_write(uint64_t address, unsigned bytes, uint64_t value) override {
            if (!valid(address, bytes)) return FakeDevice::on_write(address, bytes, value);
            apic->set(static_cast<uint32_t>(address - page), static_cast<uint32_t>(value));
        }
    } mmio;

    struct ModelSpecific : FakeDevice {
        FakeApic* apic = nullptr;
        bool is_register(uint64_t msr) const {
            return msr >= 0x800 && msr < 0x840 && apic->x2() && msr != 0x831;
        }
        uint64_t on_read(uint64_t msr, unsigned bytes) override {
            if (msr == 0x1B) return apic->base;
            if (is_register(msr)) return apic->get(static_cast<uint32_t>((msr - 0x800) << 4));
            return FakeDevice::on_read(msr, bytes);
        }
        void on_write(uint64_t msr, unsigned bytes, uint64_t value) override {
            if (msr == 0x1B) {
                bool was_on = apic->base & 1 << 11, was_x2 = apic->x2();
                bool on = value & 1 << 11, x2 = value & 1 << 10;
                EXPECT_FALSE(x2 && !(was_on)) << "#GP: from disabled straight to x2APIC";
                EXPECT_FALSE(was_x2 && on && !x2) << "#GP: from x2APIC straight to xAPIC";
                EXPECT_FALSE(x2 && !(apic->processor.leaves[1].ecx & 1u << 21)) << "#GP: no x2APIC";
                apic->base = value;
                return;
            }
            if (msr == 0x6E0 && (apic->processor.leaves[1].ecx & 1u << 24) != 0) {
                apic->deadline = value;
                return;
            }
            if (msr == 0x830 && apic->x2()) {
                apic->x2_command = value;
                return;
            }
            if (msr == 0x83F && apic->x2()) {
                EXPECT_LT(value, 256u);
                apic->x2_command = 1ull << 18 | value;
                return;
            }
            if (!is_register(msr)) return FakeDevice::on_write(msr, bytes, value);
            EXPECT_EQ(value >> 32, 0u) << "#GP: reserved upper half";
            apic->set(static_cast<uint32_t>((msr - 0x800) << 4), static_cast<uint32_t>(value));
        }
    } msr;

  private:
    bool exists(uint32_t offset) const {
        if (offset == 0x2F0) return max_lvt >= 6;
        if (offset == 0x330) return max_lvt >= 5;
        if (offset == 0x340) return max_lvt >= 4;
        if (offset == 0x310) return !x2();
        return registers.count(offset) != 0;
    }
    static uint32_t bits(const std::set<unsigned>& vectors, unsigned word) {
        uint32_t value = 0;
        for (unsigned v : vectors)
            if (v / 32 == word) value |= 1u << v % 32;
        return value;
    }
};

}  // namespace doorbell::test
