#include "firmware/nic/virtio_net.h"

#include <bit>
#include <new>

#include "firmware/nic/drivers.h"

namespace doorbell::nic {

using namespace virtio;

namespace {

constexpr uint16_t vendor_virtio = 0x1AF4, device_modern_net = 0x1041,
                   device_transitional_net = 0x1000;
constexpr uint8_t device_gone = 0xFF;
/// The frame begins 64 bytes into its buffer, on a cache line; the device's header stands in front
/// of it.
constexpr uint64_t buffer_head = 64, buffer_stride = buffer_head + 2048;
constexpr uint32_t frame_room = 1536;
constexpr const char* vanished = "virtio-net: the device has vanished (registers read as all ones)";

/// What was written before is visible to the device before what is read or written next: the one
/// order that x86 does not keep by itself is a store before a load.
inline void store_before_load() { asm volatile("mfence" : : : "memory"); }
inline void compiler_order() { asm volatile("" : : : "memory"); }

}  // namespace

bool VirtioNet::drives(const platform::PciFunction& f) {
    return f.vendor() == vendor_virtio &&
           (f.device() == device_modern_net || f.device() == device_transitional_net);
}

Result<Nic*> VirtioNet::bring_up(const platform::PciFunction& function,
                                 const Resources& resources) {
    if (resources.loopback) return Lacking{"virtio-net: the device has no loopback"};
    auto* card = resources.memory.make<VirtioNet>(function, resources);
    if (card == nullptr) return Lacking{"virtio-net: no memory for the driver"};
    auto up = card->find_structures();
    if (!up) return up.error();
    up = function.enable();
    if (up) up = card->negotiate();
    if (up)
        up = card->make_ring(card->receive_, receive_queue, resources.receive_ring,
                             resources.memory);
    if (up)
        up = card->make_ring(card->transmit_, transmit_queue, resources.transmit_ring,
                             resources.memory);
    if (up) up = card->make_buffers(resources.memory);
    if (up) {
        card->write(common::device_status, card->read(common::device_status) | status::driver_ok);
        up = card->link_is_down() ? Lacking{"virtio-net: there is no link"} : card->check();
    }
    if (!up) {
        card->stop();
        return up.error();
    }
    card->receive_.notify.write16(0, receive_queue);
    return static_cast<Nic*>(card);
}

/// 4.1.4: vendor capabilities name a BAR, an offset and a length for each structure, in the order
/// that the device prefers. The first of a type that can be used here counts: one in an I/O BAR is
/// passed over.
Result<cpu::Mmio> VirtioNet::structure(Structure type, uint64_t bytes, uint16_t* place) const {
    Error why = Lacking{
        function_.capability(platform::pci_capability::vendor) == 0
            ? "virtio-net: the device is legacy only (no virtio capabilities, as with QEMU's "
              "disable-modern=on)"
            : "virtio-net: a structure is missing (no such capability)",
        0};
    bool any = false;
    for (uint16_t at = 0, walked = 0; walked < 16; ++walked) {
        at = function_.capability(platform::pci_capability::vendor, at);
        if (at == 0) break;
        if (function_.read8(at + capability_type) != static_cast<uint8_t>(type)) continue;
        uint32_t length = function_.read32(at + capability_length);
        Result<cpu::Mmio> found =
            Error{"virtio-net: a structure is shorter than the specification says", length};
        if (length >= bytes)
            found = function_.registers(function_.read8(at + capability_bar),
                                        function_.read32(at + capability_offset), length);
        if (found) {
            if (place != nullptr) *place = at;
            return found;
        }
        if (!any) why = found.error();
        any = true;
    }
    return why;
}

Result<void> VirtioNet::find_structures() {
    uint16_t notify_at = 0;
    common_ = DOORBELL_TRY(structure(Structure::common, common_bytes));
    notify_ = DOORBELL_TRY(structure(Structure::notify, 2, &notify_at));
    isr_ = DOORBELL_TRY(structure(Structure::isr, 1));
    device_ = DOORBELL_TRY(structure(Structure::device, config_bytes));
    notify_multiplier_ = function_.read32(notify_at + notify_multiplier);
    return {};
}

/// 3.1.1, steps 1 to 6.
Result<void> VirtioNet::negotiate() {
    write(common::device_status, 0);
    uint8_t seen = 0;
    if (!bounded_wait_.until(100, [&] { return (seen = read(common::device_status)) == 0; }))
        return Error{seen == device_gone
                         ? vanished
                         : "virtio-net: reset did not complete within 100 ms (device_status)",
                     seen};
    write(common::device_status, status::acknowledge);
    write(common::device_status, status::acknowledge | status::driver);

    write(common::device_feature_select, 0);
    uint64_t offered = read(common::device_feature);
    write(common::device_feature_select, 1);
    offered |= static_cast<uint64_t>(read(common::device_feature)) << 32;
    if ((offered & feature::version_1) == 0)
        return Lacking{"virtio-net: the device is legacy only (no VIRTIO_F_VERSION_1)", offered};
    if ((offered & feature::mac) == 0)
        return Lacking{"virtio-net: the device has no address of its own (no VIRTIO_NET_F_MAC)",
                       offered};
    // access_platform: the device's addresses are the bus's, which are the memory's while no IOMMU
    // translates. A device that offers it may refuse to work without it (6.1).
    uint64_t taken = offered & (feature::version_1 | feature::mac | feature::status |
                                feature::event_index | feature::access_platform);
    write(common::driver_feature_select, 0);
    write(common::driver_feature, static_cast<uint32_t>(taken));
    write(common::driver_feature_select, 1);
    write(common::driver_feature, static_cast<uint32_t>(taken >> 32));
    write(common::device_status, status::acknowledge | status::driver | status::features_ok);
    seen = read(common::device_status);
    if (seen == device_gone) return Error{vanished};
    if ((seen & status::features_ok) == 0)
        return Lacking{(offered & feature::access_platform) != 0
                           ? "virtio-net: the device refused the features, among them "
                             "VIRTIO_F_ACCESS_PLATFORM (an IOMMU stands in front of it)"
                           : "virtio-net: the device refused the features",
                       taken};
    has_status_ = (taken & feature::status) != 0;
    has_event_index_ = (taken & feature::event_index) != 0;
    for (unsigned i = 0; i < mac_.size(); ++i) mac_[i] = device_.read8(config_mac + i);
    write(common::config_msix_vector, no_vector);
    return {};
}

/// 4.1.5.1.3.
Result<void> VirtioNet::make_ring(Ring& ring, uint16_t number, uint32_t wanted,
                                  platform::Arena& memory) {
    write(common::queue_select, number);
    uint32_t most = read(common::queue_size);
    if (most == 0 || most == 0xFFFF) return Error{"virtio-net: a queue is missing", number};
    uint32_t size = wanted < most ? wanted : most;
    if (!std::has_single_bit(size) || size < 4)
        return Error{"virtio-net: a ring must have a power of two of descriptors, at least 4",
                     size};
    uint64_t descriptors = memory.take(size * sizeof(Descriptor), 64);
    uint64_t available = memory.take(4 + 2 * size + 2, 64);
    uint64_t used = memory.take(4 + 8 * size + 2, 64);
    if (descriptors == 0 || available == 0 || used == 0)
        return Lacking{"virtio-net: no memory for the rings", memory.left()};
    ring.size = size;
    ring.descriptors = reinterpret_cast<Descriptor*>(descriptors);
    ring.available = reinterpret_cast<Available*>(available);
    ring.used = reinterpret_cast<Used*>(used);
    ring.avail_event = reinterpret_cast<const volatile uint16_t*>(used + 4 + 8 * size);
    for (uint32_t i = 0; i < size; ++i) {
        ring.descriptors[i] = {};
        ring.available->ring[i] = static_cast<uint16_t>(i);
        ring.used->ring[i].id = 0;
        ring.used->ring[i].length = 0;
    }
    ring.available->flags = no_interrupt;
    ring.available->index = 0;
    ring.used_event() = 0xFFFF;
    ring.used->flags = 0;
    ring.used->index = 0;
    write(common::queue_size, static_cast<uint16_t>(size));
    write(common::queue_msix_vector, no_vector);
    write(common::queue_desc, descriptors);
    write(common::queue_driver, available);
    write(common::queue_device, used);
    ring.notify =
        notify_.at(static_cast<uint64_t>(read(common::queue_notify_off)) * notify_multiplier_);
    write(common::queue_enable, 1);
    return {};
}

Result<void> VirtioNet::make_buffers(platform::Arena& memory) {
    uint64_t start = memory.take(receive_.size * buffer_stride, 64);
    free_ = reinterpret_cast<uint16_t*>(memory.take(transmit_.size * sizeof(uint16_t), 64));
    if (start == 0 || free_ == nullptr)
        return Lacking{"virtio-net: no memory for the buffers", memory.left()};
    buffers_ = start + buffer_head;
    for (uint32_t i = 0; i < receive_.size; ++i) {
        uint64_t frame = buffers_ + i * buffer_stride;
        *reinterpret_cast<volatile uint8_t*>(frame) = 0;
        receive_.descriptors[i] = {frame - header_bytes, header_bytes + frame_room,
                                   descriptor_device_writes, 0};
    }
    for (uint32_t i = 0; i < transmit_.size; ++i)
        free_[i] = static_cast<uint16_t>(transmit_.size - 1 - i);
    free_count_ = transmit_.size;
    receive_.offered = static_cast<uint16_t>(receive_.size);
    compiler_order();
    receive_.available->index = receive_.offered;
    look_at_next();
    return {};
}

/// The receive status word is used.flags and used.index as one word; the index counts on with every
/// packet.
void VirtioNet::look_at_next() {
    receive_status_ = {reinterpret_cast<const volatile uint32_t*>(receive_.used),
                       static_cast<uint32_t>(receive_.seen) << 16, 0xFFFF0000};
}

uint32_t VirtioNet::take(Received* out, uint32_t most) {
    uint16_t there = static_cast<uint16_t>(receive_.used->index - receive_.seen);
    uint32_t count = there < most ? there : most;
    for (uint32_t i = 0; i < count; ++i, ++out) {
        const UsedElement& element = receive_.used->ring[(receive_.seen + i) & receive_.mask()];
        // An id outside of the ring, or a length outside of the buffer, could point anywhere: the
        // frame is marked instead.
        uint32_t id = element.id & receive_.mask(), length = element.length - header_bytes;
        bool wrong = element.id != id || length > frame_room;
        *out = {reinterpret_cast<uint8_t*>(buffers_ + id * buffer_stride), wrong ? 0 : length,
                wrong};
    }
    receive_.seen = static_cast<uint16_t>(receive_.seen + count);
    look_at_next();
    return count;
}

void VirtioNet::recycle(uint32_t count) {
    uint16_t before = receive_.offered;
    for (uint32_t i = 0; i < count; ++i) {
        uint32_t id = receive_.used->ring[receive_held_++ & receive_.mask()].id;
        receive_.available->ring[receive_.offered++ & receive_.mask()] =
            static_cast<uint16_t>(id & receive_.mask());
    }
    if (!armed_) receive_.used_event() = static_cast<uint16_t>(receive_.seen - 1);
    compiler_order();
    receive_.available->index = receive_.offered;
    // 2.7.10: the device says whether it wants to be told. A device out of buffers does.
    store_before_load();
    uint16_t offered = static_cast<uint16_t>(receive_.offered - before);
    bool wanted =
        has_event_index_
            ? static_cast<uint16_t>(receive_.offered - *receive_.avail_event - 1) < offered
            : (receive_.used->flags & no_notify) == 0;
    if (wanted) receive_.notify.write16(0, receive_queue);
}

/// A device may use buffers out of order; a model may assume that it takes them in the order in
/// which they were offered.
void VirtioNet::expected_writes(uint32_t count, uint32_t length, Written tell) const {
    tell(reinterpret_cast<uint64_t>(receive_.used), sizeof(Used));
    for (uint32_t i = 0; i < count; ++i) {
        uint32_t at = (receive_.seen + i) & receive_.mask();
        tell(reinterpret_cast<uint64_t>(&receive_.used->ring[at]), sizeof(UsedElement));
        uint32_t id = receive_.available->ring[at] & receive_.mask();
        tell(buffers_ + id * buffer_stride - header_bytes, header_bytes + length);
    }
}

void VirtioNet::reap() {
    for (uint16_t done = transmit_.used->index;
         transmit_.seen != done && free_count_ < transmit_.size; ++transmit_.seen)
        free_[free_count_++] = static_cast<uint16_t>(
            transmit_.used->ring[transmit_.seen & transmit_.mask()].id & transmit_.mask());
}

uint32_t VirtioNet::queue(const ToSend* frames, uint32_t count) {
    reap();
    if (count > free_count_) count = free_count_;
    for (uint32_t i = 0; i < count; ++i, ++frames) {
        uint16_t id = free_[--free_count_];
        // 5.1.6.2: a header of zeros asks for nothing (no checksum, no segmentation).
        auto* header = reinterpret_cast<volatile uint32_t*>(frames->data - header_bytes);
        for (unsigned word = 0; word < header_bytes / 4; ++word) header[word] = 0;
        transmit_.descriptors[id].address = reinterpret_cast<uint64_t>(header);
        transmit_.descriptors[id].length = header_bytes + static_cast<uint32_t>(frames->length);
        transmit_.available->ring[transmit_.offered++ & transmit_.mask()] = id;
    }
    compiler_order();
    transmit_.available->index = transmit_.offered;
    return count;
}

bool VirtioNet::all_sent() {
    reap();
    return free_count_ == transmit_.size;
}

/// 4.1.5.1.2 for MSI-X; with INTx the handler reads the ISR status, which clears it (4.1.4.5).
Result<void> VirtioNet::route(InterruptKind kind, uint8_t vector, uint32_t apic_id) {
    disarm();
    if (kind == InterruptKind::msi)
        return Lacking{"virtio-net: the device has MSI-X and INTx, no MSI"};
    if (kind == InterruptKind::intx) {
        acknowledge_ = isr_.base();
        acknowledge_is_byte_ = true;
        return function_.route_intx();
    }
    DOORBELL_TRY(function_.route_msix(0, vector, apic_id));
    write(common::queue_select, receive_queue);
    write(common::queue_msix_vector, 0);
    if (read(common::queue_msix_vector) != 0)
        return Lacking{"virtio-net: the device has no room for an MSI-X vector"};
    acknowledge_ = reinterpret_cast<uint64_t>(&harmless_);
    return {};
}

/// 2.7.7: the interrupt comes when the used index passes used_event. Without that feature every
/// packet interrupts until disarm().
bool VirtioNet::arm() {
    armed_ = true;
    receive_.used_event() = receive_.seen;
    receive_.available->flags = 0;
    store_before_load();
    return !receive_status_.arrived();
}

void VirtioNet::disarm() {
    armed_ = false;
    receive_.available->flags = no_interrupt;
    receive_.used_event() = static_cast<uint16_t>(receive_.seen - 1);
}

Result<void> VirtioNet::moderate(uint64_t interval_ns) {
    if (interval_ns == 0) return {};
    return Lacking{"virtio-net: the device has no interrupt moderation"};
}

bool VirtioNet::link_is_down() const {
    return has_status_ && (device_.read16(config_status) & config_link_up) == 0;
}

Result<void> VirtioNet::check() {
    uint8_t s = read(common::device_status);
    if (s == device_gone) return Error{vanished};
    if (s & status::needs_reset)
        return Error{"virtio-net: the device asks to be reset (device_status)", s};
    if (link_is_down()) return Error{"virtio-net: the link is down"};
    // The device drops silently; that every buffer was full at once is all that can be seen.
    if (static_cast<uint16_t>(receive_.used->index - receive_held_) >= receive_.size &&
        receive_.size != 0)
        return Error{"virtio-net: the receive ring overflowed (every buffer is full)",
                     receive_.size};
    return {};
}

void VirtioNet::stop() {
    write(common::device_status, 0);
    (void)bounded_wait_.until(100, [&] { return read(common::device_status) == 0; });
    function_.disable();
}

extern const Driver virtio_net_driver{"virtio-net", VirtioNet::drives, VirtioNet::bring_up};

}  // namespace doorbell::nic
