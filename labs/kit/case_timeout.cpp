#include "labs/kit/case_timeout.h"

#include "firmware/measure/timestamp.h"

namespace doorbell::labs {

CaseTimeout* CaseTimeout::active_;

namespace {
const cpu::LocalApic* apic;
}

CaseTimeout::CaseTimeout(Bench& bench, Lapic lapic, End end)
    : bench_(bench), end_(end), lapic_(bench, vector), hpet_(bench, vector), pit_(bench, vector) {
    active_ = this;
    apic = &*bench.machine.apic.device;
    cpu::set_handler(vector, [](cpu::Frame& interrupted) {
        if (active_ != nullptr) active_->tick(interrupted);
        apic->eoi();
    });
    if (lapic == Lapic::free && lapic_.open(true))
        kind_ = Kind::lapic;
    else if (bench.machine.hpet && hpet_.open(true))
        kind_ = Kind::hpet;
    else if (bench.machine.pit && pit_.open(true))
        kind_ = Kind::pit;
}

CaseTimeout::~CaseTimeout() {
    if (kind_ == Kind::lapic) lapic_.close();
    if (kind_ == Kind::hpet) hpet_.close();
    if (kind_ == Kind::pit) pit_.close();
    active_ = nullptr;  // an interrupt that is still on its way finds nobody
}

void CaseTimeout::expect(uint64_t count, uint64_t ticks) {
    uint64_t second = bench_.machine.tsc.hz;
    again_ = 10 * ticks;
    until_ =
        measure::end() + count * (4 * ticks + second / 10000) + (bench_.exact() ? 1 : 10) * second;
    start(until_ - measure::end());
}

void CaseTimeout::start(uint64_t ticks) {
    // Each of the timers reaches as far as half a second, but for the PIT, which stops at its most.
    uint64_t most = bench_.machine.tsc.hz / 2;
    if (ticks > most) ticks = most;
    if (kind_ == Kind::lapic) (void)lapic_.arm(ticks);
    if (kind_ == Kind::hpet) hpet_.start(ticks);
    if (kind_ == Kind::pit) (void)pit_.arm(ticks);
}

/// Once it came, the samples that are left are hurried through: each may hang.
void CaseTimeout::tick(cpu::Frame& interrupted) {
    uint64_t now = measure::end();
    came_ = came_ || static_cast<int64_t>(now - until_) >= 0;
    if (came_) end_(interrupted);
    start(came_ ? again_ : until_ - now);
}

}  // namespace doorbell::labs
