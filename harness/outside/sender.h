// The open-loop sender: UDP echo requests on a schedule that does not wait for answers. Latency is
// taken from the instant at which a request was meant to leave, so that a stall, here or there, is
// not hidden by requests that were held back
// ("coordinated omission").
#pragma once
#include <cstdint>
#include <string>

#include "firmware/measure/histogram.h"
#include "harness/outside/channel.h"

namespace doorbell::harness {

/// What is sent in one case.
struct Requests {
    uint64_t count = 0;
    uint64_t rate = 1000;  ///< a second
    uint64_t window =
        0;  ///< not 0: closed loop; a request leaves as soon as fewer than so many are unanswered
    uint64_t payload =
        18;  ///< bytes, 16 at the least: a mark of this case and the request's number
    uint64_t mark = 0;
};

/// What came of it. Times in ns.
struct Echoes {
    measure::Histogram
        round_trip;  ///< from the intended instant of sending to the answer in this program's hands
    measure::Histogram slip;  ///< from the intended instant to the system call that sent it
    uint64_t sent = 0, answered = 0;
    uint64_t lost = 0;        ///< never answered
    uint64_t late = 0;        ///< answered, but after more than a second; they are in round_trip
    uint64_t duplicated = 0;  ///< further answers to the same request
    uint64_t damaged = 0;     ///< answers that are not what was sent
    uint64_t knocks = 0;      ///< requests that went before, until the first answer; no samples
    uint64_t took = 0;        ///< from the first request's instant to the last answer
    std::string failure;      ///< why there is nothing, or not all of it; "" for nothing
};

/// Ends a sender from another thread.
class Cancel {
  public:
    Cancel();
    ~Cancel();
    Cancel(const Cancel&) = delete;
    void now();
    /// Readable once it is time.
    int descriptor() const { return event_; }
    bool wanted() const;

  private:
    int event_;
};

/// Waits for the image's first answer (at most `patience_s` seconds), sends, waits for answers,
/// then asks the image to end the case until `cancel` says that it did. Times are of
/// CLOCK_MONOTONIC.
void send_requests(Channel& channel, const Requests& requests, unsigned patience_s,
                   const Cancel& cancel, Echoes& echoes);

}  // namespace doorbell::harness
