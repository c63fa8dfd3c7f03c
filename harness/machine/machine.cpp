#include "harness/machine/machine.h"

#include <fmt/format.h>

#include "harness/system/failure.h"

namespace doorbell::harness {

const std::vector<std::string>& clock_choices() {
    static const std::vector<std::string> choices{"exact", "live"};
    return choices;
}

const std::vector<std::string>& machine_choices() {
    static const std::vector<std::string> choices{"q35", "pc", "microvm"};
    return choices;
}

const std::vector<std::string>& accel_choices() {
    static const std::vector<std::string> choices{"tcg", "kvm"};
    return choices;
}

void check(const MachineOptions& options) {
    if (options.clock == "exact" && options.accel == "kvm")
        throw UsageError(
            "--clock exact counts instructions, which only --accel tcg does; use --clock live with "
            "--accel kvm");
    Net net = parse_net(options.net);
    if (net.outside() && options.clock == "exact")
        throw UsageError(
            fmt::format("--net {}: packets from outside come at the host's instants, which no run "
                        "in the exact clock can repeat; use --clock live",
                        options.net));
    if (net.kind == Net::Kind::tap && options.nic == "all")
        throw UsageError("--net tap:... joins one card; use --nic virtio-net or e1000e");
    if (options.machine == "microvm" && options.nic != "none" && options.nic != "auto")
        throw UsageError("--machine microvm has no PCI bus for --nic; use --machine q35 or pc");
    if (options.accel == "kvm" && options.model != "off")
        throw UsageError("--model watches emulated instructions; it needs --accel tcg");
}

std::vector<std::string> qemu_arguments(const MachineOptions& options) {
    bool exact = options.clock == "exact";
    std::vector<std::string> words{options.qemu.string()};
    auto add = [&](std::initializer_list<std::string> more) { words.insert(words.end(), more); };
    // Nothing beyond what was asked for: no default card, disk or screen, no user configuration.
    add({"-nodefaults", "-no-user-config"});
    add({"-M", options.machine});
    add({"-m", "512M", "-smp", "1"});
    if (options.accel == "kvm")
        add({"-cpu", "host", "-accel", "kvm", "-name",
             "doorbell,debug-threads=on"});  // so that the vCPU's thread can be found
    else
        // In the exact clock without x2APIC: an RDMSR of its timer count reads the virtual clock in
        // the middle of a translation block, which QEMU refuses ("Bad icount read"). TCG offers
        // x2APIC from version 9.0 on; older versions never have it.
        add({"-cpu", exact ? "max,-x2apic" : "max", "-accel", "tcg,thread=single"});
    if (exact) {
        // One instruction is one nanosecond of virtual time, which does not wait for the host's;
        // what the machine could learn from outside (randomness, the date) is fixed.
        add({"-icount", "shift=0,sleep=off"});
        add({"-seed", "1", "-rtc", "base=2026-01-01,clock=vm"});
    }
    add({"-display", "none", "-serial", "stdio", "-monitor", "none", "-no-reboot"});
    add({"-device", "isa-debug-exit,iobase=0xf4,iosize=4"});
    for (const auto& part : {nic_arguments(options), model_arguments(options)})
        words.insert(words.end(), part.begin(), part.end());
    add({"-kernel", options.image.string(), "-append", options.image_words});
    return words;
}

std::vector<std::string> model_arguments(const MachineOptions& options) {
    if (options.model == "off") return {};
    // "file=" by name: a path may hold a '='.
    return {"-plugin", "file=" + option_value(options.model_plugin.native()) + "," + options.model};
}

std::string option_value(std::string_view text) {
    std::string value;
    for (char c : text) value += c == ',' ? std::string(",,") : std::string(1, c);
    return value;
}

std::string shell_line(const std::vector<std::string>& words) {
    std::string line;
    for (const std::string& word : words) {
        if (!line.empty()) line += ' ';
        bool plain =
            !word.empty() && word.find_first_not_of(
                                 "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                 "-_=,./:+@%") == word.npos;
        if (plain) {
            line += word;
            continue;
        }
        line += '\'';
        for (char c : word) line += c == '\'' ? std::string("'\\''") : std::string(1, c);
        line += '\'';
    }
    return line;
}

}  // namespace doorbell::harness
