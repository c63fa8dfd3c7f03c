// The part of the instruction format (SDM vol. 2A, "Instruction Format") that the model needs for
// its counts.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "firmware/measure/timestamp_bytes.h"

namespace doorbell::model {

enum class Kind : uint8_t {
    plain,
    branch,
    port_read,
    port_write,
    software_interrupt,
    iretq,
    syscall,
    sysret,
    cr3_write,
    serializing,
    cpuid,
    wrmsr,
    invlpg,
    rdmsr,
    locked,
    lfence,
    mfence,
    timestamp,
    rdtscp,
    pause,
    hlt,
    mwait,
    swapgs,
    xsave,
    xrstor,
    clflush,
    repeated,
    marker,
};

struct Decoded {
    Kind kind = Kind::plain;
    int64_t displacement = 0;  ///< of a conditional branch, or the marker's
};

/// The displacement of `width` (1 or 4) bytes at `offset`, signed; 0 where the instruction ends
/// before it.
inline int64_t displacement_at(const uint8_t* bytes, size_t size, size_t offset, size_t width) {
    if (offset + width > size) return 0;
    if (width == 1) return static_cast<int8_t>(bytes[offset]);
    int32_t value = 0;
    std::memcpy(&value, bytes + offset, 4);
    return value;
}

/// Opcodes of one byte (SDM vol. 2D, "One-byte Opcode Map"), at bytes[at].
inline Decoded decode_one_byte(const uint8_t* bytes, size_t size, size_t at) {
    uint8_t op = bytes[at];
    if ((op >= 0x70 && op <= 0x7F) || (op >= 0xE0 && op <= 0xE3))
        return {Kind::branch, displacement_at(bytes, size, at + 1, 1)};
    switch (op) {
        case 0xE4:
        case 0xE5:
        case 0xEC:
        case 0xED:
        case 0x6C:
        case 0x6D:
            return {Kind::port_read};
        case 0xE6:
        case 0xE7:
        case 0xEE:
        case 0xEF:
        case 0x6E:
        case 0x6F:
            return {Kind::port_write};
        case 0xCC:
        case 0xCD:
            return {Kind::software_interrupt};
        case 0xCF:
            return {Kind::iretq};
        case 0xF4:
            return {Kind::hlt};
        // XCHG with memory locks by itself (SDM vol. 2D, XCHG).
        case 0x86:
        case 0x87:
            return {at + 1 < size && bytes[at + 1] < 0xC0 ? Kind::locked : Kind::plain};
        default:
            return {};
    }
}

/// 0F 01, group 7 (SDM vol. 2D, table A-6).
inline Kind decode_group_7(uint8_t modrm) {
    switch (modrm) {
        case 0xC9:
            return Kind::mwait;
        case 0xE8:
            return Kind::serializing;  // SERIALIZE
        case 0xF8:
            return Kind::swapgs;
        case 0xF9:
            return Kind::rdtscp;
        default:
            break;
    }
    unsigned reg = modrm >> 3 & 7;
    if (modrm >= 0xC0) return Kind::plain;
    return reg == 7 ? Kind::invlpg : reg == 2 || reg == 3 ? Kind::serializing : Kind::plain;
}

/// 0F AE, group 15 (SDM vol. 2D, table A-6).
inline Kind decode_group_15(uint8_t modrm) {
    if (modrm == 0xE8) return Kind::lfence;
    if (modrm == 0xF0) return Kind::mfence;
    unsigned reg = modrm >> 3 & 7;
    if (modrm >= 0xC0) return Kind::plain;
    return reg == 4   ? Kind::xsave
           : reg == 5 ? Kind::xrstor
           : reg == 7 ? Kind::clflush
                      : Kind::plain;
}

/// Opcodes of two bytes (SDM vol. 2D, "Two-byte Opcode Map"): 0F at bytes[at]. `rex_r`: 8 where
/// REX.R is set, else 0.
inline Decoded decode_two_bytes(const uint8_t* bytes, size_t size, size_t at, unsigned rex_r) {
    if (at + 1 >= size) return {};
    uint8_t second = bytes[at + 1], modrm = at + 2 < size ? bytes[at + 2] : 0;
    unsigned reg = modrm >> 3 & 7, control_register = reg | rex_r;
    switch (second) {
        case 0x05:
            return {Kind::syscall};
        case 0x07:
            return {Kind::sysret};
        case 0x1F:
            if (size == 7 && at == 0 && modrm == 0x80)
                return {Kind::marker, displacement_at(bytes, size, 3, 4)};
            return {};
        // MOV to CR8 does not serialise (SDM vol. 3A, "Serializing Instructions").
        case 0x22:
            return {control_register == 3   ? Kind::cr3_write
                    : control_register == 8 ? Kind::plain
                                            : Kind::serializing};
        case 0x31:
            return {at == 0 ? Kind::timestamp : Kind::plain};
        case 0xAE:
            return {decode_group_15(modrm)};
        case 0x30:
            return {Kind::wrmsr};
        case 0x32:
            return {Kind::rdmsr};
        case 0xA2:
            return {Kind::cpuid};
        // INVD, WBINVD; MOV to a debug register (SDM vol. 3A, "Serializing Instructions").
        case 0x08:
        case 0x09:
        case 0x23:
            return {Kind::serializing};
        case 0x00:
            return {reg == 2 || reg == 3 ? Kind::serializing : Kind::plain};  // LLDT, LTR
        case 0x01:
            return {decode_group_7(modrm)};
        default:
            if (second >= 0x80 && second <= 0x8F)
                return {Kind::branch, displacement_at(bytes, size, at + 2, 4)};
            return {};
    }
}

/// `bytes`: the whole instruction, of 64-bit mode or not. Only opcodes with the same meaning in
/// both are decoded.
inline Decoded decode(const uint8_t* bytes, size_t size) {
    size_t at = 0;
    auto prefix = [](uint8_t b) {
        return b == 0x66 || b == 0x67 || b == 0xF2 || b == 0xF3 || b == 0x2E || b == 0x36 ||
               b == 0x3E || b == 0x26 || b == 0x64 || b == 0x65 || b == 0xF0;
    };
    bool lock = false, repeats = false;
    for (; at < size && prefix(bytes[at]); ++at) {
        lock |= bytes[at] == 0xF0;
        repeats |= bytes[at] == 0xF2 || bytes[at] == 0xF3;
    }
    // REX; in 16- and 32-bit code 40..4F are INC and DEC, one byte long.
    unsigned rex_r = 0;
    if (at + 1 < size && (bytes[at] & 0xF0) == 0x40) rex_r = bytes[at++] << 1 & 8;
    if (at >= size) return {};
    if (lock) return {Kind::locked};
    if (repeats &&
        ((bytes[at] >= 0xA4 && bytes[at] <= 0xA7) || (bytes[at] >= 0xAA && bytes[at] <= 0xAF)))
        return {Kind::repeated};
    if (bytes[at] == 0x90 && at != 0 && bytes[at - 1] == 0xF3) return {Kind::pause};
    return bytes[at] == 0x0F ? decode_two_bytes(bytes, size, at, rex_r)
                             : decode_one_byte(bytes, size, at);
}

/// Whether begin_tail_length bytes are what follows RDTSC in begin()
/// (firmware/measure/timestamp_bytes.h). In place of the register that takes the value there may be
/// (REGISTER), other than RSP, RBP, R12 and R13, whose forms are longer.
inline bool is_begin_tail(const uint8_t* b) {
    using measure::begin_tail_bytes, measure::lfence_bytes;
    const uint8_t *mov = b + sizeof begin_tail_bytes, *fence = mov + measure::begin_mov_bytes;
    return std::memcmp(b, begin_tail_bytes, sizeof begin_tail_bytes) == 0 &&
           (mov[0] & 0xFE) == 0x48 && mov[1] == 0x89 &&
           ((mov[2] & 0xF8) == 0xC0 || (mov[2] < 8 && mov[2] != 4 && mov[2] != 5)) &&
           std::memcmp(fence, lfence_bytes, sizeof lfence_bytes) == 0;
}

}  // namespace doorbell::model
