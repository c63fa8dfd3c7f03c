// The one place that writes to the standard output and the standard error. What people read is made
// printable on the way; that a stream fails is noticed here, and never throws.
#pragma once
#include <fmt/format.h>

#include <string_view>
#include <utility>

namespace doorbell::harness {

/// Call once, before any file is opened: a standard stream that is closed is given a descriptor
/// that cannot be read or written, so that no file of a run gets the number 0, 1 or 2.
void hold_standard_streams();

/// Bytes for the standard output as they are: a document whose writer escaped what is in it. The
/// first failure is remembered for finish_output().
void write_out(std::string_view bytes);

/// What was written so far is shown now: before an answer is waited for.
void flush_output();

/// A line for the standard error, made printable; a line end is added. A failure is ignored: there
/// is nowhere left to tell it.
void write_error_line(std::string_view text);

/// The line on a terminal that is written over again and again, on the standard error; "" takes it
/// away.
void write_status_line(std::string_view text);

/// Ends the standard output and gives the command's exit status: `status`, or where that is done(0)
/// and something could not be written, machine_failed(3), or 128 + SIGPIPE where the reader went
/// away. Says so in one line.
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
