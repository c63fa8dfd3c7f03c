// The high precision event timer: one counter, comparators that interrupt through the IOAPIC.
// Source: IA-PC HPET Specification 1.0a, section 2.3 (registers) and 2.4.
#pragma once
#include <cstdint>

#include "firmware/cpu/access.h"
#include "firmware/cpu/register_block.h"
#include "firmware/cpu/result.h"
#include "firmware/cpu/tsc.h"
#include "firmware/platform/interrupt.h"

namespace doorbell::platform {

// The registers, of 32 bits each, in the order of section 2.3.1.
namespace hpet {

struct Block;
struct TimerBlock;  ///< one timer's, Tn_...
using cpu::Field, cpu::Value;

struct Capabilities : cpu::BlockRegister<Block, 0x000> {  ///< section 2.3.4
    static constexpr Field<Capabilities, 8, 5> last_timer{};
    static constexpr Field<Capabilities, 13> wide_counter{};
};
struct Period : cpu::BlockNumber<Block, 0x004> {};         ///< femtoseconds a tick
struct Configuration : cpu::BlockRegister<Block, 0x010> {  ///< section 2.3.5
    static constexpr Field<Configuration, 0> enable{};     ///< the counter runs
};
struct InterruptStatus : cpu::BlockNumber<Block, 0x020> {};  ///< a bit each timer, cleared by 1
struct MainCounter : cpu::BlockNumber<Block, 0x0F0> {};
struct MainCounterHigh : cpu::BlockNumber<Block, 0x0F4> {};

struct TimerConfiguration : cpu::BlockRegister<TimerBlock, 0x00> {  ///< section 2.3.8
    static constexpr Field<TimerConfiguration, 1> level{};
    static constexpr Field<TimerConfiguration, 2> interrupt_enable{};
    static constexpr Field<TimerConfiguration, 3> periodic{};
    static constexpr Field<TimerConfiguration, 8> mode_32{};
    static constexpr Field<TimerConfiguration, 9, 5> route{};
    static constexpr Field<TimerConfiguration, 14> message_enable{};   ///< Tn_FSB_EN_CNF
    static constexpr Field<TimerConfiguration, 15> message_capable{};  ///< Tn_FSB_INT_DEL_CAP
};
struct TimerRoutes : cpu::BlockNumber<TimerBlock, 0x04> {};  ///< inputs it can have, a bit each
struct Comparator : cpu::BlockNumber<TimerBlock, 0x08> {};
struct MessageValue : cpu::BlockNumber<TimerBlock, 0x10> {};  ///< section 2.3.10
struct MessageAddress : cpu::BlockNumber<TimerBlock, 0x14> {};

/// Where timer `n`'s registers begin.
constexpr uint64_t timer_offset(unsigned n) { return 0x100 + 0x20 * uint64_t{n}; }

}  // namespace hpet

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
    /// Where the registers are, for measured code.
    uint64_t base() const { return registers_.at<hpet::Capabilities>().base(); }
    /// Timer `n`'s own registers.
    cpu::RegisterBlock<hpet::TimerBlock> timer(unsigned n) const {
        return cpu::RegisterBlock<hpet::TimerBlock>(
            registers_.at<hpet::Capabilities>().at(hpet::timer_offset(n)));
    }

    /// The main counter, 32 or 64 bits. By 32-bit reads only, because not every chip takes a 64-bit
    /// read.
    uint64_t counter() const;
    /// Its low 32 bits: one read.
    uint32_t counter32() const { return registers_.read<hpet::MainCounter>().word(); }
    /// Only while it is stopped.
    void set_counter32(uint32_t count) const { registers_.write<hpet::MainCounter>(count); }
    void start() const { registers_.write<hpet::Configuration>(hpet::Configuration::enable); }
    void stop() const { registers_.write<hpet::Configuration>({}); }

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
    void arm_one_shot(unsigned n, uint32_t at) const { timer(n).write<hpet::Comparator>(at); }
    /// Whether timer `n`'s status bit is set (level mode only).
    bool expired(unsigned n) const {
        return (registers_.read<hpet::InterruptStatus>().word() >> n & 1) != 0;
    }
    void clear(unsigned n) const { registers_.write<hpet::InterruptStatus>(1u << n); }
    /// Timer `n` interrupts no more.
    void silence(unsigned n) const;

    /// The counter as a reference for the TSC; it points at this object.
    cpu::ReferenceCounter reference();

  private:
    cpu::RegisterBlock<hpet::Block> registers_;
    uint32_t period_fs_ = 0;
    unsigned timers_ = 0;
    bool wide_ = false;
};

}  // namespace doorbell::platform
