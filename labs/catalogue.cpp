#include "labs/catalogue.h"

namespace doorbell::labs {

extern const Lab anatomy_lab, batch_lab, burst_lab, caches_lab, clock_lab, echo_lab, hostile_lab,
    livelock_lab, moderation_lab, nic_lab, pizza_lab, rings_lab, signals_lab, switch_lab,
    syscall_lab, thrash_lab, timer_lab;

namespace {
constexpr const Lab* all[] = {
    &clock_lab,  &timer_lab,  &nic_lab,     &burst_lab,   &livelock_lab, &moderation_lab,
    &pizza_lab,  &echo_lab,   &anatomy_lab, &rings_lab,   &syscall_lab,  &batch_lab,
    &switch_lab, &thrash_lab, &signals_lab, &hostile_lab, &caches_lab,
};
}  // namespace

std::span<const Lab* const> catalogue() { return all; }

const Lab* find(std::string_view name) {
    for (const Lab* lab : all)
        if (lab->name == name) return lab;
    return nullptr;
}

}  // namespace doorbell::labs
