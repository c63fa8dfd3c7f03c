// The signals that end a collection and must not lose what was collected: one list, and one way to
// wait for them.
#pragma once
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <functional>
#include <string>

#include "harness/system/failure.h"

namespace doorbell::harness {

/// Waits for SIGHUP, SIGINT, SIGQUIT, SIGPIPE or SIGTERM as long as this lives. A SIGHUP that was
/// ignored when this process began (nohup) stays ignored.
class EndingSignals {
  public:
    explicit EndingSignals(boost::asio::io_context& io);
    ~EndingSignals();

    /// Calls `handler` with the first that comes. From a second later on another SIGINT, SIGQUIT or
    /// SIGTERM ends this process at once; what comes sooner is the same request. A terminal that
    /// goes away sends SIGHUP more than once, and a second SIGHUP or SIGPIPE is ignored.
    void wait(std::function<void(int number)> handler);
    /// Stops waiting.
    void cancel();

  private:
    boost::asio::signal_set signals_;
};

/// "SIGHUP".
std::string signal_name(int number);

/// Ends the command after a signal where nothing was collected: status 128 +
/// its number, after everything temporary is gone.
struct Interrupted : Failure {
    explicit Interrupted(int number)
        : Failure(static_cast<Status>(128 + number), "interrupted by " + signal_name(number)) {}
};

}  // namespace doorbell::harness
