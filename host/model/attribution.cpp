#include "host/model/attribution.h"

#include <algorithm>
#include <cstring>

namespace doorbell::model {

void Attribution::begin(const wire::Mailbox& mailbox) {
    count_ = std::min<uint64_t>(mailbox.series_count, wire::Mailbox::max_series);
    std::copy_n(mailbox.series, count_, series_);
    for (unsigned i = 0; i < count_; ++i) series_[i].stages = std::min<uint64_t>(series_[i].stages, wire::MailboxSeries::max_stages);
    std::memset(rows_, 0, sizeof rows_);
}

void Attribution::add(wire::MailboxRow& row, const Edge& from, const Edge& to) const {
    ++row.samples;
    for (unsigned i = 0; i < wire::model_counts; ++i) row.counts[i] += to.counts[i] - from.counts[i];
}

void Attribution::stored(const Guest& guest, uint64_t address) {
    for (unsigned i = 0; i < count_; ++i) {
        const wire::MailboxSeries& s = series_[i];
        if (address - s.value_start >= s.value_bytes) continue;
        if (s.stages == 0) add_pair(i, guest.word(address));
        else add_path(i, &guest.at<uint64_t>(s.marks));
        return;
    }
}

/// From the last begin() to the last edge, or where values can be checked to the edge that gives the value.
void Attribution::add_pair(unsigned series, uint64_t value) {
    const wire::MailboxSeries& s = series_[series];
    unsigned start = 0;
    while (start < edges && !before(start).begins) ++start;
    if (start == 0 || start == edges) return;
    const Edge& from = before(start);
    for (unsigned back = 0; back < start; ++back) {
        uint64_t ticks = before(back).ticks - from.ticks;
        bool fits = value == 0 ? ticks <= s.overhead : ticks == value + s.overhead;
        if (s.check == 0 || fits) return add(rows_[series][0], from, before(back));
    }
}

/// The edges that are as far from each other as the marks. The newest edge need not be the last mark's: a lab may
/// have looked at the clock since; but then the last stage must fit there.
void Attribution::add_path(unsigned series, const uint64_t* marks) {
    const wire::MailboxSeries& s = series_[series];
    if (s.check == 0) return;
    const uint64_t last = s.stages;
    auto edge_of = [&](unsigned anchor, uint64_t mark) -> const Edge* {
        for (unsigned back = anchor; back < edges; ++back)
            if (before(anchor).ticks - before(back).ticks == marks[last] - marks[mark]) return &before(back);
        return nullptr;
    };
    unsigned anchor = 0;
    while (anchor < 4 && edge_of(anchor, last - 1) == nullptr) ++anchor;
    if (anchor == 4) return;
    // Backwards, as far as marks are timestamps: before one that is not (a deadline) nothing counts.
    const Edge* end = &before(anchor);
    unsigned found = 0;
    for (uint64_t stage = last; stage-- > 0;) {
        const Edge* start = edge_of(anchor, stage);
        if (start == nullptr) break;
        add(rows_[series][stage + 1], *start, *end);
        end = start;
        ++found;
    }
    if (found == last) add(rows_[series][0], *end, before(anchor));
}

void Attribution::end(const Guest& guest) {
    for (unsigned i = 0; i < count_; ++i)
        for (uint64_t row = 0; row <= series_[i].stages; ++row)
            guest.at<wire::MailboxRow>(series_[i].rows + row * sizeof(wire::MailboxRow)) = rows_[i][row];
    count_ = 0;
}

}  // namespace doorbell::model
