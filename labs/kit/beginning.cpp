#include "labs/kit/beginning.h"

#include "firmware/cpu/descriptors.h"
#include "firmware/measure/hold.h"

namespace doorbell::labs {
namespace {

constexpr uint8_t vector = 0xE2;
/// The emulator may wake a halted processor late: the last part of the wait is counted.
constexpr uint64_t margin = 1000000;

const cpu::LocalApic* apic;

void wake(cpu::Frame&) { apic->eoi(); }

}  // namespace

void begin_at_multiple(Bench& bench, uint64_t period) {
    if (!bench.exact()) return;
    platform::Machine& m = bench.machine;
    uint64_t now = measure::end(), at = measure::next_multiple(period);
    if (at - now > 2 * margin) {
        apic = &*m.apic.device;
        cpu::Handler before = cpu::set_handler(vector, wake);
        m.apic->set_divide_1();
        m.apic->set_timer_mode(cpu::TimerMode::one_shot, vector, false);
        m.apic->set_initial_count(m.apic_rate.counts_to_load(at - now - margin));
        asm volatile("rdtsc\n\tsti\n\thlt\n\tcli" : : : "rax", "rdx", "memory");
        m.apic->set_timer_mode(cpu::TimerMode::one_shot, vector, true);
        cpu::set_handler(vector, before);
    }
    measure::hold_until(at);
}

}  // namespace doorbell::labs
