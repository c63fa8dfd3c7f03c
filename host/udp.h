// A UDP receiver that waits in one of Linux's ways.
#pragma once
#include <cstdint>
#include <memory>
#include <string_view>

#include "host/packet.h"
#include "host/partner.h"

namespace doorbell::host {

/// How long to wait for a packet: longer than a loaded machine suspends the sender.
inline constexpr int timeout_s = 20;

/// Waits for packets on UDP port `port` of `address` (host byte order), in the network namespace in
/// which it was made.
class Receiver {
  public:
    virtual ~Receiver() = default;
    /// Waits for the next packet; returns false where none came for patience_s.
    virtual bool next(Payload& payload) = 0;
    /// What a reader must know about this way of waiting here; "" where there is nothing.
    virtual const char* remark() { return ""; }

    /// `wait`: block, epoll, busy-poll, spin or packet-ring (on the interface `link`). Throws Skip.
    static std::unique_ptr<Receiver> make(std::string_view wait, uint32_t address, uint16_t port,
                                          const char* link);
};

/// A free port of `address`, in the calling thread's namespace. Throws Skip.
uint16_t free_port(uint32_t address);

/// A socket that sends to it.
File sender_to(uint32_t address, uint16_t port);
/// Sends packet `number` by it. Throws Skip.
void send_packet(const File& socket, uint64_t number);

}  // namespace doorbell::host
