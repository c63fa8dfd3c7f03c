// The two 8259A interrupt controllers, which a machine with APICs only has to silence.
// Source: Intel 8259A datasheet (231468), "Programming the 8259A".
#pragma once
#include <cstdint>

#include "firmware/cpu/access.h"

namespace doorbell::platform {

/// Moves both 8259s to vectors first_vector .. first_vector + 15 (a multiple of 8, at least 32, so
/// that a spurious interrupt cannot look like an exception) and masks every input.
void silence_pics(cpu::Ports ports, uint8_t first_vector);

}  // namespace doorbell::platform
