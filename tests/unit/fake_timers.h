// Fake PIT, HPET and PM timer, written after the datasheets, which run on a World's time.
#pragma once
#include "tests/unit/fakes.h"

namespace doorbell::test {

/// 8254 channels 0 and 2 in mode 0, latch and read-back commands, and port 0x61.
struct FakePit : FakeDevice {
    uint64_t millihertz = 1193181818;
    bool stuck = false;
    uint8_t gate = 0x30;
    struct Channel {
        bool loaded = false;
        uint32_t count = 0;
        uint64_t start = 0;
        int bytes_written = 0, bytes_read = 0;
        uint32_t half = 0;
        bool latched = false, status_latched = false;
        uint16_t latch = 0;
        uint8_t status = 0;
    } channels[3];

    explicit FakePit(World& w) { world = &w; }
    uint64_t ticks(const Channel& c) const {
        return stuck ? 0 : world->counter(millihertz) - c.start;
    }
    uint16_t count(const Channel& c) const { return static_cast<uint16_t>(c.count - ticks(c)); }
    bool out(const Channel& c) const {
        return c.loaded && ticks(c) >= (c.count == 0 ? 65536u : c.count) + 1;
    }

    uint64_t on_read(uint64_t port, unsigned bytes) override {
        if (bytes == 1 && port == 0x61) return gate;
        if (bytes != 1 || (port != 0x40 && port != 0x42)) return FakeDevice::on_read(port, bytes);
        Channel& c = channels[port - 0x40];
        if (c.status_latched) {
            c.status_latched = false;
            return c.status;
        }
        uint16_t value = c.latched ? c.latch : count(c);
        bool high = c.bytes_read++ % 2 != 0;
        if (high) c.latched = false;
        return high ? value >> 8 : value & 0xFF;
    }
    void on_write(uint64_t port, unsigned bytes, uint64_t value) override {
        if (bytes == 1 && port == 0x61) {
            EXPECT_EQ(value & 0x02, 0u) << "the speaker is on";
            gate = static_cast<uint8_t>(value & 0x0F);
        } else if (bytes == 1 && port == 0x43) {
            command(static_cast<uint8_t>(value));
        } else if (bytes == 1 && (port == 0x40 || port == 0x42)) {
            Channel& c = channels[port - 0x40];
            if (port == 0x42) EXPECT_TRUE(gate & 1) << "channel 2 does not count without its gate";
            if (c.bytes_written++ % 2 == 0) {
                c.half = static_cast<uint32_t>(value);
                return;
            }
            c.count = c.half | static_cast<uint32_t>(value) << 8;
            c.start = world->counter(millihertz);
            c.loaded = true;
        } else {
            FakeDevice::on_write(port, bytes, value);
        }
    }
    void command(uint8_t v) {
        if (v >> 6 == 3) {  // read-back
            for (unsigned n : {0u, 2u}) {
                if ((v >> (n + 1) & 1) == 0) continue;
                Channel& c = channels[n];
                if ((v & 0x20) == 0) latch(c);
                if ((v & 0x10) == 0) {
                    c.status_latched = true;
                    c.status =
                        static_cast<uint8_t>((out(c) ? 0x80 : 0) | (c.loaded ? 0 : 0x40) | 0x30);
                }
            }
            return;
        }
        EXPECT_NE(v >> 6, 1) << "channel 1 belongs to nobody";
        Channel& c = channels[v >> 6];
        if ((v & 0x30) == 0) return latch(c);
        EXPECT_EQ(v & 0x3F, 0x30) << "only mode 0, both bytes, binary, is expected";
        c = {};
    }
    void latch(Channel& c) {
        if (c.latched) return;
        c.latched = true;
        c.latch = count(c);
    }
};

/// HPET register block; fails on 64-bit accesses, which not every chip supports.
struct FakeHpet : FakeDevice {
    static constexpr uint64_t base = 0xFED00000;
    uint64_t millihertz = 100000000000;                     // 100 MHz
    uint32_t capabilities = 0x8086A201, period = 10000000;  // 3 timers, 64 bits
    uint32_t routes[3] = {0x00FF0104, 0x00FF0104, 0x00000000};
    uint64_t offset = 0;
    bool stuck = false;
    uint32_t configuration = 0, status = 0;
    uint32_t timer_configuration[3] = {0x4004, 0x000C, 0};  // as a firmware may leave them
    uint32_t comparators[3] = {};

    explicit FakeHpet(World& w) { world = &w; }
    uint64_t counter() const { return stuck ? offset : offset + world->counter(millihertz); }
    void advance_status() {
        for (unsigned n = 0; n < 3; ++n) {
            bool on = (timer_configuration[n] & 4) != 0 && (configuration & 1) != 0;
            bool passed =
                static_cast<int32_t>(static_cast<uint32_t>(counter()) - comparators[n]) >= 0;
            if (on && passed && (timer_configuration[n] & 2) != 0) status |= 1u << n;
        }
    }
    uint64_t on_read(uint64_t address, unsigned bytes) override {
        uint64_t at = address - base;
        if (bytes != 4 || at >= 0x160) return FakeDevice::on_read(address, bytes);
        switch (at) {
            case 0x000:
                return capabilities;
            case 0x004:
                return period;
            case 0x010:
                return configuration;
            case 0x020:
                advance_status();
                return status;
            case 0x0F0:
                return static_cast<uint32_t>(counter());
            case 0x0F4:
                return counter() >> 32;
            default:
                break;
        }
        unsigned n = static_cast<unsigned>((at - 0x100) / 0x20);
        if (at == 0x100 + 0x20 * n) return timer_configuration[n] | 0x20;
        if (at == 0x104 + 0x20 * n) return routes[n];
        return FakeDevice::on_read(address, bytes);
    }
    void on_write(uint64_t address, unsigned bytes, uint64_t value) override {
        uint64_t at = address - base;
        auto v = static_cast<uint32_t>(value);
        if (bytes != 4 || at >= 0x160) return FakeDevice::on_write(address, bytes, value);
        if (at == 0x010) {
            EXPECT_EQ(v & 2, 0u) << "legacy replacement";
            configuration = v;
            return;
        }
        if (at == 0x020) {
            status &= ~v;
            return;
        }
        unsigned n = static_cast<unsigned>((at - 0x100) / 0x20);
        if (at == 0x100 + 0x20 * n) {
            timer_configuration[n] = v & ~0x20u;  // the size is read-only
            return;
        }
        if (at == 0x108 + 0x20 * n) {
            EXPECT_TRUE(timer_configuration[n] & 0x100)
                << "32-bit store to a comparator in 64-bit mode";
            comparators[n] = v;
            return;
        }
        FakeDevice::on_write(address, bytes, value);
    }
};

/// The ACPI PM timer at port 0x608.
struct FakePmTimer : FakeDevice {
    uint64_t millihertz = 3579545000;
    uint64_t offset = 0;
    uint32_t mask = 0xFFFFFF;
    uint32_t upper = 0;  ///< what a 24-bit timer shows in its upper byte
    bool stuck = false;
    explicit FakePmTimer(World& w) { world = &w; }
    uint64_t on_read(uint64_t port, unsigned bytes) override {
        if (port != 0x608 || bytes != 4) return FakeDevice::on_read(port, bytes);
        uint64_t value = stuck ? offset : offset + world->counter(millihertz);
        return (value & mask) | (upper & ~mask);
    }
};

}  // namespace doorbell::test
