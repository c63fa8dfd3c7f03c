// The progress line of a run on a terminal.
#pragma once
#include <chrono>
#include <string>

#include "harness/data/run_data.h"

namespace doorbell::harness {

/// Writes to stderr, only where that is a terminal and progress is wanted.
class Progress {
  public:
    explicit Progress(bool wanted);
    ~Progress() { clear(); }
    /// Looks at each record as it comes.
    void record(const std::string& kind, const Json& record);
    /// Shows a message before there are records.
    void say(const std::string& text);
    /// Removes the line, before something else is written.
    void clear();

  private:
    bool shown_ = false;
    bool enabled_;
    uint64_t cases_ = 0, begun_ = 0, samples_ = 0;
    std::string line_;
    std::chrono::steady_clock::time_point first_case_;
};

/// The line: place among the cases, lab and case, samples, and the time left by the pace so far.
std::string progress_line(uint64_t number, uint64_t cases, const std::string& what,
                          uint64_t samples, double seconds_so_far);

}  // namespace doorbell::harness
