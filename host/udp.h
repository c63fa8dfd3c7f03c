// A UDP receiver that waits in one of the ways that Linux offers.
#pragma once
#include <cstdint>
#include <memory>
#include <string_view>

#include "host/partner.h"

namespace doorbell::host {

/// What a packet carries: 18 bytes would fill a frame of 64; these and their headers are one of 64 too.
struct Payload {
    uint64_t number;  ///< counts up; 0: the end
    uint64_t sent;    ///< timestamp before it was sent
};

/// Waits for packets on UDP port `port` of `address` (host byte order), in the network namespace in which it
/// was made.
class Receiver {
  public:
    virtual ~Receiver() = default;
    /// Waits for the next packet; returns false where none came within some seconds.
    virtual bool next(Payload& payload) = 0;
    /// What a reader must know of this way here; "" for nothing.
    virtual const char* remark() { return ""; }

    /// `wait`: block, epoll, busy-poll, spin or packet-ring (on the interface `link`). Throws Skip.
    static std::unique_ptr<Receiver> make(std::string_view wait, uint32_t address, uint16_t port, const char* link);
};

/// A socket that sends to it.
File sender_to(uint32_t address, uint16_t port);

}  // namespace doorbell::host
