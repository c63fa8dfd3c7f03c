// What a subcommand throws, and the exit status that goes with it.
#pragma once
#include <stdexcept>
#include <string>

namespace doorbell::harness {

/// The exit statuses of the command; 128 + n where signal n ended it.
enum class Status : int {
    done = 0,
    refuted = 1,         ///< a case, a gate, a claim under --strict, or a reproduction failed
    usage = 2,           ///< wrong usage
    machine_failed = 3,  ///< no QEMU, panic, hang, time-out, nowhere to write
    records_lost = 4,
};

/// Ends the command with one line on stderr.
class Failure : public std::runtime_error {
  public:
    Failure(Status status, const std::string& text) : std::runtime_error(text), status_(status) {}
    Status status() const { return status_; }

  private:
    Status status_;
};

/// Wrong usage: says what was wrong and what would be right.
struct UsageError : Failure {
    explicit UsageError(const std::string& text) : Failure(Status::usage, text) {}
};

/// The machine cannot be started, or did not end properly.
struct MachineError : Failure {
    explicit MachineError(const std::string& text) : Failure(Status::machine_failed, text) {}
};

}  // namespace doorbell::harness
