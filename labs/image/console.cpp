#include "labs/image/console.h"

#include "firmware/platform/serial.h"
#include "firmware/wire/text.h"
#include "labs/image/screen.h"

namespace doorbell::labs {
namespace {

constinit platform::Uart uart;
char name_buffer[48] = "none";
constinit std::string_view name{name_buffer, 4};

void put_line(void*, std::string_view line) {
    uart.write(line);
    uart.write("\r\n");
}

wire::Sender the_sender{put_line, nullptr};

/// The value of the last word with that key ("serial="); `wanted` where there is none.
std::string_view last_value(std::string_view words, std::string_view key, std::string_view wanted) {
    while (!words.empty()) {
        size_t blank = words.find(' ');
        std::string_view word = words.substr(0, blank);
        if (word.starts_with(key)) wanted = word.substr(key.size());
        words = blank == words.npos ? std::string_view{} : words.substr(blank + 1);
    }
    return wanted;
}

void say_that_nobody_hears(const char* why) {
    say("Doorbell: no serial port, so that the results go nowhere.");
    say(why);
    say("Give the image the word serial=com1..com4, serial=0xPORT or serial=pci.");
}

}  // namespace

void open_console(std::string_view words, const platform::AcpiSerial& firmwares) {
    using platform::SerialChoice;
    cpu::Ports ports;
    // A word that cannot be read is complained of later, by a port that can.
    auto read = SerialChoice::read(last_value(words, "serial=", "auto"));
    SerialChoice choice = read ? *read : SerialChoice{};
    if (auto baud = SerialChoice::read_baud(last_value(words, "baud=", ""))) choice.baud = *baud;
    auto found = platform::find_serial(ports, platform::PciConfig(ports), choice, firmwares);
    if (!found) return say_that_nobody_hears(found.error().what);
    uart = found->uart;
    wire::Text text(name_buffer);
    (text << (found->pci ? "PCI, port " : "port ")).hex(found->port);
    if (found->baud != platform::usual_baud) text << ", " << found->baud << " baud";
    name = text.view();
}

std::string_view console_name() { return name; }

wire::Sender& sender() { return the_sender; }

void say(std::string_view words) {
    put_line(nullptr, words);
    show(words);
}

void drain_console() { uart.drain(); }

}  // namespace doorbell::labs
