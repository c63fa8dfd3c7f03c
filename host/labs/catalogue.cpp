#include "host/lab.h"

namespace doorbell::host {

extern const Lab timer_lab, syscall_lab, switch_lab, signals_lab, batch_lab, thrash_lab, nic_lab,
    prices_lab, caches_lab;

std::span<const Lab* const> catalogue() {
    static constexpr const Lab* all[] = {&timer_lab,  &nic_lab,    &syscall_lab,
                                         &batch_lab,  &switch_lab, &signals_lab,
                                         &thrash_lab, &prices_lab, &caches_lab};
    return all;
}

}  // namespace doorbell::host
