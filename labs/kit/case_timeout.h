// An end to the waits of a case whose events stop coming. Image only.
#pragma once
#include <cstdint>

#include "firmware/cpu/descriptors.h"
#include "firmware/cpu/result.h"
#include "labs/kit/bench.h"
#include "labs/kit/timers.h"

namespace doorbell::labs {

/// Ends measured waits, which have no end of their own and no branch to spare, by another timer
/// than the one that is measured: the LAPIC's where that is free, else the HPET, else the PIT. It
/// allows for a whole lot of samples, so that nothing is added between two of them. Interrupts must
/// be enabled in the waits. For waits that a card's packets end: WaitTimeout in traffic.h.
class CaseTimeout {
  public:
    static constexpr uint8_t vector = 0x64;
    enum class Lapic : bool { free, measured };
    /// Called in the timer's interrupt: does what the wait waits for, or takes the interrupted code
    /// out of it.
    using End = void (*)(cpu::Frame& interrupted);

    CaseTimeout(Bench& bench, Lapic lapic, End end);
    ~CaseTimeout();
    CaseTimeout(const CaseTimeout&) = delete;

    /// Whether this machine has a timer for it.
    bool armed() const { return kind_ != Kind::none; }
    /// `count` waits of about `ticks` each begin now. They are ended when they have taken a second
    /// more than four times as long (10 seconds where the clock is live: the host may give an
    /// emulator's processor away for long).
    void expect(uint64_t count, uint64_t ticks);
    /// Whether a wait had to be ended. Then no sample since expect() counts.
    bool came() const { return came_; }
    /// What the case ended as: `of_case`, or the failure that a wait had to be ended.
    Result<void> outcome(Result<void> of_case, const char* what) const {
        return came_ ? Result<void>(Error{what}) : of_case;
    }

  private:
    enum class Kind : uint8_t { none, lapic, hpet, pit };
    void start(uint64_t ticks);
    void tick(cpu::Frame& interrupted);

    static CaseTimeout* active_;
    Bench& bench_;
    End end_;
    LapicTimer lapic_;
    HpetTimer hpet_;
    PitTimer pit_;
    Kind kind_ = Kind::none;
    uint64_t until_ = 0, again_ = 0;
    volatile bool came_ = false;
};

}  // namespace doorbell::labs
