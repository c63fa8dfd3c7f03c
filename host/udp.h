// A UDP receiver that waits in one of the ways that Linux offers.
#pragma once
#include <cstdint>
#include <memory>
#include <string_view>

#include "host/packet.h"
#include "host/partner.h"

namespace doorbell::host {

/// How long a packet is waited for: longer than a loaded machine leaves the sender aside.
inline constexpr int timeout_s = 20;

/// Waits for packets on UDP port `port` of `address` (host byte order), in the network namespace in
/// which it was made.
class Receiver {
  public:
    virtual ~Receiver() = default;
    /// Waits for the next packet; returns false where none came for patience_s.
    virtual bool next(Payload& payload) = 0;
    /// What a reader must know of this way here; "" for nothing.
    virtual const char* remark() { return ""; }

    /// `wait`: block, epoll, busy-poll, spin or packet-ring (on the interface `link`). Throws Skip.
    static std::unique_ptr<Receiver> make(std::string_view wait, uint32_t address, uint16_t port,
                                          const char* link);
};

/// A port of `address` that nobody has, in the calling thread's namespace. Throws Skip.
uint16_t free_port(uint32_t address);

/// A socket that sends to it.
File sender_to(uint32_t address, uint16_t port);
/// Sends packet `number` by it. Throws Skip.
void send_packet(const File& socket, uint64_t number);

}  // namespace doorbell::host
