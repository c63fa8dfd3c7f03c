// The drivers. A new one is one file, firmware/nic/NAME.cpp, and one line in drivers.list.
#pragma once
#include <string_view>

#include "firmware/nic/nic.h"

namespace doorbell::nic {

struct Driver {
    std::string_view model;  ///< as cases name it
    bool (*drives)(const platform::PciFunction& function);
    Result<Nic*> (*bring_up)(const platform::PciFunction& function, const Resources& resources);
};

/// The driver of that function, or null.
const Driver* driver_of(const platform::PciFunction& function);

}  // namespace doorbell::nic
