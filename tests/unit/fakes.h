// Shared by the fake devices: a clock that advances with every access, and a space that fails the
// test on an address that no device claims.
#pragma once
#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <map>
#include <vector>

#include "firmware/cpu/access.h"

namespace doorbell::test {

/// Simulated time, in ticks of the simulated TSC. Every access costs some.
struct World {
    uint64_t tsc_hz = 1000000000;
    uint64_t now = 12345;
    uint64_t tsc_cost = 10, device_cost = 10;

    /// The present value of a counter of `hz`, in millihertz, so that small drifts can be
    /// expressed.
    uint64_t counter(uint64_t millihertz) const {
        return static_cast<uint64_t>(static_cast<unsigned __int128>(now) * millihertz / 1000 /
                                     tsc_hz);
    }
    cpu::Tsc tsc() {
        return {[](void* self) {
                    auto* w = static_cast<World*>(self);
                    w->now += w->tsc_cost;
                    return w->now;
                },
                this};
    }
};

/// One access that a device saw.
struct Access {
    uint64_t address;
    unsigned bytes;
    uint64_t value;
    bool operator==(const Access&) const = default;
};
inline std::ostream& operator<<(std::ostream& out, const Access& a) {
    return out << std::hex << "[" << a.address << "]/" << a.bytes << "=" << a.value << std::dec;
}

/// A space without addresses: devices derive from it and pass other addresses on.
struct FakeDevice : cpu::FakeSpace {
    World* world = nullptr;
    std::vector<Access> writes;

    uint64_t read(uint64_t address, unsigned bytes) final {
        if (world != nullptr) world->now += world->device_cost;
        return on_read(address, bytes);
    }
    void write(uint64_t address, unsigned bytes, uint64_t value) final {
        if (world != nullptr) world->now += world->device_cost;
        if (writes.size() < 10000) writes.push_back({address, bytes, value});
        on_write(address, bytes, value);
    }
    virtual uint64_t on_read(uint64_t address, unsigned bytes) {
        ADD_FAILURE() << "read of an unknown register: " << std::hex << address << ", " << bytes
                      << " bytes";
        return ~0ull;
    }
    virtual void on_write(uint64_t address, unsigned bytes, uint64_t value) {
        ADD_FAILURE() << "write of an unknown register: " << std::hex << address << ", " << bytes
                      << " bytes, " << value;
    }

  protected:
    ~FakeDevice() = default;
};

/// CPUID leaves by number; a leaf that was not given is all zeros, as on a processor beyond its
/// highest leaf's features.
struct FakeCpuid {
    std::map<uint32_t, cpu::CpuidRegisters> leaves;
    cpu::Cpuid cpuid() {
        return {[](void* self, uint32_t leaf, uint32_t) {
                    auto& all = static_cast<FakeCpuid*>(self)->leaves;
                    auto found = all.find(leaf);
                    return found == all.end() ? cpu::CpuidRegisters{} : found->second;
                },
                this};
    }
};

}  // namespace doorbell::test
