// doorbell-dpdk has one lab.
#include "host/lab.h"

namespace doorbell::host {

extern const Lab dpdk_lab;

std::span<const Lab* const> catalogue() {
    static constexpr const Lab* all[] = {&dpdk_lab};
    return all;
}

}  // namespace doorbell::host
