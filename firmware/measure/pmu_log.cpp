#include "firmware/measure/pmu_log.h"

namespace doorbell::measure {

void PmuLog::learn_costs(std::span<const PmuEdge> all) {
    for (unsigned c = 0; c < counters_.size(); ++c) {
        for (auto& of_first : cost_[c])
            for (uint64_t& cost : of_first) cost = ~0ull;
        for (size_t i = 0; i + 1 < all.size(); ++i) {
            uint64_t moved = counters_[c].between(all[i].counts[c], all[i + 1].counts[c]);
            uint64_t& known = cost_[c][all[i].kind][all[i + 1].kind >> 1];
            if ((all[i + 1].kind & PmuEdge::begins) == 0 && moved < known) known = moved;
        }
        pair_cost_[c] = cost_[c][PmuEdge::begins][0];
        user_pair_cost_[c] = cost_[c][PmuEdge::user | PmuEdge::begins][1];
    }
}

void PmuLog::add(wire::MailboxRow& row, const PmuEdge& from, const PmuEdge& to) const {
    ++row.samples;
    for (unsigned c = 0; c < counters_.size(); ++c) {
        uint64_t moved = counters_[c].between(from.counts[c], to.counts[c]), own = 0;
        for (const PmuEdge* e = &from; e != &to; ++e) own += cost_[c][e->kind][e[1].kind >> 1];
        row.counts[c] += moved > own ? moved - own : 0;
    }
}

void PmuLog::attribute(std::span<const PmuEdge> all, const Series& series, bool check,
                       std::span<wire::MailboxRow> rows) const {
    if (series.parts().stages.empty())
        attribute_values(all, series, check, rows);
    else
        attribute_paths(all, series, rows);
}

void PmuLog::attribute_paths(std::span<const PmuEdge> all, const Series& s,
                             std::span<wire::MailboxRow> rows) const {
    uint64_t stages = s.parts().stages.size();
    size_t at = 0;
    // Marks are timestamps, which the log finds by their values; a mark that is something else (a
    // deadline) is not in it.
    auto paths = s.parts().paths;
    for (size_t p = 0; p + stages < paths.size() && p / (stages + 1) < s.parts().warm->count();
         p += stages + 1) {
        auto find = [&](uint64_t tsc) -> const PmuEdge* {
            for (size_t i = at; i < all.size() && all[i].tsc <= tsc; ++i)
                if (all[i].tsc == tsc) return &all[at = i];
            return nullptr;
        };
        const PmuEdge *whole = nullptr, *before = find(paths[p]);
        whole = before;
        for (uint64_t stage = 0; stage < stages; ++stage) {
            const PmuEdge* after = find(paths[p + stage + 1]);
            if (before != nullptr && after != nullptr)
                add(rows[stage + 1], *before, *after);
            else
                whole = nullptr;
            before = after;
        }
        if (whole != nullptr && before != nullptr) add(rows[0], *whole, *before);
    }
}

void PmuLog::attribute_values(std::span<const PmuEdge> all, const Series& s, bool check,
                              std::span<wire::MailboxRow> rows) const {
    uint64_t overhead = s.parts().overhead_removed;
    size_t at = 0;
    for (uint64_t value : s.raw()) {
        // The next begin() from which some edge is as far as the value says, or the last edge
        // before another.
        for (size_t from = at; from < all.size(); ++from) {
            if ((all[from].kind & PmuEdge::begins) == 0) continue;
            size_t to = from + 1;
            auto fits = [&](size_t i) {
                uint64_t distance = all[i].tsc - all[from].tsc;
                return value == 0 ? distance <= overhead : distance == value + overhead;
            };
            if (check)
                while (to < all.size() && to < from + 16 && !fits(to)) ++to;
            else
                while (to + 1 < all.size() && (all[to + 1].kind & PmuEdge::begins) == 0) ++to;
            if (to >= all.size() || to >= from + 16) continue;
            add(rows[0], all[from], all[to]);
            at = from + 1;
            break;
        }
    }
}

}  // namespace doorbell::measure
