#include "host/model/attribution.h"

#include <algorithm>
#include <cstring>

namespace doorbell::model {

void Attribution::begin(const wire::Mailbox& mailbox) {
    count_ = std::min<uint64_t>(mailbox.series_count, wire::Mailbox::max_series);
    std::copy_n(mailbox.series, count_, series_);
    for (unsigned i = 0; i < count_; ++i)
        series_[i].stages = std::min<uint64_t>(series_[i].stages, wire::MailboxSeries::max_stages);
    low_ = ~0ull;
    uint64_t high = 0;
    for (unsigned i = 0; i < count_; ++i) {
        low_ = std::min(low_, series_[i].value_start);
        high = std::max(high, series_[i].value_start + series_[i].value_bytes);
    }
    span_ = count_ == 0 ? 0 : high - low_;
    // What was passed before belongs to no sample.
    std::fill_n(taken_, count_, newest_);
    std::memset(rows_, 0, sizeof rows_);
}

void Attribution::add(wire::MailboxRow& row, const Edge& from, const Edge& to) const {
    ++row.samples;
    for (unsigned i = 0; i < wire::model_counts; ++i)
        row.counts[i] += to.counts[i] - from.counts[i];
}

void Attribution::stored(const Guest& guest, uint64_t address) {
    for (unsigned i = 0; i < count_; ++i) {
        const wire::MailboxSeries& s = series_[i];
        if (address - s.value_start >= s.value_bytes || (address - s.value_start) % s.stride != 0)
            continue;
        if (s.stages == 0)
            add_pair(i, guest.word(address));
        else
            add_path(i, &guest.at<uint64_t>(s.marks));
        return;
    }
}

/// From the last begin() to the last edge, or where values can be checked to the edge that gives
/// the value. A begin() serves one sample of a series: one that is stored late, when others have
/// been measured since, has none.
void Attribution::add_pair(unsigned series, uint64_t value) {
    const wire::MailboxSeries& s = series_[series];
    if (begin_.number <= taken_[series]) return;
    for (unsigned back = 0; back < edges && before(back).number > begin_.number; ++back) {
        uint64_t ticks = before(back).ticks - begin_.ticks;
        bool fits = value == 0 ? ticks <= s.overhead : ticks == value + s.overhead;
        if (s.check != 0 && !fits) continue;
        taken_[series] = begin_.number;
        return add(rows_[series][0], begin_, before(back));
    }
}

/// Each stage lies between two edges that are as far from each other as its marks. It ends where
/// the next one begins, or up to three edges before: a lab may look at the clock in between, and
/// take that off, or after the last mark.
void Attribution::add_path(unsigned series, const uint64_t* marks) {
    const wire::MailboxSeries& s = series_[series];
    if (s.check == 0) return;
    constexpr unsigned looks = 4;
    auto start_of = [&](unsigned end, uint64_t length) {
        unsigned back = end;
        while (back < edges && before(end).ticks - before(back).ticks != length) ++back;
        return back;
    };
    wire::MailboxRow whole = {};
    unsigned end = 0;
    uint64_t stage = s.stages;
    for (; stage > 0; --stage) {
        uint64_t length = marks[stage] - marks[stage - 1];
        // What is before the second mark may be no timestamp (a deadline): no looking around for
        // the first stage.
        unsigned tries = stage == 1 && s.stages > 1 ? 1 : looks, start = edges;
        unsigned from = end;
        for (unsigned look = 0; look < tries && start == edges && from + look < edges; ++look)
            start = start_of(end = from + look, length);
        if (start == edges || before(end).number <= taken_[series]) break;
        add(rows_[series][stage], before(start), before(end));
        add(whole, before(start), before(end));
        end = start;
    }
    taken_[series] = newest_;
    if (stage != 0) return;
    ++rows_[series][0].samples;
    for (unsigned i = 0; i < wire::model_counts; ++i) rows_[series][0].counts[i] += whole.counts[i];
}

void Attribution::end(const Guest& guest) {
    for (unsigned i = 0; i < count_; ++i)
        for (uint64_t row = 0; row <= series_[i].stages; ++row)
            guest.at<wire::MailboxRow>(series_[i].rows + row * sizeof(wire::MailboxRow)) =
                rows_[i][row];
    count_ = span_ = 0;
}

}  // namespace doorbell::model
