// Configuration space with a few functions, accessed by ECAM or by ports.
#pragma once
#include <array>
#include <cstring>
#include <map>
#include <tuple>
#include <vector>

#include "firmware/platform/pci.h"
#include "tests/unit/fakes.h"

namespace doorbell::test {

/// One function: its bytes, and which bits of each BAR can be written.
struct FakeFunction {
    std::array<uint8_t, 256> bytes{};
    std::array<uint32_t, 6> bar_mask{};
    std::vector<uint16_t> commands;  ///< every value the command register took
    bool sized_while_decoding = false;
    bool gone = false;
    uint16_t command_mask = 0x0407;

    void put8(unsigned at, uint32_t v) { bytes[at] = static_cast<uint8_t>(v); }
    void put16(unsigned at, uint32_t v) {
        put8(at, v);
        put8(at + 1, v >> 8);
    }
    void put32(unsigned at, uint32_t v) {
        put16(at, v);
        put16(at + 2, v >> 16);
    }
    uint32_t get(unsigned at, unsigned n) const {
        uint32_t v = 0;
        for (unsigned i = 0; i < n; ++i) v |= static_cast<uint32_t>(bytes[at + i]) << 8 * i;
        return v;
    }
    /// Ids and class; `header` 0 endpoint, 1 bridge.
    static FakeFunction make(uint16_t vendor, uint16_t device, uint32_t class_code,
                             uint8_t header = 0) {
        FakeFunction f;
        f.put16(0, vendor);
        f.put16(2, device);
        f.put32(8, class_code << 8);
        f.put8(0x0E, header);
        f.put16(4, 0x0003);
        return f;
    }
    /// A memory BAR of `bytes` (a power of two) at `address`; a wide one takes the next one, too.
    void memory_bar(unsigned i, uint64_t address, uint64_t size, bool wide = false) {
        uint64_t mask = ~(size - 1);
        put32(0x10 + 4 * i, static_cast<uint32_t>(address) | (wide ? 4 : 0));
        bar_mask[i] = static_cast<uint32_t>(mask);
        if (!wide) return;
        put32(0x14 + 4 * i, static_cast<uint32_t>(address >> 32));
        bar_mask[i + 1] = static_cast<uint32_t>(mask >> 32);
    }
    /// Adds a capability at `at`, in front of the existing ones.
    void capability(uint8_t id, uint8_t at) {
        put8(at, id);
        put8(at + 1, bytes[0x34]);
        put8(0x34, at);
        put16(6, get(6, 2) | 0x10);
    }
    bool bus_master() const { return (get(4, 2) & 4) != 0; }

    void write(unsigned at, unsigned n, uint32_t value) {
        if (at >= 0x10 && at < 0x28) {
            unsigned i = (at - 0x10) / 4;
            sized_while_decoding |= (get(4, 2) & 3) != 0;
            put32(at, (value & bar_mask[i]) | (get(at, 4) & 0xF & ~bar_mask[i]));
            return;
        }
        if (at == 4) {
            commands.push_back(static_cast<uint16_t>(value));
            put16(4, value & command_mask);
            return;
        }
        for (unsigned b = 0; b < n; ++b) put8(at + b, value >> 8 * b);
    }
};

struct FakeConfig final : FakeDevice {
    std::map<std::tuple<unsigned, unsigned, unsigned>, FakeFunction> functions;

    FakeFunction& add(unsigned bus, unsigned device, unsigned function, const FakeFunction& f) {
        return functions[{bus, device, function}] = f;
    }
    FakeFunction* find(unsigned bus, unsigned device, unsigned function) {
        auto it = functions.find({bus, device, function});
        return it == functions.end() || it->second.gone ? nullptr : &it->second;
    }
    uint64_t on_read(uint64_t a, unsigned bytes) override {
        FakeFunction* f = find(a >> 20, a >> 15 & 31, a >> 12 & 7);
        uint64_t none = bytes == 1 ? 0xFF : bytes == 2 ? 0xFFFF : 0xFFFFFFFF;
        return f == nullptr || (a & 0xFFF) > 255 ? none : f->get(a & 0xFF, bytes);
    }
    void on_write(uint64_t a, unsigned bytes, uint64_t value) override {
        if (FakeFunction* f = find(a >> 20, a >> 15 & 31, a >> 12 & 7))
            f->write(a & 0xFF, bytes, static_cast<uint32_t>(value));
    }
};

/// The same functions behind ports 0xCF8 and 0xCFC.
struct FakeConfigPorts final : FakeDevice {
    FakeConfig& config;
    uint32_t selected = 0;
    explicit FakeConfigPorts(FakeConfig& c) : config(c) {}
    uint64_t place(uint64_t port) const {
        EXPECT_NE(selected & 1u << 31, 0u) << "the enable bit";
        return (selected >> 16 & 0xFF) << 20 | (selected >> 8 & 0xFF) << 12 | (selected & 0xFC) |
               (port & 3);
    }
    uint64_t on_read(uint64_t port, unsigned bytes) override {
        if (port >= 0xCFC && port <= 0xCFF) return config.on_read(place(port), bytes);
        return FakeDevice::on_read(port, bytes);
    }
    void on_write(uint64_t port, unsigned bytes, uint64_t value) override {
        if (port == 0xCF8 && bytes == 4)
            selected = static_cast<uint32_t>(value);
        else if (port >= 0xCFC && port <= 0xCFF)
            config.on_write(place(port), bytes, value);
        else
            FakeDevice::on_write(port, bytes, value);
    }
};

/// Every function of that class, in the order in which it is found.
inline std::vector<platform::PciFunction> find_pci_class(const platform::PciConfig& config,
                                                         uint8_t base_class) {
    std::vector<platform::PciFunction> found;
    platform::for_each_pci_function(config, base_class, [&](platform::PciAddress a) {
        found.push_back(platform::PciFunction::read(config, a));
    });
    return found;
}

/// A configuration that accesses `fake` by ECAM.
inline platform::PciConfig by_ecam(FakeConfig& fake) {
    platform::PciConfig config;
    config.add({0, 0, 0, 255}, cpu::Mmio(fake, 0));
    return config;
}

}  // namespace doorbell::test
