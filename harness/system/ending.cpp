#include "harness/system/ending.h"

#include <signal.h>

#include <cstring>
#include <utility>

namespace doorbell::harness {
namespace {

constexpr int at_once[] = {SIGINT, SIGQUIT, SIGTERM};
constexpr int only_once[] = {SIGHUP, SIGPIPE};

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
    // As main() has it: a reader that went away is an error of the write.
    ::signal(SIGPIPE, SIG_IGN);
}

void EndingSignals::wait(std::function<void(int number)> handler) {
    signals_.async_wait(
        [this, handler = std::move(handler)](const boost::system::error_code& error, int number) {
            if (error) return;
            boost::system::error_code none;
            signals_.clear(none);
            for (int one : at_once) ::signal(one, SIG_DFL);
            for (int one : only_once) ::signal(one, SIG_IGN);
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
