// Registers of the Intel 82574 Gigabit Ethernet Controller in the datasheet's order (revision 3.4,
// chapter 10), and its legacy descriptors (sections 7.1.4 and 7.2.10). Only what is used here.
#pragma once
#include <cstdint>

namespace doorbell::nic::e1000e {

/// Offsets in BAR 0.
enum class Register : uint32_t {
    ctrl = 0x0000,      ///< device control, 10.2.2.1
    status = 0x0008,    ///< device status, 10.2.2.2
    eec = 0x0010,       ///< EEPROM/flash control, 10.2.2.3
    ctrl_ext = 0x0018,  ///< extended device control, 10.2.2.5
    icr = 0x00C0,       ///< interrupt cause read, 10.2.4.1
    itr = 0x00C4,       ///< interrupt throttling, 10.2.4.2
    ics = 0x00C8,       ///< interrupt cause set
    ims = 0x00D0,       ///< interrupt mask set
    imc = 0x00D8,       ///< interrupt mask clear
    eiac = 0x00DC,      ///< auto clear, 10.2.4.7
    ivar = 0x00E4,      ///< vector allocation, 10.2.4.9
    eitr0 = 0x00E8,     ///< throttling of MSI-X vector 0, 10.2.4.3
    rctl = 0x0100,      ///< receive control, 10.2.5.1
    tctl = 0x0400,      ///< transmit control, 10.2.6.1
    tipg = 0x0410,      ///< inter-packet gap, 10.2.6.2
    rdbal = 0x2800,     ///< receive descriptors: base, 10.2.5.5
    rdbah = 0x2804,
    rdlen = 0x2808,
    rdh = 0x2810,
    rdt = 0x2818,
    rdtr = 0x2820,  ///< delay of the receive interrupt, 10.2.5.10
    rxdctl = 0x2828,
    radv = 0x282C,
    tdbal = 0x3800,  ///< transmit descriptors: base, 10.2.6.4
    tdbah = 0x3804,
    tdlen = 0x3808,
    tdh = 0x3810,
    tdt = 0x3818,
    txdctl = 0x3828,
    crcerrs = 0x4000,  ///< statistics, 10.2.7; cleared by reading
    mpc = 0x4010,      ///< missed: no descriptor, FIFO full
    rnbc = 0x40A0,     ///< no buffer, packet kept in the FIFO
    ruc = 0x40A4,      ///< undersize
    rfc = 0x40A8,      ///< fragments: undersize with a wrong check sequence
    roc = 0x40AC,      ///< oversize
    rjc = 0x40B0,      ///< jabber: oversize with a wrong check sequence
    rfctl = 0x5008,    ///< receive filter control, 10.2.5.17
    mta = 0x5200,      ///< multicast table, 128 words
    ral0 = 0x5400,     ///< receive address, 10.2.5.21
    rah0 = 0x5404,
};

namespace ctrl {
inline constexpr uint32_t master_disable = 1 << 2, full_duplex = 1 << 0, auto_speed = 1 << 5,
                          set_link_up = 1 << 6, speed_1000 = 2 << 8, force_speed = 1 << 11,
                          force_duplex = 1 << 12, reset = 1 << 26, phy_reset = 1u << 31;
}
namespace status {
inline constexpr uint32_t full_duplex = 1 << 0, link_up = 1 << 1, master_enable = 1 << 19;
}
namespace eec {
inline constexpr uint32_t auto_read_done = 1 << 9;
}
namespace ctrl_ext {
inline constexpr uint32_t msix_pending_clear = 1u << 31;
}
/// Causes in ICR, ICS, IMS, IMC.
namespace cause {
inline constexpr uint32_t receive_timer = 1 << 7, receive_queue0 = 1 << 20, all = ~0u;
}
/// IVAR: the entry of receive queue 0 in bits 2:0, valid in bit 3.
namespace ivar {
inline constexpr uint32_t receive_queue0_valid = 1 << 3;
}
namespace rctl {
inline constexpr uint32_t enable = 1 << 1, unicast_promiscuous = 1 << 3,
                          multicast_promiscuous = 1 << 4, mac_loopback = 1 << 6,
                          broadcast = 1 << 15, strip_crc = 1 << 26;
}
namespace tctl {
inline constexpr uint32_t enable = 1 << 1, pad_short = 1 << 3, collision_threshold = 0x0F << 4,
                          collision_distance = 0x3F << 12, multiple_reads = 1 << 28;
}
/// Values the datasheet asks for: 8, 8 and 6 for full duplex (10.2.6.2).
inline constexpr uint32_t tipg_normal = 8 | 8 << 10 | 6 << 20;
namespace rah {
inline constexpr uint32_t valid = 1u << 31;
}
/// TXDCTL, RXDCTL: write back every descriptor (granularity in descriptors, threshold 1); bit 22
/// must be 1 in TXDCTL.
inline constexpr uint32_t txdctl_normal = 1 << 24 | 1 << 22 | 1 << 16;
inline constexpr uint32_t rxdctl_normal = 1 << 24 | 1 << 16;
/// EITR counts in 256 ns.
inline constexpr uint64_t throttle_unit_ns = 256;

/// Legacy receive descriptor. After the card has written it back, `answer` holds: length 15:0,
/// packet checksum 31:16, status 39:32, errors 47:40, VLAN tag 63:48.
struct ReceiveDescriptor {
    uint64_t address;
    volatile uint64_t answer;
};
namespace receive_answer {
inline constexpr uint64_t done = 1ull << 32;
inline constexpr unsigned end_of_packet_shift = 33, errors_shift = 40;
/// CE, SE, SEQ, CXE, RXE: the frame is bad. TCPE (5) and IPE (6) speak of checksums inside a good
/// frame.
inline constexpr uint32_t frame_errors = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 4 | 1 << 7;
/// End of packet and the errors, once shifted down by end_of_packet_shift.
inline constexpr uint64_t verdict_mask = frame_errors << (errors_shift - end_of_packet_shift) | 1;
}  // namespace receive_answer

/// Legacy transmit descriptor: `command` holds length 15:0, command 31:24, status 35:32.
struct TransmitDescriptor {
    uint64_t address;
    volatile uint64_t command;
};
namespace transmit_command {
inline constexpr uint64_t end_of_packet = 1ull << 24, insert_crc = 1ull << 25,
                          report_status = 1ull << 27;
inline constexpr uint64_t done = 1ull << 32;
}  // namespace transmit_command

}  // namespace doorbell::nic::e1000e
