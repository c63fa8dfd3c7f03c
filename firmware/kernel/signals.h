// The rules of signals, for one task: what is pending, what is held back, who catches what. Names
// and numbers are those of POSIX and Linux x86-64 (POSIX.1-2017, "Signal Concepts"; signal(7)).
// Pure logic: runs in unit tests.
#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>

#include "firmware/cpu/descriptors.h"
#include "firmware/kernel/user_memory.h"

namespace doorbell::kernel {

enum Signal : uint8_t {
    sigint = 2,
    sigill = 4,
    sigtrap = 5,
    sigbus = 7,
    sigfpe = 8,
    sigkill = 9,
    sigusr1 = 10,
    sigsegv = 11,
    sigusr2 = 12,
    sigpipe = 13,
    sigterm = 15,
    sigchld = 17,
    most_signals = 32,
};

/// What a task has said about a signal. A handler is an address in ring 3.
inline constexpr uint64_t signal_default = 0, signal_ignore = 1;

/// The lower half of the canonical addresses, where all of ring 3 lies.
inline constexpr uint64_t user_half_end = 1ull << 47;

/// What is to happen to the task now.
struct Delivery {
    enum class Kind : uint8_t { none, handle, end } kind = Kind::none;
    uint8_t signal = 0;
    uint64_t handler = 0;
    uint32_t mask_before = 0;  ///< to be restored when the handler returns
};

class Signals {
  public:
    /// False: no such signal, one that cannot be caught (SIGKILL), or an address that ring 3 cannot
    /// have: IRETQ to one that is not canonical would fault in the kernel.
    bool set_handler(uint64_t signal, uint64_t handler) {
        if (!exists(signal) || signal == sigkill || handler >= user_half_end) return false;
        handlers_[signal] = handler;
        return true;
    }
    uint64_t handler(uint8_t signal) const { return handlers_[signal]; }
    static constexpr bool exists(uint64_t signal) { return signal >= 1 && signal < most_signals; }

    uint32_t mask() const { return masked_; }
    /// Signals to hold back, a bit each; SIGKILL's bit is left out.
    void set_mask(uint32_t mask) { masked_ = mask & ~bit(sigkill) & ~1u; }
    uint32_t pending() const { return pending_; }

    /// Makes the signal pending, where the task does not ignore it; one that is pending already
    /// stays one.
    void raise(uint8_t signal) {
        if (!ignored(signal)) pending_ |= bit(signal);
    }
    /// For a fault, which cannot wait: where the signal is held back or ignored, it ends the task.
    void force(uint8_t signal) {
        if ((masked_ & bit(signal)) != 0 || handlers_[signal] == signal_ignore) {
            handlers_[signal] = signal_default;
            masked_ &= ~bit(signal);
        }
        pending_ |= bit(signal);
    }
    /// Whether anything is to be delivered.
    bool due() const { return (pending_ & ~masked_) != 0; }

    /// Takes the next signal to deliver: SIGKILL before all, then the lowest. While its handler
    /// runs the signal itself is held back, until the mask is restored.
    Delivery take() {
        uint32_t due = pending_ & ~masked_;
        if (due == 0) return {};
        auto signal = static_cast<uint8_t>(
            __builtin_expect((due & bit(sigkill)) != 0, 0) ? +sigkill : std::countr_zero(due));
        pending_ &= ~bit(signal);
        uint64_t handler = handlers_[signal];
        if (handler <= signal_ignore) [[unlikely]]
            return {Delivery::Kind::end, signal, 0, masked_};
        Delivery delivery{Delivery::Kind::handle, signal, handler, masked_};
        masked_ |= bit(signal);
        return delivery;
    }

    static constexpr uint32_t bit(uint8_t signal) { return 1u << signal; }

    // Where gates.S finds them.
    static constexpr size_t pending_at() { return offsetof(Signals, pending_); }
    static constexpr size_t masked_at() { return offsetof(Signals, masked_); }
    static constexpr size_t handlers_at() { return offsetof(Signals, handlers_); }

  private:
    bool ignored(uint8_t signal) const {
        return handlers_[signal] == signal_ignore ||
               (signal == sigchld && handlers_[signal] == signal_default);
    }

    uint32_t pending_ = 0, masked_ = 0;
    uint64_t handlers_[most_signals] = {};
};

/// Copies what a signal interrupts and its return restores: not the vector and error code, nor the
/// segments, which ring 3 has no choice of. Word by word: the compiler would call memcpy, which
/// counts every byte.
[[gnu::always_inline]] inline void copy_registers(cpu::Frame& to_frame,
                                                  const cpu::Frame& from_frame) {
    auto* to = reinterpret_cast<volatile uint64_t*>(&to_frame);
    auto* from = reinterpret_cast<const uint64_t*>(&from_frame);
    constexpr unsigned general = offsetof(cpu::Frame, vector) / 8;
#pragma GCC unroll 15
    for (unsigned i = 0; i < general; ++i) to[i] = from[i];
    to_frame.rip = from_frame.rip;
    to_frame.rflags = from_frame.rflags;
    to_frame.rsp = from_frame.rsp;
}

/// What lies on the task's stack while a handler runs, at the handler's RSP: a return address that
/// leads to the signal-return call, and all that the call needs to resume the interrupted code.
struct SignalFrame {
    uint64_t return_address;
    uint64_t signal;
    uint64_t mask;
    cpu::Frame interrupted;  ///< vector, error code, cs and ss are not filled in
};

/// RFLAGS that ring 3 may have: the arithmetic flags, TF, DF, RF, AC and ID. IF is always on there,
/// IOPL 0.
inline constexpr uint64_t user_flags = 0x250DD5, user_flags_always = 0x202;

/// Turns `frame` towards the handler: SignalFrame on the stack, RDI = signal, RSI = address of the
/// interrupted registers. False, and nothing changed, where the stack is not the task's to write.
inline bool push_signal(cpu::Frame& frame, const UserMemory& memory, const Delivery& delivery,
                        uint64_t return_address) {
    // As after a CALL: RSP + 8 is a multiple of 16 (System V ABI, "The Stack Frame").
    uint64_t at = ((frame.rsp - sizeof(SignalFrame)) & ~15ull) - 8;
    uint64_t place = memory.on_stack(at, sizeof(SignalFrame));
    if (place == 0) return false;
    auto* pushed = reinterpret_cast<SignalFrame*>(place);
    pushed->return_address = return_address;
    pushed->signal = delivery.signal;
    pushed->mask = delivery.mask_before;
    copy_registers(pushed->interrupted, frame);
    frame.rip = delivery.handler;
    frame.rsp = at;
    frame.rdi = delivery.signal;
    frame.rsi = at + offsetof(SignalFrame, interrupted);
    frame.rflags = user_flags_always;
    return true;
}

/// The way back: takes the registers from the stack that `frame` (in the signal-return call, RSP
/// behind the return address) names. Ring 3 may have written anything there, so segments stay as
/// they are, flags are cut to what ring 3 may have, and addresses must be ring 3's. False, and
/// nothing changed, where they are not.
inline bool pop_signal(cpu::Frame& frame, const UserMemory& memory, Signals& signals) {
    uint64_t place = memory.on_stack(frame.rsp - 8, sizeof(SignalFrame));
    if (place == 0) return false;
    const auto& pushed = *reinterpret_cast<const SignalFrame*>(place);
    if (pushed.interrupted.rip >= user_half_end || pushed.interrupted.rsp >= user_half_end)
        return false;
    copy_registers(frame, pushed.interrupted);
    frame.rflags = (frame.rflags & user_flags) | user_flags_always;
    signals.set_mask(static_cast<uint32_t>(pushed.mask));
    return true;
}

}  // namespace doorbell::kernel
