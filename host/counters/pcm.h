// Intel PCM's programs beside a piece of work: events of one core (pcm-raw), memory and LLC of the
// sockets (pcm).
#pragma once
#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "host/counters/pcm_csv.h"

namespace doorbell::host {

/// Whether PCM can count here, and if not, why and what would change that.
struct PcmState {
    bool usable = false;
    std::string because, change;
    std::filesystem::path raw = {}, pcm = {};  ///< the programs; pcm may be missing
};

/// Looks for the program `pcm-raw` and for MSRs that it can read, below `root` ("/" except in
/// tests).
PcmState look_for_pcm(const std::filesystem::path& root = "/");

/// What a PCM program counts; the window decides where the output goes and for how long.
struct PcmJob {
    std::filesystem::path program;
    std::vector<std::string> options;
    /// It writes its header rows with its first row and not before: that row's time is over when
    /// the program is known to count, and the window is the next row's.
    bool header_comes_with_a_row = false;
};

/// `events` of CPU `core` as pcm-raw takes them ("core/config=0x43412e,name=LLC_MISS"), at most
/// four: more than one group would be counted in turns.
PcmJob core_events(const PcmState& state, const std::vector<std::string>& events, int core);
/// Memory traffic and LLC misses of the whole system.
PcmJob system_totals(const PcmState& state);

/// One window of whole seconds. PCM is started, and counts when the constructor returns; it reads
/// the counters once more at the window's end, prints one row and leaves. (A signal would end it
/// without a row.) Its output goes to an unnamed memory file, so that nothing is left behind
/// however this process ends.
class PcmWindow {
  public:
    /// Returns when PCM counts, which its CSV's two header rows show: `pcm` writes them (with -f)
    /// when it has read the counters for the first time, `pcm-raw` with its first row, when it has
    /// read them for the second time. Throws std::runtime_error with PCM's own reason where it ends
    /// early, or writes no header for `timeout` seconds.
    PcmWindow(const PcmJob& job, unsigned seconds, unsigned timeout = 20);
    ~PcmWindow();
    PcmWindow(const PcmWindow&) = delete;
    PcmWindow& operator=(const PcmWindow&) = delete;

    /// Waits for the window's end and reads what was counted: the window's row is row 0. Throws
    /// like the constructor.
    PcmCsv result();

  private:
    void start(const PcmJob& job, unsigned rows);
    /// Reads its standard error and its output until `done` returns true; false: the time is over,
    /// or the program has ended.
    template <class Done>
    bool follow(std::chrono::milliseconds timeout, Done&& done);
    std::string output() const;
    std::string reason() const;
    void kill_it();
    pid_t child_ = -1;
    int errors_ = -1, output_ = -1;
    unsigned seconds_, timeout_;
    size_t rows_before_ = 0;  ///< rows that had begun when the window was opened
    bool ended_ = false;      ///< its standard error is closed
    std::string said_;        ///< its standard error so far
};

}  // namespace doorbell::host
