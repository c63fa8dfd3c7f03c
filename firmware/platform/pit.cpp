#include "firmware/platform/pit.h"

namespace doorbell::platform {
namespace {

// Reads of the counter within which it must have moved: at least 1 us each on a machine, and a tick
// is 0.84 us.
constexpr unsigned most_reads = 10000;

}  // namespace

Result<Pit> Pit::bring_up(cpu::Ports ports) {
    Pit pit;
    pit.ports_ = ports;
    // Gate 2 on, speaker off; the upper bits of this port are read-only or must be written as they
    // are.
    uint8_t gate = ports.in8(gate_port);
    ports.out8(gate_port, static_cast<uint8_t>((gate & 0x0C) | 0x01));
    // Mode 0 goes on counting through the terminal count, modulo 65536.
    ports.out8(command_port, 0xB0);
    ports.out8(channel2_port, 0xFF);
    ports.out8(channel2_port, 0xFF);
    uint16_t first = pit.free_counter();
    for (unsigned i = 0; i < most_reads; ++i)
        if (pit.free_counter() != first) return pit;
    // No PIT, or firmware that gates its clock ("8254 clock gating").
    return Lacking{"the PIT does not count", first};
}

Result<void> Pit::wait(uint32_t ticks) const {
    uint16_t last = free_counter();
    uint32_t seen = 0;
    for (unsigned still = 0; seen < ticks;) {
        uint16_t now = free_counter();
        auto step = static_cast<uint16_t>(now - last);
        if (step == 0 && ++still == most_reads)
            return Error{"waited for the PIT, which stands still", now};
        if (step != 0) still = 0;
        seen += step;
        last = now;
    }
    return {};
}

cpu::ReferenceCounter Pit::reference() {
    return {"pit",
            [](void* self) -> uint64_t { return static_cast<Pit*>(self)->free_counter(); },
            this,
            hz_numerator,
            hz_denominator,
            0xFFFF};
}

}  // namespace doorbell::platform
