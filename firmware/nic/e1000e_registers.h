// Registers of the Intel 82574 Gigabit Ethernet Controller in the datasheet's order (revision 3.4,
// chapter 10), and its legacy descriptors (sections 7.1.4 and 7.2.10). Only what is used here.
#pragma once
#include <concepts>
#include <cstdint>

#include "firmware/cpu/register_block.h"

namespace doorbell::nic::e1000e {

/// BAR 0.
struct Block;
template <uint64_t at>
using Bits = cpu::BlockRegister<Block, at>;
template <uint64_t at>
using Number = cpu::BlockNumber<Block, at>;
using cpu::Field, cpu::Value;

struct Ctrl : Bits<0x0000> {  ///< device control, 10.2.2.1
    static constexpr Field<Ctrl, 0> full_duplex{};
    static constexpr Field<Ctrl, 2> master_disable{};
    static constexpr Field<Ctrl, 5> auto_speed{};
    static constexpr Field<Ctrl, 6> set_link_up{};
    static constexpr Field<Ctrl, 8, 2> speed{};
    static constexpr uint32_t speed_1000 = 2;
    static constexpr Field<Ctrl, 11> force_speed{};
    static constexpr Field<Ctrl, 12> force_duplex{};
    static constexpr Field<Ctrl, 26> reset{};
    static constexpr Field<Ctrl, 31> phy_reset{};
};
struct Status : Bits<0x0008> {  ///< device status, 10.2.2.2
    static constexpr Field<Status, 1> link_up{};
    static constexpr Field<Status, 19> master_enable{};
};
struct Eec : Bits<0x0010> {  ///< EEPROM/flash control, 10.2.2.3
    static constexpr Field<Eec, 9> auto_read_done{};
};
struct CtrlExt : Bits<0x0018> {  ///< extended device control, 10.2.2.5
    static constexpr Field<CtrlExt, 31> msix_pending_clear{};
};

/// Interrupt cause read, 10.2.4.1; the causes stand at the same places in the three after it.
struct Icr : Bits<0x00C0> {
    static constexpr Field<Icr, 7> receive_timer{};
    static constexpr Field<Icr, 20> receive_queue0{};
    static constexpr Field<Icr, 0, 32> all{};
};
struct Ims : Bits<0x00D0> {};   ///< interrupt mask set
struct Imc : Bits<0x00D8> {};   ///< interrupt mask clear
struct Eiac : Bits<0x00DC> {};  ///< auto clear, 10.2.4.7
/// Causes for one of those three.
template <class R>
    requires std::same_as<R, Ims> || std::same_as<R, Imc> || std::same_as<R, Eiac>
constexpr Value<R> causes(Value<Icr> causes) {
    return Value<R>(causes.word());
}
struct Itr : Number<0x00C4> {};  ///< interrupt throttling, 10.2.4.2
struct Ivar : Bits<0x00E4> {     ///< vector allocation, 10.2.4.9
    static constexpr Field<Ivar, 0, 3> receive_queue0_vector{};
    static constexpr Field<Ivar, 3> receive_queue0_valid{};
};
struct Eitr0 : Number<0x00E8> {};  ///< throttling of MSI-X vector 0, 10.2.4.3

struct Rctl : Bits<0x0100> {  ///< receive control, 10.2.5.1
    static constexpr Field<Rctl, 1> enable{};
    static constexpr Field<Rctl, 3> unicast_promiscuous{};
    static constexpr Field<Rctl, 4> multicast_promiscuous{};
    static constexpr Field<Rctl, 6> mac_loopback{};
    static constexpr Field<Rctl, 15> broadcast{};
    static constexpr Field<Rctl, 26> strip_crc{};
};
struct Tctl : Bits<0x0400> {  ///< transmit control, 10.2.6.1
    static constexpr Field<Tctl, 1> enable{};
    static constexpr Field<Tctl, 3> pad_short{};
    static constexpr Field<Tctl, 4, 8> collision_threshold{};
    static constexpr Field<Tctl, 12, 10> collision_distance{};
    static constexpr Field<Tctl, 28> multiple_reads{};
};
/// Inter-packet gap, 10.2.6.2.
struct Tipg : Bits<0x0410> {
    static constexpr Field<Tipg, 0, 10> gap{};
    static constexpr Field<Tipg, 10, 10> gap_1{};
    static constexpr Field<Tipg, 20, 10> gap_2{};
};

struct Rdbal : Number<0x2800> {};  ///< receive descriptors: base, 10.2.5.5
struct Rdbah : Number<0x2804> {};
struct Rdlen : Number<0x2808> {};
struct Rdh : Number<0x2810> {};
struct Rdt : Number<0x2818> {};
struct Rdtr : Number<0x2820> {};  ///< delay of the receive interrupt, 10.2.5.10
struct Rxdctl : Bits<0x2828> {
    static constexpr Field<Rxdctl, 16, 6> write_back_threshold{};
    static constexpr Field<Rxdctl, 24> in_descriptors{};  ///< what the thresholds count
};
struct Radv : Number<0x282C> {};
struct Tdbal : Number<0x3800> {};  ///< transmit descriptors: base, 10.2.6.4
struct Tdbah : Number<0x3804> {};
struct Tdlen : Number<0x3808> {};
struct Tdh : Number<0x3810> {};
struct Tdt : Number<0x3818> {};
struct Txdctl : Bits<0x3828> {
    static constexpr Field<Txdctl, 16, 6> write_back_threshold{};
    static constexpr Field<Txdctl, 22> always_1{};
    static constexpr Field<Txdctl, 24> in_descriptors{};
};

// Statistics, 10.2.7; cleared by reading.
struct Crcerrs : Number<0x4000> {};
struct Mpc : Number<0x4010> {};  ///< missed: no descriptor, FIFO full
struct Ruc : Number<0x40A4> {};  ///< undersize
struct Rfc : Number<0x40A8> {};  ///< fragments: undersize with a wrong check sequence
struct Roc : Number<0x40AC> {};  ///< oversize
struct Rjc : Number<0x40B0> {};  ///< jabber: oversize with a wrong check sequence

struct Rfctl : Bits<0x5008> {};   ///< receive filter control, 10.2.5.17
struct Mta : Number<0x5200> {};   ///< multicast table, 128 words
struct Ral0 : Number<0x5400> {};  ///< receive address, 10.2.5.21
struct Rah0 : Bits<0x5404> {
    static constexpr Field<Rah0, 31> valid{};
};

/// Write back every descriptor.
inline constexpr Value<Rxdctl> rxdctl_normal =
    Rxdctl::in_descriptors | Rxdctl::write_back_threshold(1);
inline constexpr Value<Txdctl> txdctl_normal =
    Txdctl::in_descriptors | Txdctl::always_1 | Txdctl::write_back_threshold(1);
/// What the datasheet asks for with full duplex (10.2.6.2).
inline constexpr Value<Tipg> tipg_normal = Tipg::gap(8) | Tipg::gap_1(8) | Tipg::gap_2(6);
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
