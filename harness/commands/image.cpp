// doorbell image: a bootable ISO, for a CD, a USB stick or a virtual machine.
#include <fmt/format.h>

#include <algorithm>
#include <regex>

#include "harness/commands/commands.h"
#include "harness/machine/boot_medium.h"
#include "harness/run/options.h"
#include "harness/system/failure.h"
#include "harness/system/output.h"

namespace doorbell::harness {

namespace po = boost::program_options;
namespace fs = std::filesystem;

namespace {

/// "timer nic" or "timer,nic", but not inside "timer:wait=irq,source=lapic": a word with a '='
/// belongs to the lab in front of it.
std::vector<std::string> split_labs(const std::vector<std::string>& words) {
    std::vector<std::string> labs;
    for (const std::string& word : words)
        for (size_t at = 0; at <= word.size();) {
            size_t comma = std::min(word.find(',', at), word.size());
            std::string part = word.substr(at, comma - at);
            bool keys_follow = !labs.empty() && labs.back().find(':') != std::string::npos;
            if (part.find(':') == std::string::npos && part.find('=') != std::string::npos &&
                keys_follow)
                labs.back() += "," + part;
            else
                labs.push_back(part);
            at = comma + 1;
        }
    return labs;
}

po::options_description image_options() {
    po::options_description options("Options", 100);
    add_selection_options(options);
    options.add_options()  //
        ("labs", po::value<std::vector<std::string>>()->multitoken()->composing(),
         "which labs it runs (default: all that run by default)")  //
        ("exit", po::value<std::string>()->default_value("halt"),
         "what it does at the end: halt|poweroff|reset|debug (debug: leave QEMU)")  //
        ("serial", po::value<std::string>()->default_value("auto"),
         "the port it speaks by: auto|com1..com4|pci|0xPORT (auto: the firmware's, or the first "
         "that answers)")  //
        ("baud", po::value<std::string>(),
         "that port's rate (default: as the firmware has it, or 115200)")                      //
        ("out", po::value<std::string>()->default_value("doorbell.iso"), "the file to write")  //
        ("image", po::value<std::string>(),
         "the image (default: doorbell.elf beside this command)");
    return options;
}

int run_image(const po::variables_map& map) {
    Selection selection = selection_from(map, split_labs(words_of(map, "labs")));
    std::string exit = map["exit"].as<std::string>();
    check_choice("--exit", exit, {"halt", "poweroff", "reset", "debug"});
    fs::path iso = map["out"].as<std::string>();
    std::string words = image_words(selection) + " exit=" + exit;
    std::string serial = map["serial"].as<std::string>();
    if (!std::regex_match(serial, std::regex("auto|none|pci|com[1-4]|0x[0-9a-fA-F]{1,4}")))
        throw UsageError("--serial " + serial +
                         ": expected auto, com1 to com4, pci, none, or a port as 0x2f8");
    if (serial != "auto") words += " serial=" + serial;
    std::string listen = "doorbell attach /dev/ttyUSB0";
    if (auto baud = said(map, "baud")) {
        check_choice("--baud", *baud, {"9600", "19200", "38400", "57600", "115200"});
        words += " baud=" + *baud;
        listen += " --baud " + *baud;
    }
    write_boot_medium(image_path(said(map, "image").value_or("")), words, iso);
    say("{}: {} bytes, boots by BIOS and by UEFI, runs: {}\n", iso.string(), fs::file_size(iso),
        words);
    say("to a USB stick (everything on it is lost): dd if={} of=/dev/sdX bs=4M conv=fsync\n",
        iso.string());
    say("then listen to its serial line, 8n1: {}\n", listen);
    return 0;
}

}  // namespace

const Command image_command = {
    .name = "image",
    .words = "",
    .summary = "write a bootable ISO / USB image, BIOS and UEFI",
    .help =
        "Writes an ISO that boots by BIOS and by UEFI, from a CD or written raw to a USB stick.",
    .options = image_options,
    .run = run_image};

}  // namespace doorbell::harness
