// Answers to what comes from outside: ARP requests for the image's address (RFC 826), ICMP echo
// (RFC 792), UDP echo (RFC 862). An answer is written into the frame that it answers, so that
// nothing is copied. What must not be answered (RFC 1122) is not, and everything is counted by what
// became of it.
#pragma once
#include <cstdint>

#include "firmware/nic/nic.h"

namespace doorbell::nic {

/// What became of a frame. The first four were answered; the others are told apart by the first
/// thing that was wrong.
enum class Fate : uint8_t {
    arp,  ///< a request for our address
    icmp_echo,
    udp_echo,
    stop,        ///< answered like an echo, and the end is wanted (wire/outside.h)
    broken,      ///< the card marked its descriptor
    runt,        ///< shorter than an Ethernet header
    over_long,   ///< longer than 1514 bytes
    not_for_us,  ///< another station's, a group's, or another host's address
    vlan,
    other_ethertype,
    truncated,     ///< a length inside says more than there is
    bad_header,    ///< no IPv4 header, or one shorter than 20 bytes
    bad_checksum,  ///< of IPv4's header, ICMP, or UDP
    options,       ///< IPv4 options
    fragment,
    bad_source,  ///< from an address or a port that no host may have, or to which an answer would
                 ///< be harmful
    other_protocol,  ///< neither ICMP nor UDP
    other_message,   ///< ARP that is not a request, ICMP that is not an echo request
    other_port,
};
inline constexpr unsigned fates = 19;
inline constexpr unsigned answered_fates = 4;
/// Their names on the wire and in results ("arp", "icmp-echo", ...).
extern const char* const fate_names[fates];

struct Answer {
    Fate fate;
    uint32_t length;  ///< bytes of the answer, which stands where the frame stood; 0: none
};

class Responder {
  public:
    /// `address` in host byte order; the first `prefix` bits of it are the network's, 1 to 30.
    Responder(const MacAddress& mac, uint32_t address, uint32_t prefix)
        : mac_(mac), address_(address), host_bits_(~0u >> prefix) {}

    /// Judges a frame and writes the answer, if there is one, into its place. Reads no further than
    /// the frame's length; writes no further than that or shortest_frame, for which there must be
    /// room.
    Answer answer(const Received& frame) const;

  private:
    Answer arp(uint8_t* frame, uint32_t length) const;
    Answer ip(uint8_t* frame, uint32_t length) const;
    Fate icmp(uint8_t* message, uint32_t length) const;
    Fate udp(uint8_t* packet, uint32_t length) const;
    bool may_be_answered(uint32_t source) const;

    MacAddress mac_;
    uint32_t address_;
    uint32_t host_bits_;
};

}  // namespace doorbell::nic
