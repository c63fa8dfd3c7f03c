// Packets that come when a lab asks for them, one or a burst, and an end to waiting for those that
// do not. Image only.
#pragma once
#include <optional>

#include "labs/kit/cards.h"

namespace doorbell::labs {

/// Ends a measured wait, which has no end of its own and no branch to spare: if nothing came within
/// a second, the local APIC's timer interrupts and does what the wait waits for. Interrupts must be
/// enabled meanwhile.
class WaitTimeout {
  public:
    /// Uses the local APIC's timer; rings `nic`'s receive status word and counts in `fired`, as its
    /// interrupt would.
    WaitTimeout(platform::Machine& machine, const nic::Nic& nic,
                volatile uint32_t* fired = &nic_event.fired);
    ~WaitTimeout();
    WaitTimeout(const WaitTimeout&) = delete;
    /// The second begins anew.
    void wait_from_now() const { machine_.apic->set_initial_count(count_); }
    /// Whether it had to end a wait. Then no packet has come, and the state of the rings is
    /// no longer valid.
    static bool expired();
    static constexpr uint8_t vector = 0x62;

  private:
    platform::Machine& machine_;
    uint32_t count_;
};

inline constexpr const char* lost_in_the_middle =
    "a packet that was sent, or its interrupt, did not come within a second, in the middle of the "
    "case";

/// A pair, and numbered frames from its sender to the card under test. Anything else that comes is
/// counted.
struct Traffic {
    Pair pair;
    std::span<nic::ToSend> frames;
    nic::BoundedWait bounded_wait{cpu::Tsc{}, 1};
    nic::FrameTally tally;
    uint64_t sequence = 0;   ///< of the frame that is loaded, or under way
    uint32_t disturbed = 0;  ///< how often a foreign frame came in between
    static constexpr uint32_t most_disturbed = 1000;

    /// Cards up, `frames` frames made, and one of them seen to arrive. Error: why not.
    static Result<Traffic> open(Bench& bench, std::string_view model, uint32_t frames,
                                uint32_t length);

    nic::Nic& card() const { return *pair.under_test; }
    /// `n` frames queued at the sender, not rung for.
    Result<void> load(uint32_t n);
    /// Whether it is the frame that is waited for. Anything else is counted and is not a sample.
    bool expected(const nic::Received& r);
    /// Takes and counts what is there; whether the frame that is waited for was among it.
    bool take_all();
    /// The card armed, with nothing there that came unasked. False: foreign frames keep coming.
    bool arm();
    /// After a sample that another event disturbed: the frame that was sent still arrives, and must
    /// not count for the next one. Error: it does not within 100 ms, or this happens too often.
    Result<void> catch_up();
    /// One packet sent and taken by interrupt, in a bounded wait: the measured waits are not
    /// bounded.
    Result<void> prove_interrupt(const Bench& bench);
    Error missing(const char* what);

  private:
    Result<void> prove();
    Result<void> catch_up_undisturbed();
};

/// Call it before sending a packet that is to interrupt: waits until no earlier one has an effect.
/// QEMU's e1000e keeps 128 us between two interrupts and may raise one without a packet when they
/// are over (QEMU 7.2 once it has held one back, QEMU 10 after every one). Nothing on hardware or
/// with another card. What interrupts meanwhile is taken where interrupts are enabled.
void wait_out_throttle(const Bench& bench, const nic::Nic& card);

/// A card's packets as if they were a timer's deadlines, for labs that wait for whatever is armed:
/// see timers.h. By MSI-X at `vector`, whose handler counts in `fired`.
class PacketSource {
  public:
    PacketSource(Bench& bench, uint8_t vector, volatile uint32_t* fired)
        : bench_(bench), fired_(fired), vector_(vector) {}
    Result<void> open(std::string_view model);
    /// No more interrupts arrive at the vector.
    void close() {
        traffic_.card().disarm();
        wait_for_repeats();
    }
    /// Sends a packet; when it arrives (the cable decides, not the caller). Once one was lost,
    /// `fired` counts at once.
    uint64_t arm(uint64_t);
    /// Whether the event was the packet that arm() sent.
    bool came();
    /// Success as long as packets come.
    Result<void> lost() const { return lost_; }
    void flag(std::initializer_list<measure::Series*> all);

  private:
    void wait_for_repeats();

    Bench& bench_;
    volatile uint32_t* fired_;
    uint8_t vector_;
    Traffic traffic_;
    std::optional<WaitTimeout> timeout_;
    Result<void> lost_;
    bool without_packet_ = false;
};

}  // namespace doorbell::labs
