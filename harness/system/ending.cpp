#include "harness/system/ending.h"

#include <signal.h>
#include <time.h>

#include <atomic>
#include <cstring>
#include <utility>

namespace doorbell::harness {
namespace {

constexpr int at_once[] = {SIGINT, SIGQUIT, SIGTERM};
constexpr int only_once[] = {SIGHUP, SIGPIPE};

std::atomic<int64_t> first_came;  // CLOCK_MONOTONIC, ns
static_assert(std::atomic<int64_t>::is_always_lock_free);

int64_t monotonic_ns() {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

/// timeout(1) sends its signal to the command and then to the command's whole process group: two
/// within a second are one request.
void again(int number) {
    if (monotonic_ns() - first_came < 1'000'000'000) return;
    ::signal(number, SIG_DFL);
    raise(number);  // delivered when this returns
}

bool ignored(int number) {
    struct sigaction now{};
    return sigaction(number, nullptr, &now) == 0 && now.sa_handler == SIG_IGN;
}

}  // namespace

EndingSignals::EndingSignals(boost::asio::io_context& io) : signals_(io) {
    for (int number : at_once) signals_.add(number);
    if (!ignored(SIGHUP)) signals_.add(SIGHUP);
    signals_.add(SIGPIPE);
}

EndingSignals::~EndingSignals() {
    boost::system::error_code none;
    signals_.clear(none);
    // As in main(): a closed reader is an error of the write.
    ::signal(SIGPIPE, SIG_IGN);
}

void EndingSignals::wait(std::function<void(int number)> handler) {
    signals_.async_wait(
        [this, handler = std::move(handler)](const boost::system::error_code& error, int number) {
            if (error) return;
            first_came = monotonic_ns();
            // Where clear() restores the default action, a second signal must not be delivered.
            sigset_t all, before;
            sigfillset(&all);
            pthread_sigmask(SIG_SETMASK, &all, &before);
            boost::system::error_code none;
            signals_.clear(none);
            for (int one : at_once) ::signal(one, again);
            for (int one : only_once) ::signal(one, SIG_IGN);
            pthread_sigmask(SIG_SETMASK, &before, nullptr);
            handler(number);
        });
}

void EndingSignals::cancel() {
    boost::system::error_code none;
    signals_.cancel(none);
}

std::string signal_name(int number) {
    const char* name = sigabbrev_np(number);
    return name == nullptr ? "signal " + std::to_string(number) : std::string("SIG") + name;
}

}  // namespace doorbell::harness
