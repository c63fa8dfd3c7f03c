// Driver for the Intel 82574 (QEMU's e1000e). Source: Intel 82574 GbE Controller Family Datasheet,
// revision 3.4.
#pragma once
#include "firmware/nic/e1000e_registers.h"
#include "firmware/nic/nic.h"

namespace doorbell::nic {

class E1000e final : public Nic {
  public:
    static bool drives(const platform::PciFunction& function);
    /// Resets the card and brings it up: link, rings, receiver, transmitter; no interrupts. Error:
    /// what did not come, within which time.
    static Result<Nic*> bring_up(const platform::PciFunction& function, const Resources& resources);

    std::string_view model() const override { return "e1000e"; }
    void recycle(uint32_t count) override;
    void expected_writes(uint32_t count, uint32_t length, Written tell) const override;
    uint32_t queue(const ToSend* frames, uint32_t count) override;
    TailWrite tail_write() const override {
        return {registers_.at<e1000e::Tdt>(), transmit_next_, false};
    }
    Result<TailWrites> tail_writes(uint32_t count) const override {
        return TailWrites{registers_.at<e1000e::Tdt>(),
                          (transmit_next_ - count + 1) & transmit_mask_, transmit_mask_};
    }
    bool all_sent() override;
    uint32_t transmit_room() const override { return transmit_mask_; }
    Result<void> route(InterruptKind kind, uint8_t vector, uint32_t apic_id) override;
    bool arm() override;
    void disarm() override;
    Result<void> moderate(uint64_t interval_ns) override;
    Result<void> check() override;
    CardCounts counts() override;
    void stop() override;

    E1000e(const platform::PciFunction& function, cpu::Mmio registers, const Resources& resources)
        : Nic(function),
          registers_(registers),
          bounded_wait_(resources.tsc, resources.tsc_hz),
          loopback_(resources.loopback) {}

  private:
    uint32_t take(Received* out, uint32_t most) override;

    Result<void> reset();
    void mask_all() const { write(e1000e::causes<e1000e::Imc>(e1000e::Icr::all)); }
    Result<void> link();
    Result<void> read_address();
    Result<void> make_rings(const Resources& resources);
    void start(bool promiscuous);
    void reap();
    void look_at(uint32_t index);
    uint32_t take_run(Received* out, uint32_t index, uint32_t most) const;
    void recycle_run(uint32_t index, uint32_t count) const;

    template <class R>
    cpu::Value<R> read() const {
        return registers_.read<R>();
    }
    template <class R>
    uint32_t word() const {
        return registers_.read<R>().word();
    }
    template <class R>
    void write(cpu::Value<R> value) const {
        registers_.write(value);
    }
    template <class R>
    void write(uint32_t number) const {
        registers_.write<R>(number);
    }

    cpu::RegisterBlock<e1000e::Block> registers_;
    BoundedWait bounded_wait_;
    bool loopback_;

    // Receive: [receive_held_, receive_next_) are the caller's, the one in front of receive_held_
    // is the tail.
    e1000e::ReceiveDescriptor* receive_ring_ = nullptr;
    uint64_t buffers_ = 0;
    uint32_t receive_mask_ = 0, receive_next_ = 0, receive_held_ = 0;

    // Transmit: [transmit_clean_, transmit_next_) are the card's. The last of each batch reports;
    // batch_end_ has its index where the batch begins.
    e1000e::TransmitDescriptor* transmit_ring_ = nullptr;
    uint16_t* batch_end_ = nullptr;
    uint32_t transmit_mask_ = 0, transmit_next_ = 0, transmit_clean_ = 0;

    cpu::Value<e1000e::Icr> cause_ = e1000e::Icr::receive_queue0;
    CardCounts counts_;
};

}  // namespace doorbell::nic
