#include "firmware/nic/drivers.h"

#include "firmware/nic/e1000e.h"
#include "firmware/nic/virtio_net.h"

namespace doorbell::nic {
namespace {
constexpr Driver all[] = {
    {"e1000e", E1000e::drives, E1000e::bring_up},
    {"virtio-net", VirtioNet::drives, VirtioNet::bring_up},
};
}  // namespace

std::span<const Driver> drivers() { return all; }

const Driver* driver_of(const platform::PciFunction& function) {
    for (const Driver& d : all)
        if (d.drives(function)) return &d;
    return nullptr;
}

}  // namespace doorbell::nic
