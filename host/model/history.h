// What was counted since a tick that has passed: for samples that begin at an event, where no
// timestamp stands. Only the last events are remembered.
#pragma once
#include <cstdint>
#include <optional>
#include <vector>

#include "firmware/wire/mailbox.h"
#include "host/model/model.h"

namespace doorbell::model {

class History {
  public:
    /// Counts that grow by a callback each time; the others (instructions, path_steps) are noted
    /// beside each.
    void note(wire::ModelCount what, const ModelCounts& now) { note(what, now, now.ticks()); }
    /// One that belongs to the instruction that comes next.
    void note_next(wire::ModelCount what, const ModelCounts& now) {
        note(what, now, now.ticks() + 1);
    }
    /// One that belongs to the instruction before.
    void note_before(wire::ModelCount what, const ModelCounts& now) {
        if (on_)
            events_[newest_++ % events_.size()] = {now.ticks() - 1, now.counts[0] - 1, now.path(),
                                                   what};
    }
    /// Remembers from here on, or nothing.
    void remember(bool on) {
        on_ = on;
        if (on && events_.empty()) events_.resize(capacity);
        newest_ = 0;
    }
    bool on() const { return on_; }
    /// The counts at `tick`, given those of a later moment; nothing where that is too long ago to
    /// be remembered.
    std::optional<wire::MailboxRow> at(uint64_t tick, uint64_t later_tick,
                                       const uint64_t* later) const;

  private:
    void note(wire::ModelCount what, const ModelCounts& now, uint64_t tick) {
        if (on_) events_[newest_++ % events_.size()] = {tick, now.counts[0], now.path(), what};
    }
    struct Event {
        uint64_t tick, instructions, path;
        wire::ModelCount what;
    };
    static constexpr uint64_t capacity = 1 << 14;
    bool on_ = false;
    uint64_t newest_ = 0;
    std::vector<Event> events_;
};

}  // namespace doorbell::model
