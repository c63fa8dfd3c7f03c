// A run of Linux labs: the records in their order, independent of what drives the loops.
#pragma once
#include <memory>

#include "firmware/wire/record.h"
#include "host/run/case_counters.h"
#include "host/run/words.h"

namespace doorbell::host {

class LinuxRun {
  public:
    /// Sends the first records. `program` names this program in the hello record.
    LinuxRun(const Words& words, const char* program);

    const LinuxInstrument& instrument() const { return instrument_; }
    uint64_t samples_of(const Chosen& chosen) const;

    /// One repetition of a case; the first one begins it. Returns "" or why it was skipped or has
    /// failed.
    std::string run(const Chosen& chosen, Loop& loop);
    /// The case's last repetition is over: sends its series, or how else it ended, then the counts
    /// from their separate passes.
    void close(const Chosen& chosen);

    /// Sends the end record.
    void end();

  private:
    /// How a case ended; a worse one takes the place of a better one.
    enum class Outcome { done, skipped, failed };
    void ended(Outcome outcome, const std::string& why);
    void count(const Chosen& chosen, uint64_t id);

    const Words& words_;
    wire::Sender sender_;
    LinuxInstrument instrument_;
    CounterSources counters_;
    std::unique_ptr<LinuxBench> bench_;
    Outcome outcome_ = Outcome::done;
    std::string why_;
    uint64_t next_id_ = 0;
};

}  // namespace doorbell::host
