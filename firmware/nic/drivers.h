// The list of drivers. A new card is one driver file and one line in drivers.cpp.
#pragma once
#include <span>

#include "firmware/nic/nic.h"

namespace doorbell::nic {

struct Driver {
    std::string_view model;
    bool (*drives)(const platform::PciFunction& function);
    Result<Nic*> (*bring_up)(const platform::PciFunction& function, const Resources& resources);
};

std::span<const Driver> drivers();

/// The driver of that function, or null.
const Driver* driver_of(const platform::PciFunction& function);

}  // namespace doorbell::nic
