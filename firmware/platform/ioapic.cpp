#include "firmware/platform/ioapic.h"

namespace doorbell::platform {
namespace {

// Memory-mapped window (section 3.1) and registers behind it (section 3.2).
constexpr uint64_t register_select = 0x00, window = 0x10;
constexpr uint32_t version_register = 0x01;
constexpr uint32_t redirection(unsigned input) { return 0x10 + 2 * input; }
constexpr uint32_t masked_bit = 1u << 16;

}  // namespace

uint32_t IoApic::read(uint32_t index) const {
    registers_.write32(register_select, index);
    return registers_.read32(window);
}

void IoApic::write(uint32_t index, uint32_t value) const {
    registers_.write32(register_select, index);
    registers_.write32(window, value);
}

Result<IoApic> IoApic::bring_up(cpu::Mmio registers, uint32_t gsi_base) {
    IoApic io;
    io.registers_ = registers;
    io.gsi_base_ = gsi_base;
    uint32_t version = io.read(version_register);
    if (version == 0 || version == ~0u)
        return Lacking{"no I/O APIC answers at this address", registers.base()};
    io.inputs_ = (version >> 16 & 0xFF) + 1;
    // 240 is the most that the register index leaves room for.
    if (io.inputs_ > 240)
        return Error{"an I/O APIC claims more inputs than it can have", io.inputs_};
    for (unsigned i = 0; i < io.inputs_; ++i) io.mask(i);
    return io;
}

Result<void> IoApic::route(unsigned input, uint8_t vector, uint32_t apic_id, Polarity polarity,
                           Trigger trigger, bool masked) const {
    if (input >= inputs_) return Error{"the I/O APIC has no such input", input};
    if (vector < 16) return Error{"an I/O APIC cannot send this vector", vector};
    if (apic_id > 0xFF) return Lacking{"an I/O APIC cannot reach an APIC id over 255", apic_id};
    uint32_t low = vector;  // delivery mode fixed (000), physical destination
    if (polarity == Polarity::active_low) low |= 1u << 13;
    if (trigger == Trigger::level) low |= 1u << 15;
    // Masked while the two halves do not belong together.
    mask(input);
    write(redirection(input) + 1, apic_id << 24);
    write(redirection(input), low | (masked ? masked_bit : 0));
    return {};
}

void IoApic::set_mask(unsigned input, bool masked) const {
    if (input >= inputs_) return;
    uint32_t low = read(redirection(input));
    write(redirection(input), masked ? low | masked_bit : low & ~masked_bit);
}

uint64_t IoApic::entry(unsigned input) const {
    if (input >= inputs_) return masked_bit;
    uint64_t high = read(redirection(input) + 1);
    return high << 32 | read(redirection(input));
}

}  // namespace doorbell::platform
