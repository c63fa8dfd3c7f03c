// The one wire out of the image: a UART that carries records and, between them, words for people.
#pragma once
#include <string_view>

#include "firmware/wire/record.h"

namespace doorbell::labs {

/// Looks for COM1. Without one the image runs on, silent: there is nobody to tell.
void open_console();

/// The records' sender.
wire::Sender& sender();

/// A line for people; never looks like a record.
void say(std::string_view words);

/// Waits until everything has left.
void drain_console();

}  // namespace doorbell::labs
