// Physical memory with ACPI tables, built field by field, for the unit tests and the fuzzer.
#pragma once
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <string_view>
#include <vector>

#include "firmware/platform/acpi.h"

namespace doorbell::test {

using Bytes = std::vector<uint8_t>;

/// Little-endian fields appended one after the other.
struct Body {
    Bytes bytes;
    Body& u8(uint64_t v) { return put(v, 1); }
    Body& u16(uint64_t v) { return put(v, 2); }
    Body& u32(uint64_t v) { return put(v, 4); }
    Body& u64(uint64_t v) { return put(v, 8); }
    Body& zeros(size_t n) {
        bytes.resize(bytes.size() + n);
        return *this;
    }
    Body& text(std::string_view s) {
        bytes.insert(bytes.end(), s.begin(), s.end());
        return *this;
    }
    Body& set(size_t offset, uint64_t v, size_t size) {
        if (bytes.size() < offset + size) bytes.resize(offset + size);
        for (size_t i = 0; i < size; ++i) bytes[offset + i] = static_cast<uint8_t>(v >> 8 * i);
        return *this;
    }
    /// A generic address at `offset`.
    Body& generic(size_t offset, uint8_t space, uint8_t bits, uint64_t address) {
        return set(offset, space, 1).set(offset + 1, bits, 1).set(offset + 4, address, 8);
    }

  private:
    Body& put(uint64_t v, size_t size) { return set(bytes.size(), v, size); }
};

/// Memory from `base`; everything else is outside.
struct AcpiMemory {
    static constexpr uint64_t base = 0xE0000;
    Bytes bytes;

    platform::PhysicalMemory view() {
        return {[](void* self, uint64_t address, uint64_t length) -> std::span<const uint8_t> {
                    auto& all = static_cast<AcpiMemory*>(self)->bytes;
                    if (address < base || address - base > all.size() ||
                        all.size() - (address - base) < length)
                        return {};
                    return std::span<const uint8_t>(all).subspan(address - base, length);
                },
                this};
    }
    /// Sets the byte at `at` so that the `length` bytes at `address` sum to zero.
    void seal(uint64_t address, size_t length, size_t at) {
        uint8_t* table = bytes.data() + (address - base);
        table[at] = 0;
        uint8_t sum = 0;
        for (size_t i = 0; i < length; ++i) sum = static_cast<uint8_t>(sum + table[i]);
        table[at] = static_cast<uint8_t>(-sum);
    }
    uint64_t append(const Bytes& what) {
        bytes.resize((bytes.size() + 15) / 16 * 16);
        uint64_t address = base + bytes.size();
        bytes.insert(bytes.end(), what.begin(), what.end());
        return address;
    }
    /// A table with a header; `body` begins at offset 36. Returns its address.
    uint64_t table(std::string_view signature, const Bytes& body) {
        Body t;
        t.text(signature.substr(0, 4))
            .u32(36 + body.size())
            .u8(1)
            .u8(0)
            .text("DOORBLTESTTABL")
            .u32(1)
            .text("TEST")
            .u32(1);
        t.bytes.insert(t.bytes.end(), body.begin(), body.end());
        uint64_t address = append(t.bytes);
        seal(address, t.bytes.size(), 9);
        return address;
    }
    uint64_t xsdt(std::initializer_list<uint64_t> tables) {
        Body b;
        for (uint64_t t : tables) b.u64(t);
        return table("XSDT", b.bytes);
    }
    uint64_t rsdt(std::initializer_list<uint64_t> tables) {
        Body b;
        for (uint64_t t : tables) b.u32(t);
        return table("RSDT", b.bytes);
    }
    uint64_t rsdp(uint64_t rsdt, uint64_t xsdt) {
        Body b;
        b.text("RSD PTR ").u8(0).text("DOORBL").u8(xsdt != 0 ? 2 : 0).u32(rsdt);
        if (xsdt != 0) b.u32(36).u64(xsdt).u8(0).zeros(3);
        uint64_t address = append(b.bytes);
        seal(address, 20, 8);
        if (xsdt != 0) seal(address, 36, 32);
        return address;
    }
    /// Writes a field of a table and seals the table again.
    void patch(uint64_t table, size_t offset, uint64_t value, size_t size) {
        std::memcpy(&bytes[table - base + offset], &value, size);
        uint32_t length;
        std::memcpy(&length, &bytes[table - base + 4], 4);
        if (table - base + length <= bytes.size()) seal(table, length, 9);
    }
};

}  // namespace doorbell::test
