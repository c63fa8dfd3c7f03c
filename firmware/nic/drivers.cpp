#include "firmware/nic/drivers.h"

namespace doorbell::nic {

#define DRIVER(name) extern const Driver name##_driver;
#include "firmware/nic/drivers.list"
#undef DRIVER

namespace {
constexpr const Driver* all[] = {
#define DRIVER(name) &name##_driver,
#include "firmware/nic/drivers.list"
#undef DRIVER
};
}  // namespace

const Driver* driver_of(const platform::PciFunction& function) {
    for (const Driver* d : all)
        if (d->drives(function)) return d;
    return nullptr;
}

}  // namespace doorbell::nic
