// Network namespaces and links of a lab's own. Nothing here has a name outside this process:
// namespaces are held by threads and descriptors alone, so the kernel removes them, and every link
// inside, when the process ends, however it ends.
#pragma once
#include <cstdint>
#include <string>

#include "host/partner.h"

namespace doorbell::host {

/// Puts the calling thread into a new network namespace (its loopback up), and back at the end.
/// Throws Skip without CAP_SYS_ADMIN.
class NetworkNamespace {
  public:
    NetworkNamespace();
    ~NetworkNamespace();
    NetworkNamespace(const NetworkNamespace&) = delete;
    /// Its descriptor, with which another thread or a link can enter it.
    int fd() const { return *inside_; }
    /// The descriptor of the thread's previous namespace.
    int outside_fd() const { return *before_; }
    /// Puts the calling thread into it.
    void enter() const;
    /// Puts the calling thread back into its previous namespace.
    void leave() const;

  private:
    File before_, inside_;
};

// In the calling thread's namespace; each throws Skip with the kernel's reason. Addresses are in
// host byte order.

/// A veth pair; the second end is made in the namespace `peer_namespace`.
void add_veth(const std::string& name, const std::string& peer_name, int peer_namespace);
void move_link(const std::string& name, int to_namespace);
void set_up(const std::string& name);
void add_address(const std::string& name, uint32_t address, unsigned prefix);
/// A permanent neighbour: no ARP in the middle of a measurement.
void add_neighbour(const std::string& name, uint32_t address, const uint8_t* mac);
void mac_of(const std::string& name, uint8_t* mac);
/// "" where there is no such interface in the calling thread's namespace (by its driver, from
/// /sys).
std::string link_of_driver(const std::string& driver);

}  // namespace doorbell::host
