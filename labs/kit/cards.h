// What the network labs share: finding cards and the cable between them, frames to send, and the
// measured interrupt handler. Image only.
#pragma once
#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <utility>

#include "firmware/cpu/descriptors.h"
#include "firmware/measure/hold.h"
#include "firmware/nic/frame.h"
#include "firmware/nic/nic.h"
#include "labs/kit/bench.h"

// What the handler leaves behind, in one cache line; the handler for either way of ending an
// interrupt.
extern "C" {
struct alignas(64) NicEvent {
    uint64_t known;             ///< first timestamp in the handler
    uint64_t handled;           ///< after the end of interrupt
    uint64_t end_of_interrupt;  ///< address of the xAPIC's EOI register
    uint64_t acknowledge;       ///< nic::Nic::acknowledge_register()
    volatile uint32_t fired;    ///< how often since it was cleared
};
extern NicEvent nic_event;
}

namespace doorbell::labs {

/// A card that is stopped when the case ends, however it ends.
class Card {
  public:
    Card() = default;
    explicit Card(nic::Nic* nic) : nic_(nic) {}
    Card(Card&& other) : nic_(std::exchange(other.nic_, nullptr)) {}
    Card& operator=(Card&& other) {
        std::swap(nic_, other.nic_);
        return *this;
    }
    ~Card() {
        if (nic_ != nullptr) nic_->stop();
    }
    nic::Nic* operator->() const { return nic_; }
    nic::Nic& operator*() const { return *nic_; }
    explicit operator bool() const { return nic_ != nullptr; }

  private:
    nic::Nic* nic_ = nullptr;
};

/// Rings of a card, in descriptors.
struct RingSizes {
    uint32_t receive = 256, transmit = 256;
};

/// A card under test and what its packets come from.
struct Pair {
    Card under_test;
    Card far_end;        ///< empty: the card's own loopback
    uint64_t delay = 0;  ///< ticks from the sender's doorbell to the arrival; 0: unknown, and so
                         ///< inside the latency
    /// Where the instant of arrival is not exact, why; else null.
    const char* flag = nullptr;
    nic::Nic& sender() const { return far_end ? *far_end : *under_test; }
};

/// The first card of that model, alone. Error: there is none, or it does not come up.
Result<Card> open_card(Bench& bench, std::string_view model, const RingSizes& rings = {});

/// The card of that model (any where it is empty) at the end of a cable whose other end is a sender
/// with a known delay; where there is no such cable, at the end of one to another card (found by
/// sending a frame from each to each, once a run); where there is none, the card in loopback.
/// Error: no such card, it cannot loop back, or it does not come up.
Result<Pair> open_pair(Bench& bench, std::string_view model, const RingSizes& rings = {});

/// A card that sends at the store of its doorbell, and one that receives at the same instant: two
/// ends of a cable, or one card in loopback.
struct DirectPair {
    Card sender;
    Card far_end;  ///< empty: the sender's own loopback
    nic::Nic& receiver() const { return far_end ? *far_end : *sender; }
};
/// The e1000e and the other end of its cable, of either kind; its own loopback where it hangs on
/// none. Error: no such card, or it does not come up.
Result<DirectPair> open_direct(Bench& bench, const RingSizes& rings);
/// The card of that model in loopback.
Result<DirectPair> open_loopback(Bench& bench, std::string_view model, const RingSizes& rings);

/// Sends frames one at a time at an exact period, from a timer interrupt that goes before all
/// others.
class PacketPacer {
  public:
    /// Uses the local APIC's timer. `arrivals` (may be empty) takes the tick of each frame's store.
    explicit PacketPacer(platform::Machine& machine);
    ~PacketPacer();
    PacketPacer(const PacketPacer&) = delete;

    /// Queues frames at the sender. Error: no room, or a card that cannot send one by one.
    Result<void> load(nic::Nic& sender, std::span<const nic::ToSend> frames,
                      std::span<uint64_t> arrivals = {});
    /// The same interrupts with nothing sent: for what the interrupts themselves cost.
    void load_nothing(uint32_t packets);
    /// Starts; the real period in ticks, as near to `period` as the timer allows.
    uint64_t start(uint64_t period);
    /// Stops and sends what is left at once.
    void stop();
    uint32_t left() const;
    static constexpr uint8_t vector = 0xE1;

  private:
    platform::Machine& machine_;
};

/// `count` frames of `length` bytes in the arena, to `to` from `from`, sequence numbers from 0;
/// empty where there is no memory.
std::span<nic::ToSend> make_frames(Bench& bench, uint32_t count, uint32_t length,
                                   const nic::MacAddress& to, const nic::MacAddress& from);

inline constexpr uint8_t nic_vector = 0x61;

/// Points the card at `nic_vector`, and the vector at the measured handler, or at `handler` behind
/// the common stub. INTx needs open_intx() instead. Undone by close_interrupt(), whatever came of
/// it.
Result<void> open_interrupt(Bench& bench, nic::Nic& nic, nic::InterruptKind kind,
                            cpu::Handler handler = nullptr);
/// The same by INTx: `sender` sends `frame` to the card, to find out where its wire arrives.
Result<void> open_intx(Bench& bench, nic::Nic& nic, nic::Nic& sender, const nic::ToSend& frame);
/// No more interrupts come by it. The vector keeps its handler, which ends what a card may still
/// hold back.
void close_interrupt(nic::Nic& nic);

/// Why a packet is missing: the first of the two cards that is not as it should be; else
/// `otherwise`.
Error why_missing(nic::Nic& card, nic::Nic& sender, Error otherwise);

/// Flags the series with how many frames came that were not the lab's own, by kind, and what the
/// card dropped, if any.
void flag_strangers(Bench& bench, std::initializer_list<measure::Series*> all,
                    const nic::FrameTally& tally, const nic::CardCounts& dropped);
/// After more rounds than this at once the card is being flooded: a loop that takes packets until
/// none are left gives up.
inline constexpr uint32_t most_rounds = 10000;

/// Rings and gives the tick of the store.
[[gnu::always_inline]] inline uint64_t write_tail_now(const nic::TailWrite& tail_write) {
    uint32_t low, high;
    if (tail_write.narrow)
        asm volatile("lfence\n\trdtsc\n\tmovw %w2, (%3)"
                     : "=&a"(low), "=&d"(high)
                     : "r"(tail_write.value), "r"(tail_write.at.base())
                     : "memory");
    else
        asm volatile("lfence\n\trdtsc\n\tmovl %2, (%3)"
                     : "=&a"(low), "=&d"(high)
                     : "r"(tail_write.value), "r"(tail_write.at.base())
                     : "memory");
    // The timestamp in front of the store is one instruction older than it.
    return (uint64_t{high} << 32 | low) + 1;
}

/// Polls the receive status word from the tick `begin` on (0: at once) until a packet is there; the
/// first timestamp after that.
[[gnu::always_inline]] inline uint64_t poll_receive_status(const nic::ReceiveStatus& step,
                                                           uint64_t begin) {
    uint32_t low, high;
    asm volatile(DOORBELL_HOLD
                 "1:\tmovl %4, %%eax\n\t"
                 "xorl (%3), %%eax\n\t"
                 "testl %5, %%eax\n\t"
                 "jz 1b\n\t"
                 "lfence\n\t"
                 "rdtsc"
                 : "=&a"(low), "=&d"(high), "+c"(begin)
                 : "r"(step.word), "r"(step.quiet), "r"(step.mask)
                 : "memory", "cc");
    return uint64_t{high} << 32 | low;
}

/// Whether a packet comes within `ticks`: for what has to be shown before a measured wait, which
/// has no end.
bool someone_within(const nic::Nic& nic, uint64_t ticks);
/// Whether nic_event fires within `ticks`; interrupts are enabled meanwhile.
bool fires_within(uint64_t ticks);

}  // namespace doorbell::labs
