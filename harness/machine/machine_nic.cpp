// The cards that `--nic` can put into the machine, and what `--net` connects them to.
#include <fmt/format.h>
#include <net/if.h>

#include <iterator>

#include "firmware/wire/cable.h"
#include "harness/machine/machine.h"
#include "harness/system/failure.h"
#include "harness/text/number.h"

namespace doorbell::harness {
namespace {

struct NicDevice {
    const char* name;
    const char* device;  // QEMU's -device, without netdev=
};

// romfile=: no boot code on the card, which firmware would run first.
// ioeventfd=off and tx=timer: with QEMU's defaults, two runs differ.
constexpr const char* virtio_net =
    "virtio-net-pci,disable-legacy=on,ioeventfd=off,tx=timer,romfile=";
constexpr NicDevice cards[] = {
    {"e1000e", "e1000e,romfile="},
    {"virtio-net", virtio_net},
};
/// Packets from outside are not reproducible anyway: they get QEMU's default, which answers sooner.
constexpr NicDevice outside_cards[] = {
    {"e1000e", "e1000e,romfile="},
    {"virtio-net", "virtio-net-pci,disable-legacy=on,romfile="},
};
/// The highest port that leaves room for two ports a card.
constexpr uint64_t highest_port = 65535 - 2 * std::size(cards) + 1;

std::string address(unsigned cable, unsigned end) {
    const uint8_t* p = wire::cable_prefix;
    return fmt::format("{:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}", p[0], p[1], p[2], p[3], cable,
                       end);
}

/// A cable: a hub with the card at one end and a sender at the other. The sender's transmitter has
/// a timer: packets come from outside, and still at the same instruction in every run.
void add_cable(std::vector<std::string>& words, unsigned cable, const NicDevice& card) {
    std::string sender = fmt::format("wire{}", cable), under_test = fmt::format("card{}", cable);
    for (const std::string& end : {sender, under_test})
        words.insert(words.end(), {"-netdev", fmt::format("hubport,id={},hubid={}", end, cable)});
    words.insert(words.end(), {"-device", fmt::format("{},x-txtimer={},netdev={},mac={}",
                                                      virtio_net, wire::cable_delay_ns, sender,
                                                      address(cable, wire::end_sender))});
    words.insert(words.end(),
                 {"-device", fmt::format("{},netdev={},mac={}", card.device, under_test,
                                         address(cable, wire::end_under_test))});
}

/// The host's end of a card's cable.
std::string outside_netdev(const Net& net, const std::string& nic, const NicDevice& card) {
    if (net.kind == Net::Kind::tap)
        return fmt::format("tap,id=outside-{},ifname={},script=no,downscript=no", card.name,
                           net.interface);
    CardPorts ports = card_ports(net, nic, card.name);
    return fmt::format(
        "dgram,id=outside-{},local.type=inet,local.host=127.0.0.1,local.port={},remote.type=inet,"
        "remote.host=127.0.0.1,remote.port={}",
        card.name, ports.card, ports.other);
}

}  // namespace

const std::vector<std::string>& nic_choices() {
    static const std::vector<std::string> choices = [] {
        std::vector<std::string> names{"auto", "none", "all"};
        for (const NicDevice& card : cards) names.emplace_back(card.name);
        return names;
    }();
    return choices;
}

const std::vector<std::string>& net_choices() {
    static const std::vector<std::string> choices{"wire", "user", "udp:PORT", "tap:INTERFACE"};
    return choices;
}

Net parse_net(const std::string& word) {
    size_t colon = word.find(':');
    std::string kind = word.substr(0, colon),
                rest = colon == word.npos ? "" : word.substr(colon + 1);
    if (word == "wire") return {};
    if (word == "user") return {Net::Kind::user, 0, {}};
    if (kind == "udp") {
        if (rest.empty())
            throw UsageError(
                "--net udp: which port? The first card hears on udp:PORT of 127.0.0.1 and sends to "
                "the port after it");
        return {Net::Kind::udp,
                static_cast<uint16_t>(parse_number(rest, "--net udp", 1024, highest_port)),
                {}};
    }
    if (kind == "tap") {
        // What the kernel allows in a name, except the comma, which QEMU takes for a separator.
        bool good = !rest.empty() && rest.size() < IFNAMSIZ && rest != "." && rest != "..";
        for (char c : rest) good = good && c > ' ' && c <= '~' && c != '/' && c != ',' && c != ':';
        if (!good)
            throw UsageError(
                fmt::format("--net tap: \"{}\" is not an interface's name; make one (ip tuntap add "
                            "mode tap dev tap0) and say tap:tap0",
                            rest));
        return {Net::Kind::tap, 0, rest};
    }
    throw UsageError(
        fmt::format("--net: \"{}\" is none of wire, user, udp:PORT, tap:INTERFACE", word));
}

CardPorts card_ports(const Net& net, const std::string& nic, std::string_view model) {
    uint16_t port = net.port;
    for (const NicDevice& card : cards) {
        if (card.name == model) break;
        if (nic == "all" || nic == card.name) port = static_cast<uint16_t>(port + 2);
    }
    return {port, static_cast<uint16_t>(port + 1)};
}

std::string cards_for(const std::string& machine, bool wanted, const Net& net) {
    if (!wanted || machine == "microvm") return "none";
    return net.kind == Net::Kind::tap ? "virtio-net" : "all";
}

std::vector<std::string> nic_arguments(const MachineOptions& options) {
    std::vector<std::string> words;
    unsigned cable = 0;
    Net net = parse_net(options.net);
    for (const NicDevice& card : net.outside() ? outside_cards : cards) {
        if (options.nic != "all" && options.nic != card.name) continue;
        if (net.outside()) {
            words.insert(words.end(),
                         {"-netdev", outside_netdev(net, options.nic, card), "-device",
                          fmt::format("{},netdev=outside-{}", card.device, card.name)});
        } else if (net.kind == Net::Kind::user) {
            // One of QEMU's networks for each card, with the address that QEMU would assign to it.
            std::string id = fmt::format("card{}", cable++);
            words.insert(words.end(), {"-netdev", "user,id=" + id, "-device",
                                       fmt::format("{},netdev={}", card.device, id)});
        } else {
            add_cable(words, cable++, card);
        }
    }
    return words;
}

}  // namespace doorbell::harness
