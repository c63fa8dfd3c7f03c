// The cards that `--nic` can put into the machine, and what `--net` connects them to.
#include <fmt/format.h>

#include "firmware/wire/cable.h"
#include "harness/machine.h"

namespace doorbell::harness {
namespace {

struct Card {
    const char* name;
    const char* device;  // QEMU's -device, without netdev=
};

// romfile=: no boot code on the card, which firmware would run first.
// ioeventfd=off and tx=timer: with QEMU's own defaults two runs differ.
constexpr const char* virtio_net = "virtio-net-pci,disable-legacy=on,ioeventfd=off,tx=timer,romfile=";
constexpr Card cards[] = {
    {"e1000e", "e1000e,romfile="},
    {"virtio-net", virtio_net},
};

std::string address(unsigned cable, unsigned end) {
    const uint8_t* p = wire::cable_prefix;
    return fmt::format("{:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}", p[0], p[1], p[2], p[3], cable, end);
}

/// A cable: a hub with the card at one end, and at the other a sender whose transmitter has a timer, so that packets
/// come from outside and still at the same instruction in every run.
void add_cable(std::vector<std::string>& words, unsigned cable, const Card& card) {
    std::string sender = fmt::format("wire{}", cable), under_test = fmt::format("card{}", cable);
    for (const std::string& end : {sender, under_test})
        words.insert(words.end(), {"-netdev", fmt::format("hubport,id={},hubid={}", end, cable)});
    words.insert(words.end(), {"-device", fmt::format("{},x-txtimer={},netdev={},mac={}", virtio_net, wire::cable_delay_ns, sender,
                                                      address(cable, wire::end_sender))});
    words.insert(words.end(), {"-device", fmt::format("{},netdev={},mac={}", card.device, under_test,
                                                      address(cable, wire::end_under_test))});
}

}  // namespace

const std::vector<std::string>& nic_choices() {
    static const std::vector<std::string> choices = [] {
        std::vector<std::string> names{"auto", "none", "all"};
        for (const Card& card : cards) names.emplace_back(card.name);
        return names;
    }();
    return choices;
}

const std::vector<std::string>& net_choices() {
    static const std::vector<std::string> choices{"wire", "user"};
    return choices;
}

std::string cards_for(const std::string& machine, bool wanted) { return wanted && machine != "microvm" ? "all" : "none"; }

std::vector<std::string> nic_arguments(const MachineOptions& options) {
    std::vector<std::string> words;
    unsigned cable = 0;
    for (const Card& card : cards) {
        if (options.nic != "all" && options.nic != card.name) continue;
        if (options.net == "user") {
            // A network of QEMU's own for each card, with the address that QEMU would give it.
            std::string id = fmt::format("card{}", cable++);
            words.insert(words.end(), {"-netdev", "user,id=" + id, "-device", fmt::format("{},netdev={}", card.device, id)});
        } else {
            add_cable(words, cable++, card);
        }
    }
    return words;
}

}  // namespace doorbell::harness
