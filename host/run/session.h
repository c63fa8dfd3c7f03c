// A run of Linux labs: the records in their order, whoever drives the loops.
#pragma once
#include <memory>

#include "firmware/wire/record.h"
#include "host/run/case_counters.h"
#include "host/run/words.h"

namespace doorbell::host {

class Session {
  public:
    /// Sends the first records. `program` names this program in the hello record.
    Session(const Words& words, const char* program);

    const Instrument& instrument() const { return instrument_; }
    uint64_t samples_of(const Chosen& chosen) const;

    /// One repetition of a case; the first one begins it. Returns "" or why it is skipped.
    std::string run(const Chosen& chosen, Loop& loop);
    /// The case's last repetition is over: sends its series, or the skip, then what is counted in
    /// passes of its own.
    void close(const Chosen& chosen);

    /// Sends the end record.
    void end();

  private:
    void count(const Chosen& chosen, uint64_t id);

    const Words& words_;
    wire::Sender sender_;
    Instrument instrument_;
    CounterSources counters_;
    std::unique_ptr<Bench> bench_;
    std::string skip_;
    uint64_t next_id_ = 0;
};

}  // namespace doorbell::host
