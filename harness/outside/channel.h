// How UDP datagrams reach the machine under test: as frames that are put into datagrams of QEMU's
// (--net udp), or through this host's own network stack and a tap.
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "harness/machine/machine.h"

namespace doorbell::harness {

/// What is sent to the image's echo port, or came back from it.
using Datagram = std::span<const uint8_t>;

class Channel {
  public:
    virtual ~Channel() = default;
    /// To wait on with poll(2).
    int descriptor() const { return socket_; }
    /// Asks for what the first datagram still needs, such as an address (ARP). May be called
    /// repeatedly.
    virtual void knock() {}
    /// Whether datagrams can be sent.
    virtual bool open() const { return true; }
    /// Sends up to `most_at_once` datagrams and says how many left; fewer where the socket has no
    /// room now.
    virtual size_t send(std::span<const Datagram> datagrams) = 0;
    /// Asks the image to end the case.
    virtual void send_stop() = 0;
    /// Whether it has agreed since the last call. Call it after receive().
    virtual bool stopping() = 0;
    /// What has come, without waiting, at most `most_at_once`; valid until the next call. Damaged
    /// ones (a wrong checksum or length) are counted and left out.
    std::span<const Datagram> receive();
    /// What the sockets refused and the wire damaged.
    uint64_t damaged() const { return damaged_; }

    static constexpr size_t most_at_once = 64, longest = 2048;

    /// Joins the end of the cable that a card has under `net`. Throws MachineError.
    static std::unique_ptr<Channel> make(const Net& net, CardPorts ports, uint32_t address,
                                         unsigned prefix);

  protected:
    Channel() = default;
    Channel(const Channel&) = delete;
    /// The datagram in what a receive call gave; empty where it is not one of the echo's. May
    /// answer on its own (ARP).
    virtual Datagram unpack(std::span<const uint8_t> received) = 0;

    int socket_ = -1;
    uint64_t damaged_ = 0;

  private:
    std::vector<std::array<uint8_t, longest>> buffers_{most_at_once};
    std::vector<Datagram> came_;
};

}  // namespace doorbell::harness
