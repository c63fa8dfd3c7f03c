#include "firmware/platform/ioapic.h"

#include "firmware/cpu/field.h"

namespace doorbell::platform {
namespace {

// Memory-mapped window (section 3.1) and registers behind it (section 3.2).
constexpr uint64_t register_select = 0x00, window = 0x10;
struct Version : cpu::Register<0x01> {
    static constexpr cpu::Field<Version, 16, 8> last_input{};
};
/// The low half of a redirection entry (section 3.2.4) and the high one. Delivery mode 0 is fixed,
/// destination mode 0 physical.
struct Redirection : cpu::Register<0x10> {
    static constexpr cpu::Field<Redirection, 0, 8> vector{};
    static constexpr cpu::Field<Redirection, 13> active_low{};
    static constexpr cpu::Field<Redirection, 15> level{};
    static constexpr cpu::Field<Redirection, 16> masked{};
};
struct RedirectionHigh : cpu::Register<0x11> {
    static constexpr cpu::Field<RedirectionHigh, 24, 8> destination{};
};
/// The index of `input`'s half entry R.
template <class R>
constexpr uint32_t half(unsigned input) {
    return static_cast<uint32_t>(R::address) + 2 * input;
}

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
    cpu::Value<Version> version(io.read(Version::address));
    if (version.word() == 0 || version.word() == ~0u)
        return Lacking{"no I/O APIC answers at this address", registers.base()};
    io.inputs_ = static_cast<unsigned>(Version::last_input.of(version)) + 1;
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
    auto low = Redirection::vector(vector) |
               Redirection::active_low(polarity == Polarity::active_low) |
               Redirection::level(trigger == Trigger::level) | Redirection::masked(masked);
    // Masked while the two halves do not belong together.
    mask(input);
    write(half<RedirectionHigh>(input), RedirectionHigh::destination(apic_id).word());
    write(half<Redirection>(input), low.word());
    return {};
}

void IoApic::set_mask(unsigned input, bool masked) const {
    if (input >= inputs_) return;
    cpu::Value<Redirection> low(read(half<Redirection>(input)));
    low = (low & ~Redirection::masked) | Redirection::masked(masked);
    write(half<Redirection>(input), low.word());
}

uint64_t IoApic::entry(unsigned input) const {
    if (input >= inputs_) return cpu::Value<Redirection>(Redirection::masked).word();
    uint64_t high = read(half<RedirectionHigh>(input));
    return high << 32 | read(half<Redirection>(input));
}

}  // namespace doorbell::platform
