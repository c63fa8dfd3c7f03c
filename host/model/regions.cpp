#include "host/model/regions.h"

#include <algorithm>

#include "host/model/operands.h"

namespace doorbell::model {
namespace {

/// Handlers and regions in each other; what is deeper is counted with what it lies in.
constexpr size_t deepest = 64;

}  // namespace

void Regions::begin(uint64_t count, uint64_t vector) {
    rows_.assign(std::min<uint64_t>(count, wire::Mailbox::max_regions), {});
    open_.clear();
    vector_ = vector;
    returns_ = false;
}

std::vector<wire::MailboxRow> Regions::end() {
    std::vector<wire::MailboxRow> rows = std::move(rows_);
    for (wire::MailboxRow& row : rows) {
        uint64_t& path = row.counts[static_cast<unsigned>(wire::ModelCount::path_steps)];
        path = (path + step / 2) / step;
    }
    rows_.clear();
    return rows;
}

/// What was executed since the last change belongs to what is innermost.
void Regions::charge(const ModelCounts& now) {
    if (!open_.empty())
        for (unsigned i = 0; i < wire::model_counts; ++i)
            open_.back().own.counts[i] += now.counts[i] - last_.counts[i];
    last_ = now;
}

void Regions::open(uint64_t region, bool handler) {
    if (open_.size() < deepest) open_.push_back({region, handler, {}});
}

void Regions::close() {
    const Open& last = open_.back();
    if (last.region < rows_.size()) {
        wire::MailboxRow& row = rows_[last.region];
        ++row.samples;
        for (unsigned i = 0; i < wire::model_counts; ++i) row.counts[i] += last.own.counts[i];
    }
    open_.pop_back();
}

/// It was left by a way that passes no end: what was executed there belongs to what it lies in.
void Regions::forget() {
    Open last = open_.back();
    open_.pop_back();
    for (unsigned i = 0; !open_.empty() && i < wire::model_counts; ++i)
        open_.back().own.counts[i] += last.own.counts[i];
}

void Regions::pass(uint64_t what, const ModelCounts& now) {
    if (!on()) return;
    charge(now);
    uint64_t region = what >> 1;
    bool is_last = !open_.empty() && !open_.back().handler && open_.back().region == region;
    if ((what & 1) != 0) {
        if (is_last) close();
        return;
    }
    if (is_last) forget();
    open(region, false);
}

void Regions::handler(uint64_t vector, const ModelCounts& now) {
    if (!on()) return;
    charge(now);
    open(vector == vector_ ? 0 : nameless, true);
}

void Regions::returned(const ModelCounts& now) {
    returns_ = false;
    charge(now);
    while (!open_.empty() && !open_.back().handler) forget();
    if (!open_.empty()) close();
}

}  // namespace doorbell::model
