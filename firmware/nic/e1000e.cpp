#include "firmware/nic/e1000e.h"

#include <new>

#include "firmware/nic/drivers.h"

namespace doorbell::nic {

using namespace e1000e;

namespace {

constexpr uint16_t vendor_intel = 0x8086, device_82574l = 0x10D3, device_82574la = 0x10F6;
constexpr uint64_t register_bytes = 0x20000;
constexpr uint32_t gone = ~0u;
/// Buffers lie this far apart: headroom in front, the receiver's 2 KiB, and a whole number of cache
/// lines.
constexpr uint64_t buffer_head = 64, buffer_stride = buffer_head + 2048;
constexpr uint32_t most_descriptors = 4096, fewest_descriptors = 8;
constexpr const char* vanished = "e1000e: the card has vanished (registers read as all ones)";

bool ring_size_is_right(uint32_t n) {
    return n >= fewest_descriptors && n <= most_descriptors && (n & (n - 1)) == 0;
}

}  // namespace

bool E1000e::drives(const platform::PciFunction& f) {
    return f.vendor() == vendor_intel &&
           (f.device() == device_82574l || f.device() == device_82574la);
}

Result<Nic*> E1000e::bring_up(const platform::PciFunction& function, const Resources& resources) {
    auto registers = DOORBELL_TRY(function.registers(0, 0, register_bytes));
    auto* card = resources.memory.make<E1000e>(function, registers, resources);
    if (card == nullptr) return Lacking{"e1000e: no memory for the driver"};
    auto up = function.enable();
    if (up) up = card->reset();
    if (up) up = card->read_address();
    if (up) up = card->link();
    if (up) up = card->make_rings(resources);
    if (up) card->start(resources.promiscuous);
    if (!up) {
        card->stop();
        return up.error();
    }
    return static_cast<Nic*>(card);
}

/// Section 4.6.1 and 4.6.2: interrupts off, bus master drained, global reset, interrupts off again.
Result<void> E1000e::reset() {
    mask_all();
    if (word<Status>() == gone) return Error{vanished};
    write(read<Ctrl>() | Ctrl::master_disable);
    if (!bounded_wait_.until(100, [&] { return !(read<Status>() & Status::master_enable); }))
        return Error{"e1000e: the card's reads and writes did not end within 100 ms (STATUS)",
                     word<Status>()};
    write(read<Ctrl>() | Ctrl::reset);
    // Section 4.3: the card needs a microsecond before it may be looked at again.
    Value<Ctrl> control(gone);
    (void)bounded_wait_.until(1, [] { return false; });
    if (!bounded_wait_.until(100, [&] { return !((control = read<Ctrl>()) & Ctrl::reset); }))
        return Error{control.word() == gone ? vanished
                                            : "e1000e: reset did not complete within 100 ms (CTRL)",
                     control.word()};
    Value<Eec> eeprom(control.word());
    if (!bounded_wait_.until(
            100, [&] { return static_cast<bool>((eeprom = read<Eec>()) & Eec::auto_read_done); }) ||
        eeprom.word() == gone)
        return Error{eeprom.word() == gone
                         ? vanished
                         : "e1000e: the EEPROM was not read within 100 ms of the reset (EEC)",
                     eeprom.word()};
    mask_all();
    (void)word<Icr>();
    return {};
}

/// Section 4.6.3: the MAC follows what the PHY negotiates. In loopback there is nobody to negotiate
/// with: speed and duplex are forced, and the frames turn back before the PHY (10.2.5.1, RCTL.LBM).
Result<void> E1000e::link() {
    Value<Ctrl> control = read<Ctrl>();
    if (loopback_) {
        control =
            control & ~(Ctrl::auto_speed | Ctrl::phy_reset | Ctrl::reset | Ctrl::master_disable);
        write(control | Ctrl::set_link_up | Ctrl::force_speed | Ctrl::speed(Ctrl::speed_1000) |
              Ctrl::force_duplex | Ctrl::full_duplex);
        return {};
    }
    control = control | Ctrl::set_link_up | Ctrl::auto_speed;
    control = control & ~(Ctrl::force_speed | Ctrl::force_duplex | Ctrl::phy_reset | Ctrl::reset |
                          Ctrl::master_disable);
    write(control);
    Value<Status> seen;
    auto is_up = [&] {
        // It takes seconds, and under emulation each look costs as much as thousands of turns.
        for (unsigned turn = 0; turn < 20000; ++turn) asm volatile("");
        return static_cast<bool>((seen = read<Status>()) & Status::link_up);
    };
    if (!(read<Status>() & Status::link_up) && !bounded_wait_.until(4000, is_up))
        return Lacking{"e1000e: no link within 4 s (STATUS)", seen.word()};
    if (word<Status>() == gone) return Error{vanished};
    return {};
}

/// Section 10.2.5.21: the EEPROM's address is in the first receive address register after the
/// reset.
Result<void> E1000e::read_address() {
    uint32_t low = word<Ral0>(), high = word<Rah0>();
    if (low == gone && high == gone) return Error{vanished};
    for (unsigned i = 0; i < 4; ++i) mac_[i] = static_cast<uint8_t>(low >> 8 * i);
    for (unsigned i = 0; i < 2; ++i) mac_[4 + i] = static_cast<uint8_t>(high >> 8 * i);
    if ((mac_[0] & 1) != 0 || (low == 0 && (high & 0xFFFF) == 0))
        return Error{"e1000e: the EEPROM holds no usable address (RAL0)", low};
    write(Value<Rah0>(high) | Rah0::valid);
    return {};
}

Result<void> E1000e::make_rings(const Resources& r) {
    if (!ring_size_is_right(r.receive_ring) || !ring_size_is_right(r.transmit_ring))
        return Error{"e1000e: a ring must have a power of two of descriptors, 8 to 4096"};
    auto& memory = r.memory;
    receive_ring_ = reinterpret_cast<ReceiveDescriptor*>(
        memory.take(r.receive_ring * sizeof(ReceiveDescriptor), 128));
    transmit_ring_ = reinterpret_cast<TransmitDescriptor*>(
        memory.take(r.transmit_ring * sizeof(TransmitDescriptor), 128));
    batch_end_ = reinterpret_cast<uint16_t*>(memory.take(r.transmit_ring * sizeof(uint16_t), 64));
    buffers_ = memory.take(r.receive_ring * buffer_stride, 64) + buffer_head;
    if (receive_ring_ == nullptr || transmit_ring_ == nullptr || batch_end_ == nullptr ||
        buffers_ == buffer_head)
        return Lacking{"e1000e: no memory for rings and buffers", memory.left()};
    receive_mask_ = r.receive_ring - 1;
    transmit_mask_ = r.transmit_ring - 1;
    for (uint32_t i = 0; i < r.receive_ring; ++i) {
        receive_ring_[i].address = buffers_ + i * buffer_stride;
        receive_ring_[i].answer = 0;
        // Touched once, so that no first packet finds a page cold.
        *reinterpret_cast<volatile uint8_t*>(receive_ring_[i].address) = 0;
    }
    for (uint32_t i = 0; i < r.transmit_ring; ++i) {
        transmit_ring_[i].address = 0;
        transmit_ring_[i].command = 0;
        batch_end_[i] = 0;
    }
    return {};
}

/// Sections 4.6.4 (statistics), 4.6.5 (receive) and 4.6.6 (transmit).
void E1000e::start(bool promiscuous) {
    (void)counts();
    counts_ = {};
    for (uint32_t i = 0; i < 128; ++i) registers_.write_element<Mta>(i, 0);
    write(Value<Rfctl>());  // legacy descriptors

    auto ring = reinterpret_cast<uint64_t>(receive_ring_);
    write<Rdbal>(static_cast<uint32_t>(ring));
    write<Rdbah>(static_cast<uint32_t>(ring >> 32));
    write<Rdlen>((receive_mask_ + 1) * sizeof(ReceiveDescriptor));
    write<Rdh>(0);
    write<Rdt>(0);
    write<Rdtr>(0);
    write<Radv>(0);
    // Section 10.2.4.3: EITR is 0 after a reset. QEMU's card keeps what it was told before.
    (void)moderate(0);
    write(rxdctl_normal);
    Value<Rctl> control = Rctl::enable | Rctl::broadcast | Rctl::strip_crc;
    if (loopback_) control = control | Rctl::mac_loopback;
    if (promiscuous) control = control | Rctl::unicast_promiscuous | Rctl::multicast_promiscuous;
    write(control);
    receive_next_ = receive_held_ = 0;
    look_at(0);
    // One descriptor stays ours: with all of them given away, head equals tail and the ring looks
    // empty.
    write<Rdt>(receive_mask_);

    ring = reinterpret_cast<uint64_t>(transmit_ring_);
    write<Tdbal>(static_cast<uint32_t>(ring));
    write<Tdbah>(static_cast<uint32_t>(ring >> 32));
    write<Tdlen>((transmit_mask_ + 1) * sizeof(TransmitDescriptor));
    write<Tdh>(0);
    write<Tdt>(0);
    write(txdctl_normal);
    write(tipg_normal);
    write(Tctl::enable | Tctl::pad_short | Tctl::collision_threshold(0x0F) |
          Tctl::collision_distance(0x3F) | Tctl::multiple_reads);
    transmit_next_ = transmit_clean_ = 0;
}

void E1000e::look_at(uint32_t index) {
    auto* answer = reinterpret_cast<const volatile uint32_t*>(&receive_ring_[index].answer);
    receive_status_ = {answer + 1, 0, static_cast<uint32_t>(receive_answer::done >> 32)};
}

/// Reads descriptors from `index` on, not beyond the ring's end.
inline uint32_t E1000e::take_run(Received* out, uint32_t index, uint32_t most) const {
    const ReceiveDescriptor* descriptor = receive_ring_ + index;
    const ReceiveDescriptor* const end = descriptor + most;
    auto* data = reinterpret_cast<uint8_t*>(buffers_ + index * buffer_stride);
    const Received* const start = out;
    for (; descriptor != end; ++descriptor, ++out, data += buffer_stride) {
        uint64_t answer = descriptor->answer;
        if ((answer & receive_answer::done) == 0) break;
        out->data = data;
        out->length = static_cast<uint16_t>(answer);
        // 0 for a whole frame without an error bit. A frame over several descriptors is one that is
        // too long.
        out->errors = static_cast<uint32_t>(answer >> receive_answer::end_of_packet_shift &
                                            receive_answer::verdict_mask) ^
                      1;
    }
    return static_cast<uint32_t>(out - start);
}

uint32_t E1000e::take(Received* out, uint32_t most) {
    uint32_t index = receive_next_;
    // What is the caller's and not recycled yet must not be read a second time.
    uint32_t left = receive_mask_ - ((index - receive_held_) & receive_mask_);
    if (most > left) most = left;
    uint32_t to_the_end = receive_mask_ + 1 - index;
    uint32_t count = take_run(out, index, most < to_the_end ? most : to_the_end);
    if (count == to_the_end && most > count) count += take_run(out + count, 0, most - count);
    index = (index + count) & receive_mask_;
    receive_next_ = index;
    look_at(index);
    return count;
}

/// Gives descriptors from `index` on back, not beyond the ring's end.
inline void E1000e::recycle_run(uint32_t index, uint32_t count) const {
    ReceiveDescriptor* descriptor = receive_ring_ + index;
    uint64_t buffer = buffers_ + index * buffer_stride;
    for (const ReceiveDescriptor* const end = descriptor + count; descriptor != end;
         ++descriptor, buffer += buffer_stride) {
        // The address is written again: the datasheet does not promise that a write-back leaves it
        // alone.
        descriptor->address = buffer;
        descriptor->answer = 0;
    }
}

void E1000e::recycle(uint32_t count) {
    if (count == 0) return;
    uint32_t index = receive_held_, to_the_end = receive_mask_ + 1 - index;
    if (count > to_the_end) {
        recycle_run(index, to_the_end);
        recycle_run(0, count - to_the_end);
    } else {
        recycle_run(index, count);
    }
    receive_held_ = (index + count) & receive_mask_;
    // The tail is the last descriptor given back, which the card does not use itself yet.
    write<Rdt>((receive_held_ - 1) & receive_mask_);
}

void E1000e::expected_writes(uint32_t count, uint32_t length, Written tell) const {
    for (uint32_t i = 0; i < count; ++i) {
        uint32_t index = (receive_next_ + i) & receive_mask_;
        tell(reinterpret_cast<uint64_t>(receive_ring_ + index), sizeof(ReceiveDescriptor));
        tell(buffers_ + index * buffer_stride, length);
    }
}

void E1000e::reap() {
    while (transmit_clean_ != transmit_next_) {
        uint32_t last = batch_end_[transmit_clean_];
        if ((transmit_ring_[last].command & transmit_command::done) == 0) return;
        transmit_clean_ = (last + 1) & transmit_mask_;
    }
}

uint32_t E1000e::queue(const ToSend* frames, uint32_t count) {
    reap();
    uint32_t room = (transmit_clean_ - transmit_next_ - 1) & transmit_mask_;
    if (count > room) count = room;
    if (count == 0) return 0;
    constexpr uint64_t command = transmit_command::end_of_packet | transmit_command::insert_crc;
    uint32_t index = transmit_next_, first = index, last = index;
    for (uint32_t i = 0; i < count; ++i, ++frames) {
        transmit_ring_[index].address = reinterpret_cast<uint64_t>(frames->data);
        transmit_ring_[index].command = frames->length | command;
        last = index;
        index = (index + 1) & transmit_mask_;
    }
    transmit_ring_[last].command = transmit_ring_[last].command | transmit_command::report_status;
    batch_end_[first] = static_cast<uint16_t>(last);
    transmit_next_ = index;
    return count;
}

bool E1000e::all_sent() {
    reap();
    return transmit_clean_ == transmit_next_;
}

/// Section 7.4: MSI-X by IVAR with automatic clearing of the cause; MSI and INTx by the classic
/// receive cause, which the handler clears by reading ICR (10.2.4.1). With INTx that read also lets
/// go of the wire, before the end of the interrupt: the other way round a level that still stands
/// interrupts again.
Result<void> E1000e::route(InterruptKind kind, uint8_t vector, uint32_t apic_id) {
    disarm();
    Result<void> routed;
    if (kind == InterruptKind::msix) {
        routed = function_.route_msix(0, vector, apic_id);
        cause_ = Icr::receive_queue0;
        write(Ivar::receive_queue0_valid | Ivar::receive_queue0_vector(0));
        write(causes<Eiac>(cause_));
        write(read<CtrlExt>() | CtrlExt::msix_pending_clear);
        acknowledge_ = reinterpret_cast<uint64_t>(&harmless_);
    } else {
        routed = kind == InterruptKind::msi ? function_.route_msi(vector, apic_id)
                                            : function_.route_intx();
        cause_ = Icr::receive_timer;
        acknowledge_ = registers_.at<Icr>().base();
    }
    (void)word<Icr>();
    return routed;
}

bool E1000e::arm() {
    // A cause may stand from packets that were taken by polling; it goes before the mask opens, and
    // a packet that comes in between sets it again.
    write(cause_);
    write(causes<Ims>(cause_));
    return !receive_status_.arrived();
}

void E1000e::disarm() { mask_all(); }

/// Section 10.2.4.2 and 10.2.4.3: ITR serves MSI, EITR the MSI-X vector.
Result<void> E1000e::moderate(uint64_t interval_ns) {
    uint64_t units = interval_ns / throttle_unit_ns;
    if (units > 0xFFFF)
        return Lacking{"e1000e: the interrupt interval is longer than 16 bits of 256 ns",
                       interval_ns};
    write<Itr>(static_cast<uint32_t>(units));
    write<Eitr0>(static_cast<uint32_t>(units));
    return {};
}

CardCounts E1000e::counts() {
    counts_.missed += word<Mpc>();
    counts_.runts += word<Ruc>() + word<Rfc>();
    counts_.over_long += word<Roc>() + word<Rjc>();
    counts_.bad_check += word<Crcerrs>();
    return counts_;
}

Result<void> E1000e::check() {
    Value<Status> s = read<Status>();
    if (s.word() == gone) return Error{vanished};
    if (!loopback_ && !(s & Status::link_up))
        return Error{"e1000e: the link is down (STATUS)", s.word()};
    if (counts().missed != 0)
        return Error{"e1000e: the receive ring overflowed (packets missed)", counts_.missed};
    return {};
}

void E1000e::stop() {
    mask_all();
    write(Value<Rctl>());
    write(Value<Tctl>());
    // A reset also ends what the card still has in mind: throttled interrupts, packets half sent.
    (void)reset();
    function_.disable();
}

extern const Driver e1000e_driver{"e1000e", E1000e::drives, E1000e::bring_up};

}  // namespace doorbell::nic
