// Where a case begins that works with a device whose ticks are not a whole number of nanoseconds.
// Image only.
#pragma once
#include <cstdint>

#include "labs/kit/bench.h"

namespace doorbell::labs {

/// Where the clock counts instructions: goes on at the next multiple of `period` ticks, so that
/// what ran before does not choose the phase of the device. The processor is halted for most of it,
/// which takes no time on the host. With another clock: at once. Interrupts must be off; uses the
/// local APIC's timer.
void begin_at_multiple(Bench& bench, uint64_t period);

}  // namespace doorbell::labs
