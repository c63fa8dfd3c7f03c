// The one place that writes to the standard output and the standard error. Text for people is made
// printable here. A failing stream is noticed here and never throws.
#pragma once
#include <fmt/format.h>

#include <string_view>
#include <utility>

namespace doorbell::harness {

/// Call once, before any file is opened: a closed standard stream gets a descriptor that can
/// neither be read nor written, so that no file of a run gets the number 0, 1 or 2.
void hold_standard_streams();

/// Writes bytes to the standard output unchanged: a document whose writer escaped its content. The
/// first failure is remembered for finish_output().
void write_out(std::string_view bytes);

/// Flushes the output, before waiting for an answer.
void flush_output();

/// A line for the standard error, made printable; a line end is added. A failure is ignored: there
/// is nowhere left to report it.
void write_error_line(std::string_view text);

/// The line on a terminal that is overwritten repeatedly, on the standard error; "" removes it.
void write_status_line(std::string_view text);

/// Ends the standard output and gives the command's exit status: `status`, or where that is done(0)
/// and something could not be written, machine_failed(3), or 128 + SIGPIPE where the reader closed
/// it. Reports that in one line.
int finish_output(int status);

/// Text for people on the standard output, made printable; lines end as the text says.
void print_text(std::string_view text);

/// print_text() of a format.
template <typename... Args>
void say(fmt::format_string<Args...> format, Args&&... args) {
    print_text(fmt::format(format, std::forward<Args>(args)...));
}

/// write_error_line() of a format: without a line end.
template <typename... Args>
void complain(fmt::format_string<Args...> format, Args&&... args) {
    write_error_line(fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace doorbell::harness
