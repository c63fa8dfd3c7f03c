// Intel's performance monitoring as the SDM describes it (vol. 3B, 20.2), and AMD's core counters
// (APM vol. 2, 13.2): counters of their widths, enable bits at both places, reserved and locked
// bits, global control.
#pragma once
#include <algorithm>
#include <functional>

#include "firmware/cpu/features.h"
#include "firmware/cpu/pmu.h"
#include "tests/unit/fakes.h"

namespace doorbell::test {

struct FakeIntelPmu : FakeDevice {
    FakeCpuid processor;
    cpu::Features features;
    unsigned version = 4, programmable = 4, fixed = 3, width = 48, fixed_width = 48;
    uint64_t selects[8] = {}, counters[8] = {}, fixed_counters[4] = {}, fixed_control = 0,
             global = 0, overflow = 0;
    uint64_t locked_select_bits = 0;  ///< bits of event select 0 that take no write

    void promise() {
        processor.leaves[0xA] = {version | programmable << 8 | width << 16 | 7u << 24, 0,
                                 version >= 5 ? (1u << fixed) - 1 : 0,
                                 version >= 2 ? fixed | fixed_width << 5 : 0};
        features.max_leaf = 0xA;
        std::copy_n("GenuineIntel", 13, features.vendor);
        features.family = 6;
        features.model = 0x55;
    }
    static uint64_t low(unsigned bits) { return (1ull << bits) - 1; }
    /// SDM 20.2.4: while CTR_Frz is set nothing counts, whatever is enabled.
    bool globally(unsigned bit) const {
        return version < 2 ||
               ((global >> bit & 1) != 0 && (version < 4 || (overflow >> 59 & 1) == 0));
    }

    /// `events` of event select `code` (event and unit mask) happen in ring 0.
    void happen(uint16_t code, uint64_t events) {
        for (unsigned i = 0; i < programmable; ++i) {
            bool on = (selects[i] >> 22 & 1) != 0 && (selects[i] >> 17 & 1) != 0 &&
                      (selects[i] & 0xFFFF) == code && globally(i);
            if (!on) continue;
            if (counters[i] + events > low(width)) overflow |= 1ull << i;
            counters[i] = (counters[i] + events) & low(width);
        }
        static constexpr uint16_t codes[3] = {0x00C0, 0x003C, 0x013C};
        for (unsigned i = 0; i < fixed && i < 3; ++i) {
            if (codes[i] != code || (fixed_control >> 4 * i & 1) == 0 || !globally(32 + i))
                continue;
            if (fixed_counters[i] + events > low(fixed_width)) overflow |= 1ull << (32 + i);
            fixed_counters[i] = (fixed_counters[i] + events) & low(fixed_width);
        }
    }

    uint64_t* known(uint64_t msr) {
        if (msr >= 0x186 && msr < 0x186 + programmable) return &selects[msr - 0x186];
        if (msr >= 0xC1 && msr < 0xC1 + programmable) return &counters[msr - 0xC1];
        if (version >= 2 && msr >= 0x309 && msr < 0x309 + fixed)
            return &fixed_counters[msr - 0x309];
        if (version >= 2 && msr == 0x38D) return &fixed_control;
        if (version >= 2 && msr == 0x38F) return &global;
        return nullptr;
    }
    uint64_t on_read(uint64_t msr, unsigned bytes) override {
        if (version >= 2 && msr == 0x38E) return overflow;
        uint64_t* r = known(msr);
        return r != nullptr ? *r : FakeDevice::on_read(msr, bytes);
    }
    void on_write(uint64_t msr, unsigned bytes, uint64_t value) override {
        if (version >= 2 && msr == 0x390) {
            uint64_t known_bits = low(programmable) | low(fixed) << 32 | 3ull << 62 |
                                  (version >= 3 ? 1ull << 61 : 0) | (version >= 4 ? 7ull << 58 : 0);
            EXPECT_EQ(value & ~known_bits, 0u)
                << "reserved bits of IA32_PERF_GLOBAL_OVF_CTRL raise #GP";
            overflow &= ~value;
            return;
        }
        uint64_t* r = known(msr);
        if (r == nullptr) return FakeDevice::on_write(msr, bytes, value);
        if (msr >= 0x186 && msr < 0x186 + programmable) {
            EXPECT_EQ(value >> 32, 0u) << "reserved bits of IA32_PERFEVTSELx raise #GP";
            // AnyThread is version 3's and 4's, and deprecated by CPUID.0AH:EDX[15] in 5.
            EXPECT_EQ(value >> 21 & 1, 0u) << "AnyThread is not for one processor's counts";
            EXPECT_EQ(value >> 20 & 1, 0u) << "an overflow interrupt has no handler here";
            if (msr == 0x186) value = (value & ~locked_select_bits) | (*r & locked_select_bits);
        }
        // SDM 20.2.1: a write to IA32_PMCx without full-width writes is sign-extended from bit 31.
        if (msr >= 0xC1 && msr < 0xC1 + programmable)
            value = static_cast<uint64_t>(static_cast<int64_t>(static_cast<int32_t>(value))) &
                    low(width);
        if (msr == 0x38F)
            EXPECT_EQ(value & ~(low(programmable) | low(fixed) << 32), 0u)
                << "reserved bits of IA32_PERF_GLOBAL_CTRL raise #GP";
        if (msr == 0x38D) {
            EXPECT_EQ(value >> 4 * fixed, 0u) << "reserved bits of IA32_FIXED_CTR_CTRL raise #GP";
            EXPECT_EQ(value & 0xCCCCCCCC, 0u)
                << "neither AnyThread nor an overflow interrupt is wanted of a fixed counter";
        }
        // SDM 20.2.2: bits beyond the width of a fixed counter are reserved.
        if (msr >= 0x309 && msr < 0x309 + fixed)
            EXPECT_EQ(value >> fixed_width, 0u) << "reserved bits of IA32_FIXED_CTRx raise #GP";
        *r = value;
    }
    Result<cpu::Pmu> find() {
        promise();
        return cpu::Pmu::find(processor.cpuid(), cpu::Msrs(*this), features);
    }
};

struct FakeAmdPmu : FakeDevice {
    FakeCpuid processor;
    cpu::Features features;
    bool version2 = false;
    uint32_t family = 0x17, model = 0x71;
    uint64_t controls[6] = {}, counters[6] = {}, global = 0, status = 0;

    void happen(uint16_t event, uint8_t umask, uint64_t events) {
        for (unsigned i = 0; i < 6; ++i) {
            uint64_t c = controls[i];
            uint64_t selected = (c & 0xFF) | (c >> 24 & 0xF00);
            bool on = (c >> 22 & 1) != 0 && (c >> 17 & 1) != 0 && selected == event &&
                      (c >> 8 & 0xFF) == umask &&
                      (!version2 || ((global >> i & 1) != 0 && (status >> 59 & 1) == 0));
            if (on) counters[i] = (counters[i] + events) & ((1ull << 48) - 1);
        }
    }
    uint64_t* known(uint64_t msr) {
        if (msr >= 0xC0010200 && msr < 0xC001020C)
            return (msr & 1) != 0 ? &counters[(msr - 0xC0010201) / 2]
                                  : &controls[(msr - 0xC0010200) / 2];
        return version2 && msr == 0xC0000301 ? &global : nullptr;
    }
    uint64_t on_read(uint64_t msr, unsigned bytes) override {
        if (version2 && msr == 0xC0000300) return status;
        uint64_t* r = known(msr);
        return r != nullptr ? *r : FakeDevice::on_read(msr, bytes);
    }
    void on_write(uint64_t msr, unsigned bytes, uint64_t value) override {
        if (version2 && msr == 0xC0000302) {
            status &= ~value;
            return;
        }
        uint64_t* r = known(msr);
        if (r == nullptr) return FakeDevice::on_write(msr, bytes, value);
        // APM vol. 2, 13.2.1: bits 63:42 and 39:36, 21 and 19 of PERF_CTL are reserved.
        if (r >= controls && r < controls + 6)
            EXPECT_EQ(value & (~0ull << 42 | 0xFull << 36 | 1ull << 21 | 1ull << 19), 0u)
                << "reserved bits of PERF_CTLx";
        if (r == &global) EXPECT_EQ(value >> 6, 0u) << "reserved bits of PerfCntrGlobalCtl";
        *r = value;
    }
    Result<cpu::Pmu> find() {
        std::copy_n("AuthenticAMD", 13, features.vendor);
        features.family = family;
        features.model = model;
        features.max_extended_leaf = 0x80000022;
        processor.leaves[0x80000001].ecx = 1u << 23;
        if (version2) processor.leaves[0x80000022] = {1, 6, 0, 0};
        return cpu::Pmu::find(processor.cpuid(), cpu::Msrs(*this), features);
    }
};

}  // namespace doorbell::test
