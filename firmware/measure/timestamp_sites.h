// The timestamps in a piece of machine code, each of which a counting pass replaces by a call, and
// puts back afterwards.
#pragma once
#include <cstdint>

#include "firmware/cpu/result.h"

namespace doorbell::measure {

class TimestampSites {
  public:
    static constexpr unsigned most = 1024;

    /// Replaces each timestamp in [from, until) by a call: of `begins_target` where it is a
    /// begin()'s, else of `ends_target`. The last LFENCE of a begin() and a RDTSC of the measured
    /// code behind it are not a timestamp. The caller makes the code writable. May be called for
    /// several pieces. Error: more timestamps than there is room for; some of them would go
    /// uncounted.
    Result<void> replace(char* from, char* until, const char* begins_target,
                         const char* ends_target);
    /// Puts all of them back.
    void restore();
    unsigned count() const { return count_; }

  private:
    char* sites_[most];
    unsigned count_ = 0;
};

}  // namespace doorbell::measure
