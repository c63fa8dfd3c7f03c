#include "firmware/platform/pm_timer.h"

namespace doorbell::platform {
namespace {

// Reads within which the timer must have moved; a tick is 0.28 us.
constexpr unsigned most_reads = 10000;

}  // namespace

Result<PmTimer> PmTimer::bring_up(cpu::Ports ports, const AcpiFixed& fixed) {
    if (!fixed.pm_timer) return Lacking{"the FADT names no PM timer"};
    if (fixed.pm_timer.space != AcpiRegister::Space::io)
        return Lacking{"the PM timer is not in I/O space", fixed.pm_timer.address};
    PmTimer timer;
    timer.ports_ = ports;
    timer.port_ = static_cast<uint16_t>(fixed.pm_timer.address);
    timer.mask_ = fixed.pm_timer_32 ? 0xFFFFFFFF : 0xFFFFFF;
    uint32_t first = timer.read();
    for (unsigned i = 0; i < most_reads; ++i)
        if (timer.read() != first) return timer;
    // Firmware may stop it (Intel's chipsets: "ACPI timer disable").
    return Lacking{"the PM timer stands still", first};
}

cpu::ReferenceCounter PmTimer::reference() {
    return {"pm-timer", [](void* self) -> uint64_t { return static_cast<PmTimer*>(self)->read(); },
            this,       hz,
            1,          mask_};
}

}  // namespace doorbell::platform
