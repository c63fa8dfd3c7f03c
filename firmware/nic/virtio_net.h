// Driver for the modern virtio network device on PCI, split rings. Source: Virtual I/O Device
// (VIRTIO) Version 1.2.
#pragma once
#include <type_traits>

#include "firmware/nic/nic.h"
#include "firmware/nic/virtio_net_registers.h"

namespace doorbell::nic {

class VirtioNet final : public Nic {
  public:
    static bool drives(const platform::PciFunction& function);
    /// Resets the device and brings it up: features, queues, buffers; no interrupts. Rings are as
    /// large as the device allows, where more is wanted. Error: what is missing, or did not come
    /// within which time.
    static Result<Nic*> bring_up(const platform::PciFunction& function, const Resources& resources);

    std::string_view model() const override { return "virtio-net"; }
    void recycle(uint32_t count) override;
    void expected_writes(uint32_t count, uint32_t length, Written tell) const override;
    uint32_t queue(const ToSend* frames, uint32_t count) override;
    TailWrite tail_write() const override {
        return {transmit_.notify, virtio::transmit_queue, true};
    }
    Result<TailWrites> tail_writes(uint32_t) const override {
        return Lacking{
            "virtio-net: the device sees every queued frame at once, and cannot be sent them one "
            "by one"};
    }
    bool all_sent() override;
    uint32_t transmit_room() const override { return transmit_.size; }
    Result<void> route(InterruptKind kind, uint8_t vector, uint32_t apic_id) override;
    bool arm() override;
    void disarm() override;
    Result<void> moderate(uint64_t interval_ns) override;
    Result<void> check() override;
    CardCounts counts() override { return {}; }  ///< the device keeps no statistics
    void stop() override;

    VirtioNet(const platform::PciFunction& function, const Resources& resources)
        : Nic(function), bounded_wait_(resources.tsc, resources.tsc_hz) {}

  private:
    struct Ring {
        uint32_t size = 0;
        virtio::Descriptor* descriptors = nullptr;
        virtio::Available* available = nullptr;
        virtio::Used* used = nullptr;
        const volatile uint16_t* avail_event = nullptr;  ///< behind used.ring
        cpu::Mmio notify;
        uint16_t offered = 0;  ///< available.index, our copy
        uint16_t seen = 0;     ///< how far used.ring has been read
        uint32_t mask() const { return size - 1; }
        volatile uint16_t& used_event() const { return available->ring[size]; }
    };

    uint32_t take(Received* out, uint32_t most) override;

    Result<void> find_structures();
    Result<cpu::Mmio> structure(virtio::Structure type, uint64_t bytes,
                                uint16_t* place = nullptr) const;
    Result<void> negotiate();
    Result<void> make_ring(Ring& ring, uint16_t number, uint32_t wanted, platform::Arena& memory);
    Result<void> make_buffers(platform::Arena& memory);
    void look_at_next();
    void reap();
    /// Of the common configuration.
    template <class Word>
    Word read(virtio::CommonRegister<Word> r) const {
        if constexpr (sizeof(Word) == 1) return common_.read8(r.offset);
        if constexpr (sizeof(Word) == 2) return common_.read16(r.offset);
        if constexpr (sizeof(Word) == 4) return common_.read32(r.offset);
    }
    /// 64 bits by two accesses of 32 (4.1.3.1).
    template <class Word>
    void write(virtio::CommonRegister<Word> r, std::type_identity_t<Word> value) const {
        if constexpr (sizeof(Word) == 1) common_.write8(r.offset, value);
        if constexpr (sizeof(Word) == 2) common_.write16(r.offset, value);
        if constexpr (sizeof(Word) >= 4) common_.write32(r.offset, static_cast<uint32_t>(value));
        if constexpr (sizeof(Word) == 8)
            common_.write32(r.offset + 4, static_cast<uint32_t>(value >> 32));
    }

    BoundedWait bounded_wait_;
    cpu::Mmio common_, device_, notify_, isr_;
    uint32_t notify_multiplier_ = 0;
    bool link_is_down() const;
    bool has_status_ = false, has_event_index_ = false, armed_ = false;

    Ring receive_, transmit_;
    uint64_t buffers_ = 0;
    uint16_t receive_held_ = 0;  ///< how far used.ring has been recycled
    uint16_t* free_ = nullptr;   ///< transmit descriptors that the device has done with, a stack
    uint32_t free_count_ = 0;
};

}  // namespace doorbell::nic
