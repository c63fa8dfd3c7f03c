// The open-loop sender: UDP echo requests on a schedule that does not wait for answers. Latency is
// counted from the instant at which a request should have left. A stall on either side is therefore
// not hidden by requests that were held back ("coordinated omission").
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
        0;  ///< not 0: closed loop; a request leaves as soon as fewer than this many are unanswered
    uint64_t payload = 18;  ///< bytes, at least 16: a mark of this case and the request's number
    uint64_t mark = 0;
};

/// The result. Times are in ns.
struct Echoes {
    measure::Histogram
        round_trip;  ///< from the intended instant of sending to the answer in this program's hands
    measure::Histogram slip;  ///< from the intended instant to the system call that sent it
    uint64_t sent = 0, answered = 0;
    uint64_t lost = 0;        ///< never answered
    uint64_t late = 0;        ///< answered, but after more than a second; they are in round_trip
    uint64_t duplicated = 0;  ///< further answers to the same request
    uint64_t damaged = 0;     ///< answers that differ from what was sent
    uint64_t knocks = 0;      ///< requests before the first answer; not counted as samples
    uint64_t took = 0;        ///< from the first request's instant to the last answer
    std::string failure;      ///< why the result is missing or incomplete; "" where it is whole
};

/// Ends a sender from another thread.
class Cancel {
  public:
    Cancel();
    ~Cancel();
    Cancel(const Cancel&) = delete;
    void now();
    /// Readable once the end is requested.
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
