// How an interrupt line signals: shared by the ACPI tables that describe lines and the IOAPIC that
// takes them.
#pragma once
#include <cstdint>

namespace doorbell::platform {

enum class Polarity : uint8_t { active_high, active_low };
enum class Trigger : uint8_t { edge, level };

}  // namespace doorbell::platform
