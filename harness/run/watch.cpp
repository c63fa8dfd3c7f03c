#include "harness/run/watch.h"

#include <fmt/format.h>

#include "harness/system/output.h"

namespace doorbell::harness {

using boost::system::error_code;

namespace {

/// How long the machine may take to exit after the end record.
constexpr auto leaving = std::chrono::seconds(5);

}  // namespace

Watch::Watch(Session& session, unsigned timeout_s, WhyFailed why_failed)
    : session_(session),
      timeout_(timeout_s),
      why_failed_(std::move(why_failed)),
      watchdog_(io_),
      signals_(io_) {}

void Watch::run(const std::vector<std::string>& argv) {
    Child::Handlers handlers;
    handlers.out = [this](std::string_view bytes) { on_bytes(bytes); };
    handlers.err = [this](std::string_view bytes) { session_.aside(bytes); };
    handlers.ended = [this](int status) { on_end(status); };
    session_.on_record = [this] { on_record(); };
    await_signal();
    feed_watchdog(std::chrono::seconds(timeout_));
    Child child(io_, argv, std::move(handlers));
    child_ = &child;
    if (on_start) on_start(child.pid());
    io_.run();
    child_ = nullptr;
    session_.on_record = {};
}

void Watch::on_bytes(std::string_view bytes) {
    session_.wire(bytes);
    if (signal_ != 0 || leaving_ || !session_.collector().over()) return;
    leaving_ = true;
    feed_watchdog(leaving);
}

void Watch::on_record() {
    if (signal_ == 0 && !leaving_) feed_watchdog(std::chrono::seconds(timeout_));
}

void Watch::feed_watchdog(std::chrono::steady_clock::duration time) {
    watchdog_.expires_after(time);
    watchdog_.async_wait([this](const error_code& error) {
        if (error || child_ == nullptr) return;
        if (!leaving_ && failure_.empty())
            failure_ = fmt::format(
                "no record for {} s, {}: the machine hangs (or needs a longer --timeout)", timeout_,
                session_.where());
        child_->end();
    });
}

void Watch::await_signal() {
    signals_.wait([this](int number) {
        signal_ = number;
        failure_ = fmt::format("interrupted by {} {}", signal_name(number), session_.where());
        watchdog_.cancel();
        session_.progress().clear();
        complain("doorbell: {}: ending the machine and saving what arrived (again: end at once)",
                 signal_name(number));
        if (child_ != nullptr) child_->end();
    });
}

void Watch::on_end(int status) {
    watchdog_.cancel();
    signals_.cancel();
    // Only now is a record that was cut off by the end known to be one.
    session_.collector().end_of_input();
    if (!failure_.empty() || session_.collector().ended() ||
        !session_.collector().complaint().empty())
        return;
    failure_ = why_failed_(status);
    end_is_lost_ = failure_.empty();
}

}  // namespace doorbell::harness
