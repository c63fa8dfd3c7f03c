#include "labs/image/console.h"

#include "firmware/platform/uart.h"

namespace doorbell::labs {
namespace {

constinit platform::Uart uart;

void put_line(void*, std::string_view line) {
    uart.write(line);
    uart.write("\r\n");
}

wire::Sender the_sender{put_line, nullptr};

}  // namespace

void open_console() {
    auto up = platform::Uart::bring_up(cpu::Ports{}, platform::Uart::com1);
    if (up) uart = *up;
}

wire::Sender& sender() { return the_sender; }

void say(std::string_view words) { put_line(nullptr, words); }

void drain_console() { uart.drain(); }

}  // namespace doorbell::labs
