// An end to the waits of a case whose events stop coming. Image only.
#pragma once
#include <cstdint>

#include "firmware/cpu/descriptors.h"
#include "firmware/cpu/result.h"
#include "labs/kit/bench.h"
#include "labs/kit/timers.h"

/// The reason of a case whose wait had to be ended, for CaseTimeout::outcome(): what did not come.
#define DOORBELL_DID_NOT_COME(what)                                                           \
    what " did not come within a second (ten in the live clock), in the middle of the case: " \
         "another timer ended the wait"

namespace doorbell::labs {

/// Ends measured waits, which have no end of their own and no branch to spare, by another timer
/// than the one that is measured: the LAPIC's where that is free, else the HPET, else the PIT. It
/// interrupts only a wait that takes too long. Interrupts must be enabled in the waits. For waits
/// that a card's packets end: WaitTimeout in traffic.h.
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
    /// A wait begins: between two samples, not in a measured stretch. It is ended after a second,
    /// or ten where the clock is live: the host may give an emulator's processor away for long.
    /// Once one had to be ended, the rest is hurried through: each may hang.
    void wait_from_now();
    /// Whether a wait had to be ended. Then the case has no samples.
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
    uint64_t longest_, until_ = 0;
    volatile bool came_ = false;
};

}  // namespace doorbell::labs
