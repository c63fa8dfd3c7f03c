#include "host/model/attribution.h"

#include <algorithm>
#include <cstring>
#include <optional>

namespace doorbell::model {
namespace {

/// The model keeps the path in twelfths of a step.
wire::MailboxRow in_steps(wire::MailboxRow row) {
    uint64_t& path = row.counts[static_cast<unsigned>(wire::ModelCount::path_steps)];
    path = (path + step / 2) / step;
    return row;
}

}  // namespace

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
    bool events = false;
    for (unsigned i = 0; i < count_; ++i)
        events |= series_[i].check != 0 && series_[i].since_event != 0;
    history.remember(events);
    // What was passed before belongs to no sample.
    std::fill_n(taken_, count_, newest_);
    std::memset(rows_, 0, sizeof rows_);
}

void Attribution::add(wire::MailboxRow& row, const uint64_t* from, const uint64_t* to,
                      bool to_edge) {
    ++row.samples;
    for (unsigned i = 0; i < wire::model_counts; ++i) row.counts[i] += to[i] - from[i];
    // The one at its end is not inside.
    row.counts[static_cast<unsigned>(wire::ModelCount::timestamps)] -= to_edge;
}

void Attribution::stored(const Guest& guest, uint64_t address) {
    for (unsigned i = 0; i < count_; ++i) {
        const wire::MailboxSeries& s = series_[i];
        if (address - s.value_start >= s.value_bytes || (address - s.value_start) % s.stride != 0)
            continue;
        if (s.since_event != 0 && s.stages == 0)
            add_since(i, guest.word(address));
        else if (s.stages == 0)
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
        return add(rows_[series][0], begin_.counts, before(back).counts, true);
    }
}

/// From `value` ticks before the last edge to that edge.
void Attribution::add_since(unsigned series, uint64_t value) {
    const Edge& last = before(0);
    if (series_[series].check == 0 || last.number <= taken_[series] || value > last.ticks) return;
    taken_[series] = last.number;
    if (auto event = history.at(last.ticks - value, last.ticks, last.counts))
        add(rows_[series][0], event->counts, last.counts, true);
}

/// Each stage lies between two edges that are as far from each other as its marks. It ends where
/// the next one begins, or up to three edges before: a lab may look at the clock in between, and
/// take that off, or after the last mark. Where a path begins at an event, no edge stands there (a
/// deadline), nor at marks that the lab counts from there.
void Attribution::add_path(unsigned series, const uint64_t* marks) {
    const wire::MailboxSeries& s = series_[series];
    if (s.check == 0) return;
    constexpr unsigned looks = 4;
    wire::MailboxRow whole = {};
    unsigned end = 0;
    std::optional<wire::MailboxRow> event;  ///< where the stage ends, once that is not an edge
    uint64_t event_tick = 0, stage = s.stages;
    for (; stage > 0; --stage) {
        uint64_t length = marks[stage] - marks[stage - 1];
        // What is before the second mark may be an event: no looking around for the first stage.
        unsigned tries = event ? 0 : stage == 1 && s.stages > 1 ? 1 : looks, start = edges;
        unsigned from = end;
        for (unsigned look = 0; look < tries && start == edges && from + look < edges; ++look)
            start = start_of(end = from + look, length);
        if (start != edges) {
            if (before(end).number <= taken_[series]) break;
            add(rows_[series][stage], before(start).counts, before(end).counts, true);
            add(whole, before(start).counts, before(end).counts, true);
            end = start;
            continue;
        }
        const Edge& edge = before(from);
        if (s.since_event == 0 || edge.number <= taken_[series]) break;
        uint64_t tick = (event ? event_tick : edge.ticks) - length;
        auto begin = history.at(tick, edge.ticks, edge.counts);
        if (!begin) break;
        const uint64_t* to = event ? event->counts : edge.counts;
        add(rows_[series][stage], begin->counts, to, !event);
        add(whole, begin->counts, to, !event);
        event = begin;
        event_tick = tick;
        end = from;
    }
    taken_[series] = newest_;
    if (stage != 0) return;
    ++rows_[series][0].samples;
    for (unsigned i = 0; i < wire::model_counts; ++i) rows_[series][0].counts[i] += whole.counts[i];
}

/// How far before the newest the edge lies that is `length` ticks before the one that lies `end`
/// before it; `edges`: there is none.
unsigned Attribution::start_of(unsigned end, uint64_t length) const {
    unsigned back = end;
    while (back < edges && before(end).ticks - before(back).ticks != length) ++back;
    return back;
}

void Attribution::end(const Guest& guest) {
    for (unsigned i = 0; i < count_; ++i)
        for (uint64_t row = 0; row <= series_[i].stages; ++row)
            guest.at<wire::MailboxRow>(series_[i].rows + row * sizeof(wire::MailboxRow)) =
                in_steps(rows_[i][row]);
    history.remember(false);
    count_ = span_ = 0;
}

}  // namespace doorbell::model
