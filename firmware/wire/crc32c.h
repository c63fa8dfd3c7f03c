// CRC-32C (Castagnoli), the check of every record on the wire: polynomial 0x1EDC6F41 reflected,
// initial value and final XOR all ones, as in RFC 3720 (iSCSI), section 12.1. Compiled into image
// and harness.
#pragma once
#include <cstdint>
#include <string_view>

namespace doorbell::wire {

/// CRC-32C of `bytes`; crc32c("123456789") == 0xE3069283.
uint32_t crc32c(std::string_view bytes);

}  // namespace doorbell::wire
