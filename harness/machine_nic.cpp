// The cards that `--nic` can put into the machine, and what `--net` connects them to.
#include "harness/machine.h"

namespace doorbell::harness {
namespace {

struct Card {
    const char* name;
    const char* device;  // QEMU's -device, without netdev=
};

constexpr Card cards[] = {
    {"e1000e", "e1000e"},
    {"e1000", "e1000"},
    {"igb", "igb"},
    // ioeventfd=off and tx=timer: with QEMU's own defaults two runs differ.
    {"virtio-net", "virtio-net-pci,disable-legacy=on,ioeventfd=off,tx=timer"},
};

}  // namespace

const std::vector<std::string>& nic_choices() {
    static const std::vector<std::string> choices = [] {
        std::vector<std::string> names{"none"};
        for (const Card& card : cards) names.emplace_back(card.name);
        return names;
    }();
    return choices;
}

const std::vector<std::string>& net_choices() {
    static const std::vector<std::string> choices{"wire", "user"};
    return choices;
}

std::vector<std::string> nic_arguments(const MachineOptions& options) {
    if (options.nic == "none") return {};
    std::string device;
    for (const Card& card : cards)
        if (options.nic == card.name) device = card.device;
    if (options.net == "user") return {"-netdev", "user,id=h1", "-device", device + ",netdev=h1"};
    // A second card whose transmitter has a timer: each packet arrives a fixed virtual time after it was
    // sent, so that packets come from outside and still at the same instruction in every run.
    return {"-netdev", "hubport,id=h0,hubid=0",
            "-netdev", "hubport,id=h1,hubid=0",
            "-device", "virtio-net-pci,netdev=h0,disable-legacy=on,tx=timer,x-txtimer=150000,ioeventfd=off",
            "-device", device + ",netdev=h1"};
}

}  // namespace doorbell::harness
