// A network card as a lab sees it: rings of descriptors in memory, a doorbell, and an interrupt
// that is armed for the next packet only. One driver a file behind this interface; drivers.h lists
// them.
//
// Receiving copies nothing: receive() points into the card's buffers, which stay the caller's until
// recycle() gives them back, oldest first. An answer may be written into such a buffer and sent
// from it, as long as it is recycled only after all_sent().
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "firmware/cpu/access.h"
#include "firmware/cpu/result.h"
#include "firmware/platform/memory.h"
#include "firmware/platform/pci.h"

namespace doorbell::nic {

using MacAddress = std::array<uint8_t, 6>;

/// A frame in the card's buffer: destination address first, without the frame check sequence.
struct Received {
    uint8_t* data;
    uint32_t length;  ///< bytes
    uint32_t errors;  ///< 0, or the error bits of the descriptor as the card wrote them
};

/// A frame to send, and `headroom` bytes in front of it that the driver may use.
struct ToSend {
    uint8_t* data;
    uint64_t length;  ///< bytes, 14 to longest_frame
};

inline constexpr uint32_t headroom = 16;
inline constexpr uint32_t shortest_frame = 60,
                          longest_frame = 1514;  ///< bytes, without the frame check sequence

/// The word in memory by which the next packet announces itself: one is there when a bit of `mask`
/// differs from `quiet`. A line to poll, or to MONITOR.
struct ReceiveStatus {
    const volatile uint32_t* word;
    uint32_t quiet, mask;
    bool arrived() const { return ((*word ^ quiet) & mask) != 0; }
};

/// The store that tells the card of queued packets.
struct TailWrite {
    cpu::Mmio at;  ///< the register itself
    uint32_t value;
    bool narrow;  ///< 16 bits, not 32
    void write() const {
        if (narrow)
            at.write16(0, static_cast<uint16_t>(value));
        else
            at.write32(0, value);
    }
};

/// Stores that send queued frames one at a time: the k-th, from 0, writes (first + k) & mask.
struct TailWrites {
    cpu::Mmio at;
    uint32_t first, mask;
};

enum class InterruptKind : uint8_t { msix, msi, intx };

/// What the card has counted or dropped since it came up, as far as it reports that.
struct CardCounts {
    uint64_t missed = 0;     ///< no descriptor or no room: the ring overflowed
    uint64_t runts = 0;      ///< shorter than 64 bytes, dropped by the card
    uint64_t over_long = 0;  ///< longer than 1518 bytes, dropped by the card
    uint64_t bad_check = 0;  ///< wrong frame check sequence, dropped by the card
};

/// What a driver needs to bring a card up.
struct Resources {
    platform::Arena& memory;  ///< for rings and buffers; identity-mapped
    cpu::Tsc tsc;
    uint64_t tsc_hz;
    uint32_t receive_ring = 256, transmit_ring = 256;  ///< descriptors wanted, powers of two
    bool promiscuous = false;
    /// What is sent comes back to the card's own receiver and goes nowhere else; no cable is
    /// needed.
    bool loopback = false;
};

/// A bounded wait.
class BoundedWait {
  public:
    BoundedWait(cpu::Tsc tsc, uint64_t hz) : tsc_(tsc), hz_(hz) {}
    /// Whether `condition` came true within `ms` milliseconds.
    template <class Condition>
    bool until(uint64_t ms, Condition&& condition) const {
        for (uint64_t start = tsc_(), limit = hz_ / 1000 * ms;;) {
            bool late = tsc_() - start > limit;
            if (condition()) return true;
            if (late) return false;
        }
    }

  private:
    cpu::Tsc tsc_;
    uint64_t hz_;
};

/// Memory that the card writes.
using Written = void (*)(uint64_t address, uint64_t bytes);

class Nic {
  public:
    virtual std::string_view model() const = 0;
    const MacAddress& mac() const { return mac_; }
    const platform::PciFunction& function() const { return function_; }

    // Receive.
    const ReceiveStatus& receive_status() const { return receive_status_; }
    /// Up to `most` frames that have arrived, oldest first; 0 without a call where there is none.
    /// Frames with a descriptor's error bit are among them, marked.
    [[gnu::always_inline]] uint32_t receive(Received* out, uint32_t most) {
        return receive_status_.arrived() ? take(out, most) : 0;
    }
    /// Gives the oldest `count` buffers that receive() handed out back to the card, with one tail
    /// write.
    virtual void recycle(uint32_t count) = 0;
    /// Names the memory that the card writes when the next `count` frames of `length` bytes come:
    /// descriptors and payload. For a model of the caches, which sees no device write.
    virtual void expected_writes(uint32_t count, uint32_t length, Written tell) const = 0;

    // Transmit.
    /// Writes descriptors for up to `count` frames and says how many found room. The card is not
    /// told yet.
    virtual uint32_t queue(const ToSend* frames, uint32_t count) = 0;
    /// The store that sends everything queued.
    virtual TailWrite tail_write() const = 0;
    /// The stores that send the last `count` frames, queued and not rung for, one by one. Error:
    /// this card takes all queued frames at once.
    virtual Result<TailWrites> tail_writes(uint32_t count) const = 0;
    /// queue(), and one ring of the doorbell.
    uint32_t transmit(const ToSend* frames, uint32_t count) {
        uint32_t queued = queue(frames, count);
        if (queued != 0) tail_write().write();
        return queued;
    }
    /// Whether the card has read every frame that was queued and rung for.
    virtual bool all_sent() = 0;
    /// The most frames that queue() can ever take at once.
    virtual uint32_t transmit_room() const = 0;

    // Interrupts. None comes before arm().
    /// Lets receive interrupts through as `vector` of that local APIC; INTx only up to the wire,
    /// whose way to the processor is the machine's (platform/intx.h). Error: the card lacks the
    /// kind.
    virtual Result<void> route(InterruptKind kind, uint8_t vector, uint32_t apic_id) = 0;
    /// The next arrival interrupts, once; then arm again. False when packets are waiting already:
    /// their interrupt may have been, so they must be taken first.
    virtual bool arm() = 0;
    virtual void disarm() = 0;
    /// What a handler must read, and discard, before it ends the interrupt, so that the card takes
    /// its cause away: 32 bits, or a byte where acknowledge_is_byte(). With MSI-X a harmless word
    /// of memory.
    uint64_t acknowledge_register() const { return acknowledge_; }
    bool acknowledge_is_byte() const { return acknowledge_is_byte_; }
    /// The least time between two receive interrupts; 0 for none. Error: the card has no such
    /// thing.
    virtual Result<void> moderate(uint64_t interval_ns) = 0;

    /// Whether the card is still present and works. Error: vanished (all ones), link down,
    /// ring overflowed.
    virtual Result<void> check() = 0;
    virtual CardCounts counts() = 0;
    /// Quiet for good: receiver, transmitter and interrupts off, then bus mastering.
    virtual void stop() = 0;

  protected:
    explicit Nic(const platform::PciFunction& function) : function_(function) {}
    ~Nic() = default;
    /// receive(), once it is known that there is something.
    virtual uint32_t take(Received* out, uint32_t most) = 0;

    const platform::PciFunction& function_;
    ReceiveStatus receive_status_{&nothing_, 0, 0};
    MacAddress mac_{};
    uint64_t acknowledge_ = 0;
    bool acknowledge_is_byte_ = false;
    /// What a handler with nothing to acknowledge reads.
    static inline uint32_t harmless_ = 0;

  private:
    static constexpr uint32_t nothing_ = 0;
};

}  // namespace doorbell::nic
