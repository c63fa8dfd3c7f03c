#include "harness/outside/sender.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <system_error>
#include <vector>

namespace doorbell::harness {
namespace {

constexpr uint64_t second = 1'000'000'000, never = ~0ull;
constexpr uint64_t late_after = second;
/// How long after the last request its answer may come, and how long a closed loop waits for one.
constexpr uint64_t timeout = 4 * second;
constexpr uint64_t knock_every = second / 10;
constexpr uint64_t knock_number = ~0ull;

uint64_t now() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<uint64_t>(t.tv_sec) * second + static_cast<uint64_t>(t.tv_nsec);
}

class Sending {
  public:
    Sending(Channel& channel, const Requests& requests, const Cancel& cancel, Echoes& echoes)
        : channel_(channel),
          requests_(requests),
          cancel_(cancel),
          echoes_(echoes),
          intended_(requests.count),
          answered_(requests.count),
          payloads_(Channel::most_at_once, std::vector<uint8_t>(requests.payload)) {}

    /// Until the image answers for the first time.
    bool knock(uint64_t deadline) {
        bool there = false;
        for (uint64_t next = 0; !there; wait(next, false)) {
            uint64_t t = now();
            if (cancel_.wanted() || t > deadline) return false;
            if (t >= next) {
                next = t + knock_every;
                channel_.knock();
                if (channel_.open()) {
                    fill(payloads_[0], knock_number);
                    Datagram one = payloads_[0];
                    echoes_.knocks += channel_.send({&one, 1});
                }
            }
            take([&](uint64_t number) { there = there || number == knock_number; });
        }
        return true;
    }

    void run() {
        // A schedule begins in the future, so that it can be kept; a closed loop has none.
        start_ = now() + (requests_.window != 0 ? 0 : second / 100);
        uint64_t heard = start_;
        while (!cancel_.wanted()) {
            uint64_t t = now();
            bool blocked = send_due(t);
            uint64_t answered = echoes_.answered;
            take([&](uint64_t number) { answer(number); });
            t = now();
            if (echoes_.answered != answered) heard = t;
            bool all = echoes_.sent == requests_.count;
            if (all && echoes_.answered == echoes_.sent) break;
            if (all && t > std::max(heard, intended_.back()) + timeout) break;
            if (requests_.window != 0 && in_flight() >= requests_.window && t > heard + timeout) {
                // Missing answers are lost now; a closed loop goes on without them.
                given_up_ = echoes_.sent - echoes_.answered;
                heard = t;
            }
            bool window_open =
                requests_.window != 0 && !all && !blocked && in_flight() < requests_.window;
            if (window_open) continue;
            uint64_t next = all || requests_.window != 0 ? heard + timeout : due(echoes_.sent);
            wait(blocked ? t + second / 1000 : next, blocked);
        }
        echoes_.took = heard - start_;
        echoes_.lost = echoes_.sent - echoes_.answered;
    }

    /// Waits until the image has ended the case.
    void stop(uint64_t deadline) {
        bool told = false;
        // Asks again only where nobody answers: the next case must not receive a stop that was
        // meant for this one.
        for (uint64_t next = 0; !cancel_.wanted() && now() < deadline;
             wait(std::min(next, now() + knock_every), false)) {
            take([](uint64_t) {});
            // An answer from before our request was meant for somebody else.
            told = (channel_.stopping() && next != 0) || told;
            if (told) next = deadline;
            if (now() < next) continue;
            channel_.send_stop();
            next = now() + second;
        }
    }

  private:
    uint64_t due(uint64_t number) const { return start_ + number * second / requests_.rate; }
    uint64_t in_flight() const {
        return echoes_.sent - echoes_.answered -
               std::min(given_up_, echoes_.sent - echoes_.answered);
    }

    /// Sends what is due. Returns whether the socket had no room for all of it.
    bool send_due(uint64_t t) {
        while (echoes_.sent < requests_.count) {
            Datagram batch[Channel::most_at_once];
            size_t count = 0;
            for (uint64_t number = echoes_.sent;
                 count < Channel::most_at_once && number < requests_.count; ++number, ++count) {
                if (requests_.window != 0 ? in_flight() + count >= requests_.window
                                          : due(number) > t)
                    break;
                intended_[number] = requests_.window != 0 ? t : due(number);
                fill(payloads_[count], number);
                batch[count] = payloads_[count];
            }
            if (count == 0) return false;
            size_t sent = channel_.send({batch, count});
            uint64_t left = now();
            for (size_t i = 0; i < sent; ++i)
                echoes_.slip.record(left - std::min(left, intended_[echoes_.sent + i]));
            echoes_.sent += sent;
            if (sent < count) return true;
            t = left;
        }
        return false;
    }

    /// Takes every answer that has come and is ours, by its number.
    template <class Number>
    void take(Number&& number) {
        for (;;) {
            std::span<const Datagram> came = channel_.receive();
            for (Datagram one : came) {
                uint64_t head[2] = {};  // mark and number
                std::memcpy(head, one.data(), std::min(one.size(), sizeof head));
                // A late answer to another case does not damage this one.
                if (one.size() >= sizeof head && head[0] != requests_.mark) continue;
                uint64_t n = head[1];
                bool whole =
                    one.size() == requests_.payload && (n < echoes_.sent || n == knock_number);
                for (size_t i = 16; whole && i < one.size(); ++i) whole = one[i] == pattern(n, i);
                if (whole)
                    number(n);
                else
                    ++echoes_.damaged;
            }
            if (came.size() < Channel::most_at_once) return;
        }
    }

    void answer(uint64_t number) {
        if (number == knock_number) return;
        if (answered_[number]) {
            ++echoes_.duplicated;
            return;
        }
        answered_[number] = true;
        ++echoes_.answered;
        uint64_t took = now() - intended_[number];
        echoes_.round_trip.record(took);
        if (took > late_after) ++echoes_.late;
    }

    static uint8_t pattern(uint64_t number, size_t at) {
        return static_cast<uint8_t>(number * 31 + at);
    }

    void fill(std::vector<uint8_t>& payload, uint64_t number) const {
        std::memcpy(payload.data(), &requests_.mark, 8);
        std::memcpy(payload.data() + 8, &number, 8);
        for (size_t i = 16; i < payload.size(); ++i) payload[i] = pattern(number, i);
    }

    /// Sleeps until then, or until an answer comes, the socket has room (`blocked`), or the end is
    /// requested.
    void wait(uint64_t until, bool blocked) const {
        uint64_t t = now(), left = until > t ? until - t : 0;
        pollfd sources[2] = {
            {channel_.descriptor(), static_cast<short>(blocked ? POLLIN | POLLOUT : POLLIN), 0},
            {cancel_.descriptor(), POLLIN, 0}};
        timespec limit{static_cast<time_t>(left / second), static_cast<long>(left % second)};
        (void)ppoll(sources, 2, &limit, nullptr);
    }

    Channel& channel_;
    const Requests& requests_;
    const Cancel& cancel_;
    Echoes& echoes_;
    std::vector<uint64_t> intended_;
    std::vector<bool> answered_;
    std::vector<std::vector<uint8_t>> payloads_;
    uint64_t start_ = 0, given_up_ = 0;
};

}  // namespace

Cancel::Cancel() : event_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (event_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
}
Cancel::~Cancel() { close(event_); }
void Cancel::now() {
    uint64_t one = 1;
    (void)!write(event_, &one, sizeof one);
}
bool Cancel::wanted() const {
    pollfd event{event_, POLLIN, 0};
    return poll(&event, 1, 0) == 1;
}

void send_requests(Channel& channel, const Requests& requests, unsigned patience_s,
                   const Cancel& cancel, Echoes& echoes) {
    // End a sleep on time: by default the kernel coalesces timers and is up to 50 us late.
    prctl(PR_SET_TIMERSLACK, 1);
    Sending sending(channel, requests, cancel, echoes);
    if (!sending.knock(now() + patience_s * second)) {
        if (!cancel.wanted())
            echoes.failure = fmt::format("the image answered no request for {} s", patience_s);
        return;
    }
    sending.run();
    sending.stop(now() + 10 * second);
    echoes.damaged += channel.damaged();
    if (echoes.sent < requests.count)
        echoes.failure =
            fmt::format("the case ended after {} of {} requests", echoes.sent, requests.count);
}

}  // namespace doorbell::harness
