// Intel PCM's programs beside a piece of work: events of one core (pcm-raw), memory and LLC of the
// sockets (pcm).
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
    std::filesystem::path raw = {}, pcm = {};  ///< the programs; pcm may be missing
};

/// Looks for the program `pcm-raw` and for MSRs that it can read, below `root` ("/" except in
/// tests).
PcmState look_for_pcm(const std::filesystem::path& root = "/");

/// What a PCM program is to do; where to and for how long is the window's.
struct PcmJob {
    std::filesystem::path program;
    std::vector<std::string> options;
};

/// `events` of CPU `core` as pcm-raw takes them ("core/config=0x43412e,name=LLC_MISS"), at most
/// four: more than one group would be counted in turns.
PcmJob core_events(const PcmState& state, const std::vector<std::string>& events, int core);
/// Memory traffic and LLC misses of the whole system.
PcmJob system_totals(const PcmState& state);

/// One window of whole seconds. PCM is started, and counts when the constructor returns; it reads
/// the counters once more at the window's end, prints one row and leaves. (A signal would end it
/// without a row.)
class PcmWindow {
  public:
    /// Throws std::runtime_error with PCM's own reason where it ends early, or says nothing for
    /// `patience` seconds.
    PcmWindow(const PcmJob& job, unsigned seconds, unsigned patience = 20);
    ~PcmWindow();
    PcmWindow(const PcmWindow&) = delete;
    PcmWindow& operator=(const PcmWindow&) = delete;

    /// Waits for the window's end and reads what was counted. Throws like the constructor.
    PcmCsv result();

  private:
    /// Reads its standard error until `word` is said (or, without one, until its end); false: time
    /// is over.
    bool hear(const char* word, unsigned seconds);
    std::string last_words() const;
    void kill_it();
    pid_t child_ = -1;
    int errors_ = -1;
    unsigned seconds_, patience_;
    bool ended_ = false;  ///< its standard error is closed
    std::string said_;    ///< its standard error so far
    std::filesystem::path file_;
};

}  // namespace doorbell::host
