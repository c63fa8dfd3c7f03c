// Watches a program whose output is a wire, from start to end: its bytes, its silence, a signal to
// us, its exit.
#pragma once
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "harness/run/session.h"
#include "harness/system/child.h"
#include "harness/system/ending.h"

namespace doorbell::harness {

class Watch {
  public:
    /// Why a program that ended without an end record failed, from the status of waitpid(2); ""
    /// where only the end record is missing.
    using WhyFailed = std::function<std::string(int wait_status)>;

    /// `timeout_s`: without a record, this means a hang.
    Watch(Session& session, unsigned timeout_s, WhyFailed why_failed);

    /// Called when the program runs.
    std::function<void(pid_t)> on_start;

    /// Runs the program to its end. Throws std::system_error where it cannot be started.
    void run(const std::vector<std::string>& argv);

    const std::string& failure() const { return failure_; }
    int signal() const { return signal_; }
    /// The program ended as it should, but the end record is missing.
    bool end_is_lost() const { return end_is_lost_; }

  private:
    void on_bytes(std::string_view bytes);
    void on_record();
    void feed_watchdog(std::chrono::steady_clock::duration time);
    void await_signal();
    void on_end(int status);

    Session& session_;
    unsigned timeout_;
    WhyFailed why_failed_;
    boost::asio::io_context io_;
    boost::asio::steady_timer watchdog_;
    EndingSignals signals_;
    Child* child_ = nullptr;
    std::string failure_;
    int signal_ = 0;
    bool leaving_ = false, end_is_lost_ = false;
};

}  // namespace doorbell::harness
