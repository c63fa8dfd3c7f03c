// Timers as sources of events, for the labs that wait for one. Image only.
#pragma once
#include <cstdint>

#include "firmware/cpu/apic.h"
#include "firmware/cpu/rate.h"
#include "firmware/cpu/result.h"
#include "firmware/measure/hold.h"
#include "firmware/measure/timestamp.h"
#include "firmware/platform/machine.h"
#include "labs/kit/bench.h"

namespace doorbell::labs {

/// The timestamp that stands directly in front of the arming store is one instruction older than
/// the store.
inline constexpr uint64_t to_the_store = 1;

// A source: arm(delay in ticks) starts it and gives the deadline; passed() asks the device once
// whether that has passed; wait_by_poll(begin) asks from the tick `begin` on until it says so, and
// gives the first timestamp after that; expire() makes the device say so at once; open()/close()
// let its interrupt through or not.

class LapicTimer {
  public:
    LapicTimer(Bench& bench, uint8_t vector)
        : apic_(*bench.machine.apic.device), rate_(bench.machine.apic_rate), vector_(vector) {}
    Result<void> open(bool interrupts) {
        apic_.set_divide_1();
        apic_.set_timer_mode(cpu::TimerMode::one_shot, vector_, !interrupts);
        return {};
    }
    void close() { apic_.set_timer_mode(cpu::TimerMode::one_shot, vector_, true); }

    uint64_t arm(uint64_t delay) const {
        uint32_t count = rate_.counts_to_load(delay);
        uint64_t ticks = rate_.ticks(count);
        uint32_t low, high;
        if (apic_.x2()) {
            asm volatile("lfence\n\trdtsc" : "=a"(low), "=d"(high) : : "memory");
            apic_.set_initial_count(count);
        } else {
            asm volatile("lfence\n\trdtsc\n\tmovl %2, (%3)"
                         : "=&a"(low), "=&d"(high)
                         : "r"(count), "r"(apic_.xapic().base() +
                                           static_cast<uint64_t>(cpu::ApicRegister::initial_count))
                         : "memory");
        }
        return (uint64_t{high} << 32 | low) + to_the_store + ticks;
    }
    bool passed() const { return apic_.current_count() == 0; }
    void expire() const { apic_.set_initial_count(0); }
    uint64_t wait_by_poll(uint64_t begin) const {
        uint32_t low, high;
        if (apic_.x2())
            asm volatile(DOORBELL_HOLD
                         "movl $0x839, %%ecx\n"
                         "1:\trdmsr\n\ttestl %%eax, %%eax\n\tjnz 1b\n\tlfence\n\trdtsc"
                         : "=&a"(low), "=&d"(high), "+c"(begin)
                         :
                         : "memory", "cc");
        else
            asm volatile(DOORBELL_HOLD
                         "1:\tmovl (%3), %%eax\n\ttestl %%eax, %%eax\n\tjnz 1b\n\tlfence\n\trdtsc"
                         : "=&a"(low), "=&d"(high), "+c"(begin)
                         : "r"(apic_.xapic().base() +
                               static_cast<uint64_t>(cpu::ApicRegister::current_count))
                         : "memory", "cc");
        return uint64_t{high} << 32 | low;
    }

  private:
    const cpu::LocalApic& apic_;
    cpu::TimerRate rate_;
    uint8_t vector_;
};

class HpetTimer {
  public:
    HpetTimer(Bench& bench, uint8_t vector)
        : bench_(bench), machine_(bench.machine), vector_(vector) {
        if (!machine_.hpet) return;
        // Ticks of the TSC a tick of the HPET: period in fs times Hz over 10^15.
        constexpr uint64_t fs_a_second = 1000000000000000;
        rate_ = cpu::TimerRate::of(machine_.hpet->period_fs() * machine_.tsc.hz, fs_a_second);
    }
    Result<void> open(bool interrupts) {
        if (!machine_.hpet) return machine_.hpet.absent;
        // Inputs from 16 on are not ISA interrupts; the highest is the least likely to be shared.
        for (unsigned input = 24; input-- > 16;) {
            if ((machine_.hpet->routes(0) >> input & 1) == 0) continue;
            const platform::IoApic* io = machine_.io_apic_for(input);
            if (io == nullptr) continue;
            DOORBELL_TRY(io->route(input - io->gsi_base(), vector_, machine_.apic->id(),
                                   platform::Polarity::active_high, platform::Trigger::edge,
                                   !interrupts));
            io_ = io;
            input_ = input - io->gsi_base();
            return machine_.hpet->configure(0, input, platform::Trigger::edge);
        }
        return Lacking{"the HPET cannot interrupt at any IOAPIC input from 16 to 23"};
    }
    /// The same without the IOAPIC: the comparator sends the message itself (IA-PC HPET 1.0a,
    /// sections 2.3.8 and 2.3.10, "FSB"; the message as in SDM vol. 3A, "Message Signalled
    /// Interrupts").
    Result<void> open_by_message() {
        if (!machine_.hpet) return machine_.hpet.absent;
        using Configuration = platform::hpet::TimerConfiguration;
        auto timer = machine_.hpet->timer(0);
        if (!(timer.read<Configuration>() & Configuration::message_capable))
            return Lacking{
                "the HPET cannot send messages (Tn_FSB_INT_DEL_CAP); a card's are source=nic"};
        uint32_t able = machine_.hpet->routes(0);
        if (able != 0)
            DOORBELL_TRY(machine_.hpet->configure(0, static_cast<unsigned>(__builtin_ctz(able)),
                                                  platform::Trigger::edge));
        timer.write<platform::hpet::MessageValue>(vector_);
        timer.write<platform::hpet::MessageAddress>(0xFEE00000 | machine_.apic->id() << 12);
        timer.write(timer.read<Configuration>() | Configuration::message_enable);
        return {};
    }
    void close() {
        machine_.hpet->silence(0);
        if (io_ != nullptr) io_->mask(input_);
    }
    /// The comparator counts whole ticks of the HPET, so arming waits for an edge. The deadline is
    /// counted from the last timestamp before the edge was seen: a latency may be overstated by one
    /// read, never understated.
    /// Where the clock counts instructions, it begins at a phase of the HPET that the seed chooses.
    uint64_t arm(uint64_t delay) {
        constexpr uint64_t grid = 10000, phases = 64;
        uint32_t count = rate_.counts_to_load(delay);
        uint64_t begin = bench_.random.below(phases);
        begin = bench_.exact() ? measure::next_multiple(grid) + begin : 0;
        uint32_t low, high, first, due;
        asm volatile(DOORBELL_HOLD
                     "movl %c[counter](%[at]), %[first]\n"
                     "1:\tlfence\n\t"
                     "rdtsc\n\t"
                     "movl %c[counter](%[at]), %[due]\n\t"
                     "cmpl %[first], %[due]\n\t"
                     "je 1b\n\t"
                     "addl %[count], %[due]\n\t"
                     "movl %[due], %c[comparator](%[at])"
                     : "=&a"(low), "=&d"(high), "+c"(begin), [first] "=&r"(first), [due] "=&r"(due)
                     : [at] "r"(machine_.hpet->base()), [count] "r"(count),
                       [counter] "i"(platform::hpet::MainCounter::address),
                       [comparator] "i"(platform::hpet::timer_offset(0) +
                                        platform::hpet::Comparator::address)
                     : "memory", "cc");
        due_ = due;
        return (uint64_t{high} << 32 | low) + rate_.ticks(count);
    }
    bool passed() const { return static_cast<int32_t>(machine_.hpet->counter32() - due_) >= 0; }
    /// Sets the counter to the deadline.
    void expire() const {
        machine_.hpet->stop();
        machine_.hpet->set_counter32(due_);
        machine_.hpet->start();
    }
    /// Interrupts after about `ticks`, for what is not measured.
    void start(uint64_t ticks) const {
        machine_.hpet->arm_one_shot(0, machine_.hpet->counter32() + rate_.counts_to_load(ticks));
    }
    uint64_t wait_by_poll(uint64_t begin) const {
        uint32_t low, high;
        asm volatile(DOORBELL_HOLD
                     "1:\tmovl %c[counter](%[at]), %%eax\n\t"
                     "subl %[due], %%eax\n\t"
                     "js 1b\n\t"
                     "lfence\n\t"
                     "rdtsc"
                     : "=&a"(low), "=&d"(high), "+c"(begin)
                     : [at] "r"(machine_.hpet->base()), [due] "r"(due_),
                       [counter] "i"(platform::hpet::MainCounter::address)
                     : "memory", "cc");
        return uint64_t{high} << 32 | low;
    }

  private:
    Bench& bench_;
    platform::Machine& machine_;
    cpu::TimerRate rate_;
    uint32_t due_ = 0;
    const platform::IoApic* io_ = nullptr;
    unsigned input_ = 0;
    uint8_t vector_;
};

class PitTimer {
  public:
    PitTimer(Bench& bench, uint8_t vector)
        : machine_(bench.machine),
          rate_(cpu::TimerRate::of(machine_.tsc.hz * platform::Pit::hz_denominator,
                                   platform::Pit::hz_numerator)),
          vector_(vector) {}
    Result<void> open(bool interrupts) {
        if (!machine_.pit) return machine_.pit.absent;
        return machine_.route_isa(0, vector_, !interrupts);
    }
    void close() {
        (void)machine_.route_isa(0, vector_, true);
        machine_.pit->stop();
    }
    /// The counter takes the count at its first input clock after the second byte, which is up to
    /// one clock (838 ns) away and counted as latency: the chip does not tell where in its period
    /// it is.
    uint64_t arm(uint64_t delay) const {
        uint32_t count = rate_.counts_to_load(delay, 0xFFFF);
        uint32_t low, high;
        asm volatile(
            "movb $0x30, %%al\n\t"
            "outb %%al, %[command]\n\t"
            "movl %[count], %%eax\n\t"
            "outb %%al, %[port]\n\t"
            "lfence\n\t"
            "rdtsc\n\t"
            "movl %%eax, %[low]\n\t"
            "movl %[count], %%eax\n\t"
            "movb %%ah, %%al\n\t"
            "outb %%al, %[port]"
            : [low] "=&r"(low), "=&d"(high)
            : [count] "r"(count), [command] "N"(platform::Pit::command_port),
              [port] "N"(platform::Pit::channel0_port)
            : "rax", "memory");
        return (uint64_t{high} << 32 | low) + rate_.ticks(count);
    }
    bool passed() const { return machine_.pit->expired(); }
    void expire() const { machine_.pit->arm_one_shot(1); }
    uint64_t wait_by_poll(uint64_t begin) const {
        uint32_t low, high;
        asm volatile(
            DOORBELL_HOLD
            "1:\tmovb $0xE2, %%al\n\t"
            "outb %%al, %[command]\n\t"
            "inb %[port], %%al\n\t"
            "testb $0x80, %%al\n\t"
            "jz 1b\n\t"
            "lfence\n\t"
            "rdtsc"
            : "=&a"(low), "=&d"(high), "+c"(begin)
            : [command] "N"(platform::Pit::command_port), [port] "N"(platform::Pit::channel0_port)
            : "memory", "cc");
        return uint64_t{high} << 32 | low;
    }

  private:
    platform::Machine& machine_;
    cpu::TimerRate rate_;
    uint8_t vector_;
};

}  // namespace doorbell::labs
