#include "host/bench.h"

#include <sched.h>

#include <cerrno>
#include <cstring>

namespace doorbell::host {

using measure::Histogram;
using measure::Series;

void skip_errno(const std::string& what) { throw Skip(what + ": " + std::strerror(errno)); }
void wrong_errno(const std::string& what) { throw Wrong(what + ": " + std::strerror(errno)); }

int LinuxBench::cpu(unsigned index) const {
    if (request_.cpus.empty()) return 0;
    return request_.cpus[index < request_.cpus.size() ? index : request_.cpus.size() - 1];
}

uint64_t LinuxBench::setting(std::string_view name, uint64_t normal) const {
    for (const auto& [key, value] : request_.settings)
        if (key == name) return value;
    return normal;
}

Series& LinuxBench::series(const char* metric, const Kind& kind) {
    for (Recording& r : recordings_)
        if (std::string_view(r.series->parts().metric) == metric) return *r.series;
    auto histogram = [] { return std::make_unique<Histogram>(); };
    Recording r;
    r.cold = histogram();
    r.warm = histogram();
    r.spare = histogram();
    if (request_.raw) r.raw.assign(samples_ + 1, 0);
    Series::Parts parts = measure::parts_of(metric, kind, instrument);
    parts.cold = r.cold.get();
    parts.warm = r.warm.get();
    parts.spare = r.spare.get();
    parts.stages = kind.stages;
    for (size_t i = 0; i < kind.stages.size() && i < Series::max_stages; ++i) {
        r.stages.push_back(histogram());
        parts.stage_histograms[i] = r.stages.back().get();
    }
    parts.raw = r.raw;
    r.series = std::make_unique<Series>(parts);
    r.series->begin_cold();
    recordings_.push_back(std::move(r));
    return *recordings_.back().series;
}

void LinuxBench::count(const std::string& name, uint64_t value) {
    for (CounterValue& c : counters_) {
        if (c.name != name) continue;
        c.value += value;
        return;
    }
    counters_.push_back({name, value});
}

void LinuxBench::flag(const std::string& text) {
    for (const std::string& there : flags_)
        if (there == text) return;
    flags_.push_back(text);
}

void LinuxBench::begin_cold() {
    for (Recording& r : recordings_) r.series->begin_cold();
}

void LinuxBench::keep_first() {
    if (repeated_) return;  // only the very first sample counts
    for (Recording& r : recordings_) r.series->keep_first();
}

void LinuxBench::begin_warm() {
    for (Recording& r : recordings_) r.series->begin_warm();
    if (before_ == nullptr) before_ = std::make_unique<Histogram>();
    if (!recordings_.empty()) *before_ = *recordings_[0].warm;
    if (window_ != nullptr) window_->open();
}

void LinuxBench::end_warm() {
    if (window_ != nullptr) window_->close();
}

void LinuxBench::close_repetition() {
    repeated_ = true;
    if (recordings_.empty() || before_ == nullptr) return;
    // The median of what this repetition added.
    const Histogram& after = *recordings_[0].warm;
    uint64_t added = after.count() - before_->count(), seen = 0;
    if (added == 0) return;
    for (size_t bin = 0; bin < Histogram::bins; ++bin) {
        seen += after.at(bin) - before_->at(bin);
        if (2 * seen < added) continue;
        medians_.push_back(Histogram::highest_of(bin));
        return;
    }
}

void pin(int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<size_t>(cpu), &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0)
        skip_errno("cannot run on CPU " + std::to_string(cpu));
}

RealTime::RealTime() {
    sched_param param{};
    param.sched_priority = 50;
    if (sched_setscheduler(0, SCHED_FIFO, &param) != 0)
        skip_errno("SCHED_FIFO needs CAP_SYS_NICE (root) or an RLIMIT_RTPRIO");
}

RealTime::~RealTime() {
    sched_param param{};
    sched_setscheduler(0, SCHED_OTHER, &param);
}

}  // namespace doorbell::host
