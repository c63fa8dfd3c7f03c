#include "firmware/measure/counters.h"

#include "firmware/cpu/paging.h"
#include "firmware/measure/model_marker.h"
#include "firmware/measure/model_region.h"

extern "C" {
doorbell::wire::Mailbox model_mailbox;
}

namespace doorbell::measure {

using wire::MailboxCommand;

namespace {

uint64_t address(const void* p) { return reinterpret_cast<uint64_t>(p); }

}  // namespace

void Counters::look_for_model(uint64_t ram_end) {
    model_mailbox.idt = idt_address();
    model_mailbox.ram_end = ram_end;
    model_mailbox.page_tables = page_tables_address();
    model_mailbox.newest_tables = address(cpu::PageTables::newest());
#if !__STDC_HOSTED__
    model_mailbox.points = address(model_points_start);
    model_mailbox.point_count = static_cast<uint64_t>(model_points_end - model_points_start);
#endif
    MODEL_MARKER(MailboxCommand::hello);
    if (const_cast<volatile uint64_t&>(model_mailbox.model) == 0) return;
    source_ = Source::model;
    because_ = model_mailbox.geometry;
    names_ = wire::model_count_names;
    absent_ = model_mailbox.absent;
}

void Counters::start_case() {
    count_ = 0;
    model_mailbox.series_count = 0;
    model_mailbox.regions = 0;
    forget();
}

bool Counters::watch(const Series& series, std::span<CountRow> rows, bool check) {
    if (count_ == wire::Mailbox::max_series || rows.size() <= series.parts().stages.size())
        return false;
    watched_[count_] = {&series, rows};
    const Series::Parts& parts = series.parts();
    wire::MailboxSeries& d = model_mailbox.series[count_];
    d.value_start = parts.raw.empty() ? address(series.value_slot()) : address(parts.raw.data());
    d.value_bytes = parts.raw.empty() ? 8 : parts.raw.size_bytes();
    d.stride = 8;
    d.marks = address(series.marks_slot());
    d.stages = parts.stages.size();
    d.overhead = parts.overhead_removed;
    d.check = check;
    d.since_event = parts.since_event;
    d.rows = address(rows.data());
    model_mailbox.series_count = ++count_;
    return true;
}

bool Counters::watch_regions(const Series& series, std::span<CountRow> rows,
                             std::span<const char* const> regions, uint8_t vector) {
    size_t own = series.parts().stages.size() + 1;
    if (regions.size() > wire::Mailbox::max_regions || rows.size() < own + regions.size())
        return false;
    if (!watch(series, rows, true)) return false;
    watched_[count_ - 1].regions = regions;
    // Its samples are not stretches of their own.
    if (!series.parts().counted) model_mailbox.series[count_ - 1].value_bytes = 0;
    model_mailbox.region_rows = address(rows.data() + own);
    model_mailbox.region_vector = vector;
    model_mailbox.regions = regions.size();
    return true;
}

void Counters::stored_at(const Series& series, const void* start, uint64_t stride, uint64_t count) {
    for (unsigned i = 0; i < count_; ++i) {
        if (watched_[i].series != &series) continue;
        wire::MailboxSeries& d = model_mailbox.series[i];
        d.value_start = reinterpret_cast<uint64_t>(start);
        d.value_bytes = stride * count;
        d.stride = stride;
        d.overhead = 0;
    }
}

void Counters::begin() {
    MODEL_MARKER(MailboxCommand::begin);
    if (pass_ != nullptr) pass_->forget_log();
}
void Counters::end() { MODEL_MARKER(MailboxCommand::end); }
void Counters::forget() { MODEL_MARKER(MailboxCommand::forget); }

void Counters::device_wrote(uint64_t address, uint64_t bytes) {
    model_mailbox.device_start = address;
    model_mailbox.device_bytes = bytes;
    MODEL_MARKER(MailboxCommand::device);
}

std::span<const CountRow> Counters::rows_of(const Series& series) const {
    for (unsigned i = 0; i < count_; ++i)
        if (watched_[i].series == &series)
            return watched_[i].rows.first(series.parts().stages.size() + 1 +
                                          watched_[i].regions.size());
    return {};
}

std::span<const char* const> Counters::regions_of(const Series& series) const {
    for (unsigned i = 0; i < count_; ++i)
        if (watched_[i].series == &series) return watched_[i].regions;
    return {};
}

}  // namespace doorbell::measure
