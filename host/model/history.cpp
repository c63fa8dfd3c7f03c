#include "host/model/history.h"

#include <algorithm>

namespace doorbell::model {

using wire::ModelCount;

std::optional<wire::MailboxRow> History::at(uint64_t tick, uint64_t later_tick,
                                            const uint64_t* later) const {
    if (!on_ || tick > later_tick) return {};
    wire::MailboxRow row = {};
    std::copy_n(later, wire::model_counts, row.counts);
    auto count = [&](ModelCount c) -> uint64_t& { return row.counts[static_cast<unsigned>(c)]; };
    uint64_t next = newest_, kept = std::min<uint64_t>(newest_, events_.size());
    const Event* after = nullptr;
    for (; next > newest_ - kept; --next) {
        const Event& e = events_[(next - 1) % events_.size()];
        if (e.tick <= tick) {
            // Between two events every tick is an instruction, or one that is not counted.
            uint64_t instructions = e.instructions + (tick - e.tick);
            uint64_t limit = after != nullptr ? after->instructions : later[0];
            count(ModelCount::instructions) = std::min(instructions, limit);
            count(ModelCount::path_steps) = e.path;
            return row;
        }
        if (e.tick > later_tick) continue;
        --count(e.what);
        after = &e;
    }
    return {};
}

}  // namespace doorbell::model
