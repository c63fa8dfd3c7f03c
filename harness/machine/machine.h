// The machine that QEMU emulates: options become a command line, and nothing else.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace doorbell::harness {

/// What the user chose. The words are checked (choices below) before they come here.
struct MachineOptions {
    std::string clock = "exact";  ///< exact: one instruction is one tick; live: the host's time
    std::string machine = "q35";
    std::string accel = "tcg";
    std::string nic = "auto";  ///< the cards under test; auto: see cards_for()
    std::string net = "wire";  ///< what the card's cable leads to
    std::string model =
        "off";  ///< the cache model: off, or its geometry as model::Geometry::text() writes it
    bool model_by_default = false;  ///< nobody asked for it: a run goes on without it
    std::filesystem::path qemu = "qemu-system-x86_64";
    std::filesystem::path image = {};
    std::filesystem::path model_plugin = {};  ///< doorbell-model.so
    std::string image_words = {};             ///< the image's command line
};

/// The valid words of each option; any other word is wrong usage.
const std::vector<std::string>& clock_choices();
const std::vector<std::string>& machine_choices();
const std::vector<std::string>& accel_choices();
const std::vector<std::string>& nic_choices();
const std::vector<std::string>& net_choices();  ///< forms: "udp:PORT" stands for any port

/// What a word of `--net` means.
struct Net {
    enum class Kind { wire, user, udp, tap };
    Kind kind = Kind::wire;
    uint16_t port = 0;      ///< udp: the port of the first card on 127.0.0.1; see card_ports()
    std::string interface;  ///< tap
    /// Whether packets come from outside of QEMU, at instants that are not reproducible.
    bool outside() const { return kind == Kind::udp || kind == Kind::tap; }
};

/// Throws UsageError with what is wrong with the word, and what would be right.
Net parse_net(const std::string& word);

/// The UDP ports on 127.0.0.1 that are the ends of a card's cable under `--net udp:PORT`. Each
/// datagram is a frame.
struct CardPorts {
    uint16_t card;   ///< the card receives here
    uint16_t other;  ///< and sends there
};
/// Of the card of that model (a word of --nic), among those that `nic` puts into the machine.
CardPorts card_ports(const Net& net, const std::string& nic, std::string_view model);

/// Throws UsageError where two options exclude each other.
void check(const MachineOptions& options);

/// QEMU and its arguments. The same options always give the same words.
std::vector<std::string> qemu_arguments(const MachineOptions& options);

/// What `auto` means: every card with a driver where a lab needs one and the machine has PCI, none
/// otherwise. A tap takes one card.
std::string cards_for(const std::string& machine, bool wanted, const Net& net = {});

/// The part of qemu_arguments() for a card and its cable (machine_nic.cpp).
std::vector<std::string> nic_arguments(const MachineOptions& options);

/// The part of qemu_arguments() that loads the cache model.
std::vector<std::string> model_arguments(const MachineOptions& options);

/// A path, or another text, as the value of one of several options behind a QEMU option
/// (`-plugin file=VALUE,...`): QEMU reads "," as the end of the value and ",," as a comma
/// (qemu-options, "Device drivers"; util/qemu-option.c). -kernel, -initrd and -append take theirs
/// literally.
std::string option_value(std::string_view text);

/// The words as one line that a shell splits into the same words.
std::string shell_line(const std::vector<std::string>& words);

}  // namespace doorbell::harness
