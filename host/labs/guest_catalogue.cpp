// The labs of the static program: its nic lab uses the emulated cable, and the peer of echo is
// outside.
#include "host/lab.h"

namespace doorbell::host {

extern const Lab timer_lab, syscall_lab, switch_lab, signals_lab, batch_lab, thrash_lab, wire_lab,
    echo_lab;

std::span<const Lab* const> catalogue() {
    static constexpr const Lab* all[] = {&timer_lab,  &wire_lab,    &syscall_lab, &batch_lab,
                                         &switch_lab, &signals_lab, &thrash_lab,  &echo_lab};
    return all;
}

}  // namespace doorbell::host
