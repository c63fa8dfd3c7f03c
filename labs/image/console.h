// The one wire out of the image: a UART that carries records and, between them, words for people.
#pragma once
#include <string_view>

#include "firmware/platform/serial.h"
#include "firmware/wire/record.h"

namespace doorbell::labs {

/// Opens the serial port that `words` (the image's command line) ask for by `serial=` and `baud=`,
/// or the firmware's, or the first that answers. Without one the image runs on; the screen says
/// why.
void open_console(std::string_view words, const platform::AcpiSerial& firmwares);
/// By what the image speaks: "port 0x3F8", "PCI, port 0xC000", "none".
std::string_view console_name();

/// The records' sender.
wire::Sender& sender();

/// A line for people, on the screen too; never looks like a record.
void say(std::string_view words);

/// Waits until everything has left.
void drain_console();

}  // namespace doorbell::labs
