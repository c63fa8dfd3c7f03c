#include "firmware/platform/hpet.h"

namespace doorbell::platform {
namespace {

// Bits of a timer's configuration (section 2.3.8).
constexpr uint32_t level = 1u << 1, interrupt_enable = 1u << 2, periodic = 1u << 3,
                   mode_32 = 1u << 8, route_field = 0x1Fu << 9, fsb_enable = 1u << 14;

// Reads of the counter within which it must have moved; the slowest counter ticks every 100 ns.
constexpr unsigned most_reads = 10000;

}  // namespace

Result<Hpet> Hpet::bring_up(cpu::Mmio registers) {
    uint32_t low = registers.read32(capabilities);
    uint32_t period = registers.read32(capabilities + 4);
    if (low == ~0u || low == 0) return Lacking{"no HPET answers at this address", registers.base()};
    if (period == 0 || period > longest_period_fs)
        return Error{"the HPET names a period that cannot be", period};

    Hpet hpet;
    hpet.registers_ = registers;
    hpet.period_fs_ = period;
    hpet.timers_ = (low >> 8 & 0x1F) + 1;
    hpet.wide_ = (low & 1u << 13) != 0;
    hpet.stop();  // this also turns legacy replacement off
    for (unsigned n = 0; n < hpet.timers_; ++n) hpet.silence(n);
    registers.write32(status, ~0u);
    hpet.start();
    uint32_t first = hpet.counter32();
    for (unsigned i = 0; i < most_reads; ++i)
        if (hpet.counter32() != first) return hpet;
    return Error{"the HPET's counter stands still", first};
}

uint64_t Hpet::counter() const {
    if (!wide_) return counter32();
    for (;;) {
        // Ends: the upper half moves every 7 minutes at most (2^32 ticks of 100 ns; 0.1 ns would be
        // 0.4 s).
        uint32_t high = registers_.read32(main_counter + 4);
        uint32_t low = counter32();
        if (registers_.read32(main_counter + 4) == high) return uint64_t{high} << 32 | low;
    }
}

uint32_t Hpet::routes(unsigned n) const {
    return n < timers_ ? registers_.read32(timer_configuration(n) + 4) : 0;
}

Result<void> Hpet::configure(unsigned n, unsigned input, Trigger trigger) const {
    if (n >= timers_) return Error{"the HPET has no such timer", n};
    if (input > 31 || (routes(n) >> input & 1) == 0)
        return Error{"the HPET's timer cannot be routed to this input", input};
    silence(n);
    uint32_t keep =
        registers_.read32(timer_configuration(n)) & ~(level | periodic | route_field | fsb_enable);
    // 32-bit mode, so that one 32-bit store arms it.
    uint32_t value = keep | mode_32 | input << 9 | (trigger == Trigger::level ? level : 0);
    registers_.write32(timer_configuration(n), value);
    // Far from now, so that enabling the interrupt cannot fire at once; half the range, because a
    // value beyond that counts as passed in some emulators.
    arm_one_shot(n, counter32() + 0x7FFFFFFF);
    clear(n);
    registers_.write32(timer_configuration(n), value | interrupt_enable);
    return {};
}

void Hpet::silence(unsigned n) const {
    if (n >= timers_) return;
    uint32_t value = registers_.read32(timer_configuration(n));
    registers_.write32(timer_configuration(n), value & ~(interrupt_enable | periodic | fsb_enable));
    clear(n);
}

cpu::ReferenceCounter Hpet::reference() {
    return {
        "hpet",     [](void* self) -> uint64_t { return static_cast<Hpet*>(self)->counter32(); },
        this,       1000000000000000,
        period_fs_, 0xFFFFFFFF};
}

}  // namespace doorbell::platform
