#include "firmware/wire/crc32c.h"

#include <array>

namespace doorbell::wire {
namespace {

constexpr uint32_t reflected_polynomial = 0x82F63B78;

constexpr auto table = [] {
    std::array<uint32_t, 256> t{};
    for (uint32_t i = 0; i < 256; ++i) {
        uint32_t c = i;
        for (int bit = 0; bit < 8; ++bit) c = c >> 1 ^ (c & 1 ? reflected_polynomial : 0);
        t[i] = c;
    }
    return t;
}();

}  // namespace

uint32_t crc32c(std::string_view bytes) {
    uint32_t c = ~0u;
    for (char b : bytes) c = c >> 8 ^ table[(c ^ static_cast<uint8_t>(b)) & 0xFF];
    return ~c;
}

}  // namespace doorbell::wire
