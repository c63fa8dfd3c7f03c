// Intel PCM's programs beside a piece of work: raw core events, read at the edges of one window.
#pragma once
#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

#include "host/counters/pcm_csv.h"

namespace doorbell::host {

/// Whether PCM can count here, and if not, why and what would make it.
struct PcmState {
    bool usable = false;
    std::string because, change;
};

/// Looks for the program `pcm-raw` and for MSRs that it can read, below `root` ("/" except in tests).
PcmState look_for_pcm(const std::filesystem::path& root = "/");

/// One window: pcm-raw is started, has programmed the counters when the constructor returns, and is ended by stop().
class PcmWindow {
  public:
    /// `events` as pcm-raw takes them ("core/config=0x43412e,name=LLC_MISS"), one core's worth: more than one group
    /// would be counted in turns. `core`: whose counters are printed. Throws std::runtime_error with PCM's own reason
    /// where it ends, or says nothing for `seconds`.
    PcmWindow(const std::vector<std::string>& events, int core, const std::string& program = "pcm-raw", unsigned seconds = 20);
    ~PcmWindow();
    PcmWindow(const PcmWindow&) = delete;
    PcmWindow& operator=(const PcmWindow&) = delete;

    /// Ends the window and reads what was counted. Throws like the constructor.
    PcmCsv stop();

  private:
    void end();
    pid_t child_ = -1;
    int errors_ = -1;
    std::string said_;  ///< its standard error so far
    std::filesystem::path file_;
};

/// Pins the calling thread to one CPU. "" or why not.
std::string pin_to(int cpu);

}  // namespace doorbell::host
