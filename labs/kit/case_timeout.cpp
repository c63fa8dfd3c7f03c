#include "labs/kit/case_timeout.h"

#include "firmware/measure/timestamp.h"

namespace doorbell::labs {

CaseTimeout* CaseTimeout::active_;

namespace {
const cpu::LocalApic* apic;
}

CaseTimeout::CaseTimeout(Bench& bench, Lapic lapic, End end)
    : bench_(bench),
      end_(end),
      lapic_(bench, vector),
      hpet_(bench, vector),
      pit_(bench, vector),
      longest_((bench.exact() ? 1 : 10) * bench.machine.tsc.hz) {
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

void CaseTimeout::wait_from_now() {
    // Longer than the timer's own interrupt takes.
    uint64_t hurry = bench_.exact() ? 2000 : 100000, ticks = came_ ? hurry : longest_;
    until_ = measure::end() + ticks;
    start(ticks);
}

void CaseTimeout::start(uint64_t ticks) {
    // Each of the timers reaches as far as half a second, but for the PIT, which stops at its most.
    uint64_t most = bench_.machine.tsc.hz / 2;
    if (ticks > most) ticks = most;
    if (kind_ == Kind::lapic) (void)lapic_.arm(ticks);
    if (kind_ == Kind::hpet) hpet_.start(ticks);
    if (kind_ == Kind::pit) (void)pit_.arm(ticks);
}

void CaseTimeout::tick(cpu::Frame& interrupted) {
    auto left = static_cast<int64_t>(until_ - measure::end());
    if (left > 0) return start(static_cast<uint64_t>(left));
    came_ = true;
    end_(interrupted);
    wait_from_now();
}

}  // namespace doorbell::labs
