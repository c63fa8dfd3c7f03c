#include "harness/system/file.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "harness/system/failure.h"

namespace doorbell::harness {

namespace fs = std::filesystem;

int write_all(int file, std::string_view bytes) {
    while (!bytes.empty()) {
        ssize_t done = write(file, bytes.data(), bytes.size());
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) return errno;
        bytes.remove_prefix(static_cast<size_t>(done));
    }
    return 0;
}

fs::path temporary_folder() {
    const char* said = std::getenv("TMPDIR");
    if (said == nullptr || *said == 0) return "/tmp";
    std::error_code error;
    if (!fs::is_directory(said, error))
        throw MachineError(fmt::format(
            "TMPDIR is {}, which is not a folder; make it, or set TMPDIR to one that exists",
            said));
    return said;
}

std::string time_stamp() {
    return fmt::format("{:%Y%m%dT%H%M%SZ}", fmt::gmtime(std::time(nullptr)));
}

std::string write_whole(const fs::path& file, std::string_view content) {
    fs::path beside = file;
    beside += fmt::format(".{}.part", getpid());
    int out = open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    int error = out < 0 ? errno : write_all(out, content);
    // A full disk may be reported only here.
    if (out >= 0 && error == 0 && fsync(out) != 0 && errno != EINVAL && errno != EROFS)
        error = errno;
    if (out >= 0 && close(out) != 0 && error == 0) error = errno;
    if (error == 0 && rename(beside.c_str(), file.c_str()) != 0) error = errno;
    if (error == 0) return {};
    if (out >= 0) unlink(beside.c_str());
    return fmt::format("cannot write {}: {}", file.string(), strerror(error));
}

}  // namespace doorbell::harness
