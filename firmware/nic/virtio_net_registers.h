// Structures of the modern virtio network device in the specification's order (Virtual I/O Device
// Version 1.2: 2.7 split virtqueues, 4.1.4 PCI layout, 5.1 network device). Only what is used here.
#pragma once
#include <cstdint>

namespace doorbell::nic::virtio {

/// Types of the vendor capability, 4.1.4.
enum class Structure : uint8_t { common = 1, notify = 2, isr = 3, device = 4 };
/// Its fields, as offsets in configuration space.
inline constexpr uint16_t capability_type = 3, capability_bar = 4, capability_offset = 8,
                          capability_length = 12, notify_multiplier = 16;

/// A register of the common configuration, which is accessed in its own width only (4.1.3.1).
template <class Word>
struct CommonRegister {
    uint32_t offset;
};
/// The common configuration, 4.1.4.3.
namespace common {
inline constexpr CommonRegister<uint32_t> device_feature_select{0x00}, device_feature{0x04},
    driver_feature_select{0x08}, driver_feature{0x0C};
inline constexpr CommonRegister<uint16_t> config_msix_vector{0x10};
inline constexpr CommonRegister<uint8_t> device_status{0x14};
inline constexpr CommonRegister<uint16_t> queue_select{0x16}, queue_size{0x18},
    queue_msix_vector{0x1A}, queue_enable{0x1C}, queue_notify_off{0x1E};
inline constexpr CommonRegister<uint64_t> queue_desc{0x20}, queue_driver{0x28}, queue_device{0x30};
}  // namespace common
inline constexpr uint32_t common_bytes = 0x38;
inline constexpr uint16_t no_vector = 0xFFFF;

/// Device status, 2.1.
namespace status {
inline constexpr uint8_t acknowledge = 1, driver = 2, driver_ok = 4, features_ok = 8,
                         needs_reset = 64, failed = 128;
}
/// Feature bits, 5.1.3 and chapter 6.
namespace feature {
inline constexpr uint64_t mac = 1ull << 5, status = 1ull << 16, event_index = 1ull << 29,
                          version_1 = 1ull << 32, access_platform = 1ull << 33;
}
/// The network device's own configuration, 5.1.4.
inline constexpr uint32_t config_mac = 0, config_status = 6, config_bytes = 8;
inline constexpr uint16_t config_link_up = 1;
inline constexpr uint16_t receive_queue = 0, transmit_queue = 1;

/// 2.7.5
struct Descriptor {
    uint64_t address;
    uint32_t length;
    uint16_t flags, next;
};
inline constexpr uint16_t descriptor_device_writes = 2;
/// 2.7.6; `ring` is followed by used_event.
struct Available {
    volatile uint16_t flags, index;
    volatile uint16_t ring[];
};
inline constexpr uint16_t no_interrupt = 1;
struct UsedElement {
    volatile uint32_t id, length;
};
/// 2.7.8; `ring` is followed by avail_event.
struct Used {
    volatile uint16_t flags, index;
    UsedElement ring[];
};
inline constexpr uint16_t no_notify = 1;

/// In front of every frame, 5.1.6: with version 1 all 12 bytes; this driver uses none of them.
inline constexpr uint32_t header_bytes = 12;

}  // namespace doorbell::nic::virtio
