// The high precision event timer: one counter, comparators that interrupt through the IOAPIC.
// Source: IA-PC HPET Specification 1.0a, section 2.3 (registers) and 2.4.
#pragma once
#include <cstdint>

#include "firmware/cpu/access.h"
#include "firmware/cpu/result.h"
#include "firmware/cpu/tsc.h"
#include "firmware/platform/interrupt.h"

namespace doorbell::platform {

class Hpet {
  public:
    static constexpr uint32_t longest_period_fs =
        0x05F5E100;  ///< 100 ns, the most the specification allows

    Hpet() = default;
    /// Legacy replacement off, all comparators silent, counter running from where it was. Error:
    /// nothing there, a period of 0 or over 100 ns, or a counter that stands still.
    static Result<Hpet> bring_up(cpu::Mmio registers);

    uint32_t period_fs() const { return period_fs_; }  ///< femtoseconds a tick
    unsigned timers() const { return timers_; }        ///< comparators
    bool wide() const { return wide_; }                ///< the counter has 64 bits, not 32
    cpu::Mmio registers() const { return registers_; }

    /// The main counter, 32 or 64 bits. By 32-bit reads only, because not every chip takes a 64-bit
    /// read.
    uint64_t counter() const;
    /// Its low 32 bits: one read.
    uint32_t counter32() const { return registers_.read32(main_counter); }
    void start() const { registers_.write32(configuration, 1); }
    void stop() const { registers_.write32(configuration, 0); }

    /// The IOAPIC inputs that timer `n` can be routed to, a bit each (Tn_INT_ROUTE_CAP).
    uint32_t routes(unsigned n) const;
    /// Sets timer `n` to one-shot, 32-bit mode, towards an IOAPIC input, its interrupt enabled.
    /// With Trigger::level the status bit shows the expiry (the way to poll it, with the IOAPIC
    /// input masked); with Trigger::edge it stays 0. Error: no such timer or route. Arm it
    /// afterwards.
    Result<void> configure(unsigned n, unsigned input, Trigger trigger) const;
    /// Timer `n` interrupts when the counter's low 32 bits reach `at`. Choose a value at least the
    /// table's minimum tick and at most 2^31 ticks ahead: one already passed waits for the wrap on
    /// a chip, fires at once in QEMU.
    void arm_one_shot(unsigned n, uint32_t at) const { registers_.write32(comparator(n), at); }
    /// Whether timer `n`'s status bit is set (level mode only).
    bool expired(unsigned n) const { return (registers_.read32(status) >> n & 1) != 0; }
    void clear(unsigned n) const { registers_.write32(status, 1u << n); }
    /// Timer `n` interrupts no more.
    void silence(unsigned n) const;

    /// The counter as a reference for the TSC; it points at this object.
    cpu::ReferenceCounter reference();

    // Offsets of registers (section 2.3.1).
    static constexpr uint64_t capabilities = 0x000, configuration = 0x010, status = 0x020,
                              main_counter = 0x0F0;
    static constexpr uint64_t timer_configuration(unsigned n) { return 0x100 + 0x20 * uint64_t{n}; }
    static constexpr uint64_t comparator(unsigned n) { return 0x108 + 0x20 * uint64_t{n}; }

  private:
    cpu::Mmio registers_;
    uint32_t period_fs_ = 0;
    unsigned timers_ = 0;
    bool wide_ = false;
};

}  // namespace doorbell::platform
