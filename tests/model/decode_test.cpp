// What the model reads from the bytes of an instruction.
#include "host/model/decode.h"

#include <gtest/gtest.h>

#include <vector>

namespace doorbell::model {
namespace {

TEST(Decode, WhatIsCountedIsTold) {
    struct {
        std::vector<uint8_t> bytes;
        Kind kind;
        int64_t displacement;
    } cases[] = {
        {{0x74, 0xFE}, Kind::branch, -2},
        {{0x0F, 0x85, 0x10, 0, 0, 0}, Kind::branch, 16},
        {{0x2E, 0x75, 0x02}, Kind::branch, 2},
        {{0xE3, 0x05}, Kind::branch, 5},
        {{0xCD, 0x80}, Kind::software_interrupt, 0},
        {{0x48, 0xCF}, Kind::iretq, 0},
        {{0x0F, 0x05}, Kind::syscall, 0},
        {{0x48, 0x0F, 0x07}, Kind::sysret, 0},
        {{0x0F, 0x22, 0xD8}, Kind::cr3_write, 0},
        {{0x0F, 0x22, 0xC0}, Kind::serializing, 0},
        {{0x41, 0x0F, 0x22, 0xD8}, Kind::cr3_write, 0},  // mov %r8, %cr3
        {{0x44, 0x0F, 0x22, 0xC0}, Kind::plain, 0},      // mov %rax, %cr8
        {{0x45, 0x0F, 0x22, 0xC0}, Kind::plain, 0},      // mov %r8, %cr8
        {{0x0F, 0x20, 0xD8}, Kind::plain, 0},
        {{0x0F, 0xA2}, Kind::cpuid, 0},
        {{0x0F, 0x30}, Kind::wrmsr, 0},
        {{0x0F, 0x32}, Kind::rdmsr, 0},
        {{0x0F, 0x09}, Kind::serializing, 0},
        {{0xF0, 0x48, 0x83, 0x07, 0x01}, Kind::locked, 0},
        {{0x48, 0x87, 0x07}, Kind::locked, 0},  // xchg %rax, (%rdi)
        {{0x48, 0x87, 0xC7}, Kind::plain, 0},   // xchg %rax, %rdi
        {{0xF3, 0x90}, Kind::pause, 0},
        {{0x90}, Kind::plain, 0},
        {{0xF4}, Kind::hlt, 0},
        {{0x0F, 0x01, 0xC9}, Kind::mwait, 0},
        {{0x0F, 0x01, 0xF8}, Kind::swapgs, 0},
        {{0x0F, 0x01, 0xF9}, Kind::rdtscp, 0},
        {{0x0F, 0x01, 0xE8}, Kind::serializing, 0},  // serialize
        {{0x48, 0x0F, 0xAE, 0x27}, Kind::xsave, 0},
        {{0x48, 0x0F, 0xAE, 0x2F}, Kind::xrstor, 0},
        {{0x0F, 0xAE, 0x3F}, Kind::clflush, 0},
        {{0xF3, 0xA4}, Kind::repeated, 0},        // rep movsb
        {{0xF3, 0x48, 0xAB}, Kind::repeated, 0},  // rep stosq
        {{0xA4}, Kind::plain, 0},
        {{0xEC}, Kind::port_read, 0},
        {{0xEE}, Kind::port_write, 0},
        {{0xE6, 0x80}, Kind::port_write, 0},
        {{0x0F, 0x1F, 0x80, 0x40, 0, 0x20, 0}, Kind::marker, 0x200040},
        {{0x0F, 0x1F, 0x00}, Kind::plain, 0},
        {{0x0F, 0x31}, Kind::timestamp, 0},
        {{0x0F, 0xAE, 0xE8}, Kind::lfence, 0},
        {{0x0F, 0xAE, 0xF0}, Kind::mfence, 0},
        {{0x0F, 0x01, 0x38}, Kind::invlpg, 0},
        {{0x0F, 0x01, 0x1F}, Kind::serializing, 0},  // lidt
        {{0x48, 0x89, 0xC8}, Kind::plain, 0},
    };
    for (const auto& c : cases) {
        Decoded d = decode(c.bytes.data(), c.bytes.size());
        EXPECT_EQ(d.kind, c.kind) << std::hex << unsigned{c.bytes[0]} << " "
                                  << unsigned{c.bytes.back()};
        if (c.kind == Kind::branch || c.kind == Kind::marker)
            EXPECT_EQ(d.displacement, c.displacement);
    }
}

}  // namespace
}  // namespace doorbell::model
