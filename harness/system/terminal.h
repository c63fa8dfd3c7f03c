// How wide the reader's terminal is, and text in lines of that width.
#pragma once
#include <cstddef>
#include <string>

namespace doorbell::harness {

inline constexpr size_t widest_line = 100, narrowest_line = 60;

/// Columns for tables and running text on the standard output: COLUMNS where it is set, else the
/// terminal's width, else widest_line; never more than that, nor less than narrowest_line.
size_t text_width();

/// Columns of the terminal on the standard error; 80 where it does not tell.
size_t error_terminal_width();

/// `text` in lines of at most `width` (0: text_width()), the first after `first`, the others after
/// as many blanks. A word that is too long for a line continues on the next after a '|', where it
/// has one. Characters that would break a line are made visible.
std::string wrapped(const std::string& first, const std::string& text, size_t width = 0);

}  // namespace doorbell::harness
