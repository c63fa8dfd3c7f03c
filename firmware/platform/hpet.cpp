#include "firmware/platform/hpet.h"

namespace doorbell::platform {
namespace {

using namespace hpet;

// Reads of the counter within which it must have moved; the slowest counter ticks every 100 ns.
constexpr unsigned most_reads = 10000;

}  // namespace

Result<Hpet> Hpet::bring_up(cpu::Mmio registers) {
    Hpet hpet;
    hpet.registers_ = cpu::RegisterBlock<Block>(registers);
    auto able = hpet.registers_.read<Capabilities>();
    uint32_t period = hpet.registers_.read<Period>().word();
    if (able.word() == ~0u || able.word() == 0)
        return Lacking{"no HPET answers at this address", registers.base()};
    if (period == 0 || period > longest_period_fs)
        return Error{"the HPET reports an impossible period", period};

    hpet.period_fs_ = period;
    hpet.timers_ = static_cast<unsigned>(Capabilities::last_timer.of(able)) + 1;
    hpet.wide_ = static_cast<bool>(able & Capabilities::wide_counter);
    hpet.stop();  // this also turns legacy replacement off
    for (unsigned n = 0; n < hpet.timers_; ++n) hpet.silence(n);
    hpet.registers_.write<InterruptStatus>(~0u);
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
        uint32_t high = registers_.read<MainCounterHigh>().word();
        uint32_t low = counter32();
        if (registers_.read<MainCounterHigh>().word() == high) return uint64_t{high} << 32 | low;
    }
}

uint32_t Hpet::routes(unsigned n) const {
    return n < timers_ ? timer(n).read<TimerRoutes>().word() : 0;
}

Result<void> Hpet::configure(unsigned n, unsigned input, Trigger trigger) const {
    if (n >= timers_) return Error{"the HPET has no such timer", n};
    if (input > 31 || (routes(n) >> input & 1) == 0)
        return Error{"the HPET's timer cannot be routed to this input", input};
    silence(n);
    using T = TimerConfiguration;
    auto keep = timer(n).read<T>() & ~(T::level | T::periodic | T::route | T::message_enable);
    // 32-bit mode, so that one 32-bit store arms it.
    auto value = keep | T::mode_32 | T::route(input) | T::level(trigger == Trigger::level);
    timer(n).write(value);
    // Far from now, so that enabling the interrupt cannot fire at once; half the range, because a
    // value beyond that counts as passed in some emulators.
    arm_one_shot(n, counter32() + 0x7FFFFFFF);
    clear(n);
    timer(n).write(value | T::interrupt_enable);
    return {};
}

void Hpet::silence(unsigned n) const {
    if (n >= timers_) return;
    using T = TimerConfiguration;
    timer(n).write(timer(n).read<T>() & ~(T::interrupt_enable | T::periodic | T::message_enable));
    clear(n);
}

cpu::ReferenceCounter Hpet::reference() {
    return {
        "hpet",     [](void* self) -> uint64_t { return static_cast<Hpet*>(self)->counter32(); },
        this,       1000000000000000,
        period_fs_, 0xFFFFFFFF};
}

}  // namespace doorbell::platform
