// The version that manifests carry.
#pragma once

namespace doorbell::harness {

inline constexpr const char* version = "0.1.0";

}  // namespace doorbell::harness
