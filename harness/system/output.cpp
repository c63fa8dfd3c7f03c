#include "harness/system/output.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

#include "harness/system/escape.h"
#include "harness/system/failure.h"
#include "harness/system/file.h"

namespace doorbell::harness {
namespace {

int out_error = 0;  // the first errno of a write to the standard output

void note_failure() {
    if (out_error == 0) out_error = errno != 0 ? errno : EIO;
}

}  // namespace

void hold_standard_streams() {
    for (int number : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
        if (fcntl(number, F_GETFD) < 0 && errno == EBADF)
            // For reading only: a write there fails, as it does on a closed descriptor. The lowest
            // free number is the one that is missing.
            (void)!open("/dev/null", O_RDONLY);
}

void write_out(std::string_view bytes) {
    errno = 0;
    if (std::fwrite(bytes.data(), 1, bytes.size(), stdout) != bytes.size()) note_failure();
}

void print_text(std::string_view text) { write_out(printable(text)); }

void flush_output() {
    errno = 0;
    if (std::fflush(stdout) != 0) note_failure();
}

void write_error_line(std::string_view text) {
    // Output on the other stream comes first where both are one terminal.
    flush_output();
    (void)write_all(STDERR_FILENO, one_line(text) + "\n");
}

void write_status_line(std::string_view text) {
    (void)write_all(STDERR_FILENO, "\r\033[K" + one_line(text));
}

int finish_output(int status) {
    flush_output();
    if (std::ferror(stdout) != 0) note_failure();
    if (out_error == 0) return status;
    complain("doorbell: cannot write to standard output: {}", std::strerror(out_error));
    if (status != 0) return status;
    return out_error == EPIPE ? 128 + SIGPIPE : static_cast<int>(Status::machine_failed);
}

}  // namespace doorbell::harness
