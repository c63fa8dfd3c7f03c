#include "host/run/case_counters.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace doorbell::host {
namespace {

class PerfWindow : public Window {
  public:
    explicit PerfWindow(bool threads) : group_(0, threads) {}
    void open() override { group_.start(); }
    void close() override {
        std::vector<PerfCount> more = group_.stop();
        if (counts_.empty())
            counts_ = std::move(more);
        else
            for (size_t i = 0; i < counts_.size(); ++i)
                if (counts_[i].value && more[i].value) *counts_[i].value += *more[i].value;
    }
    const std::vector<PerfCount>& counts() const { return counts_; }

  private:
    PerfGroup group_;
    std::vector<PerfCount> counts_;
};

/// Takes samples as long as PCM's window is open.
class PcmLoop : public Loop, public Window {
  public:
    PcmLoop(PcmJob job, uint64_t tsc_hz) : job_(std::move(job)), tsc_hz_(tsc_hz) {}
    void open() override {
        window_.emplace(job_, seconds);
        until_ = measure::end() + seconds * tsc_hz_;
    }
    bool more() override { return measure::end() < until_; }
    void took(double) override { samples_ += measure::end() <= until_; }
    void close() override { rows_.push_back(window_->result()); }

    uint64_t samples() const { return samples_; }
    /// The sum of the cell over the windows, times `unit`; nothing where one of them lacks it.
    std::optional<uint64_t> sum(const std::function<bool(const std::string& group)>& in,
                                const std::string& column, double unit) const {
        std::optional<double> sum;
        for (const PcmCsv& csv : rows_)
            for (const auto& [group, name] : csv.columns()) {
                if (name != column || !in(group)) continue;
                std::optional<double> value = csv.value(0, group, name);
                if (!value || *value < 0) return std::nullopt;
                sum = sum.value_or(0) + *value * unit;
            }
        if (!sum) return std::nullopt;
        return static_cast<uint64_t>(std::llround(*sum));
    }

  private:
    static constexpr unsigned seconds = 1;
    PcmJob job_;
    uint64_t tsc_hz_, until_ = 0, samples_ = 0;
    std::optional<PcmWindow> window_;
    std::vector<PcmCsv> rows_;
};

// Architectural events (SDM vol. 3B, table 20-1), with the enable bits of IA32_PERFEVTSELx for user
// and kernel mode.
struct CoreEvent {
    const char* name;
    const char* event;
};
constexpr CoreEvent core_event[] = {
    {"core_instructions", "core/config=0x4300c0,name=core_instructions"},
    {"core_llc_references", "core/config=0x434f2e,name=core_llc_references"},
    {"core_llc_misses", "core/config=0x43412e,name=core_llc_misses"},
    {"core_branch_misses", "core/config=0x4300c5,name=core_branch_misses"},
};

void add(CaseCounts& counts, const std::string& name, std::optional<uint64_t> value) {
    counts.counts.push_back({name, value, value ? "" : "PCM shows none"});
}

/// Runs the case in a window of `job`. Returns what went wrong, or "".
std::string attempt(const Pass& pass, PcmLoop& loop) {
    try {
        pass(1, loop, loop);
        return {};
    } catch (const std::exception& error) {
        return error.what();
    }
}

}  // namespace

CounterSources look_for_counters(Counting wanted, const std::filesystem::path& root) {
    CounterSources sources;
    if (wanted == Counting::off) {
        sources.because = "not asked for (--counters off)";
        return sources;
    }
    PerfGroup group;
    std::string there;
    std::vector<std::pair<std::string, std::string>> absent;  // reason, names
    group.start();
    for (const PerfCount& c : group.stop()) {
        if (c.absent.empty()) {
            there += (there.empty() ? "" : ", ") + c.name;
            continue;
        }
        auto same = std::find_if(absent.begin(), absent.end(),
                                 [&](const auto& a) { return a.first == c.absent; });
        if (same == absent.end())
            absent.emplace_back(c.absent, c.name);
        else
            same->second += ", " + c.name;
    }
    sources.perf = !there.empty();
    if (sources.perf)
        sources.because = "perf events of the measured thread, in a pass of their own: " + there;
    for (const auto& [reason, names] : absent)
        sources.because +=
            (sources.because.empty() ? "absent: " : "; absent: ") + names + " (" + reason + ")";
    if (wanted == Counting::all) {
        PcmState pcm = look_for_pcm(root);
        if (pcm.usable) sources.pcm = pcm;
        sources.because += "; PCM: " + pcm.because + (pcm.change.empty() ? "" : ": " + pcm.change);
    }
    return sources;
}

CaseCounts count_by_perf(const Pass& pass, uint64_t samples, bool threads) {
    CountingLoop loop(samples);
    PerfWindow window(threads);
    pass(samples, loop, window);
    return {samples, window.counts(), {}};
}

CaseCounts count_by_pcm(const Pass& pass, PcmState& pcm, int cpu, uint64_t tsc_hz) {
    CaseCounts counts;
    std::vector<std::string> events;
    for (const CoreEvent& e : core_event) events.emplace_back(e.event);
    std::string core_trouble, system_trouble;
    PcmLoop core(core_events(pcm, events, cpu), tsc_hz), system(system_totals(pcm), tsc_hz);
    const bool core_wanted = !pcm.raw.empty(), system_wanted = !pcm.pcm.empty();
    if (core_wanted) core_trouble = attempt(pass, core);
    if (system_wanted) system_trouble = attempt(pass, system);
    const bool core_counts = core_wanted && core_trouble.empty(),
               system_counts = system_wanted && system_trouble.empty();
    // What PCM refuses once, it refuses for every case; the other program may count all the same.
    if (!core_trouble.empty()) pcm.raw.clear();
    if (!system_trouble.empty()) pcm.pcm.clear();
    if (!core_counts && !system_counts)
        throw std::runtime_error(core_trouble.empty() ? system_trouble : core_trouble);
    counts.samples = core_counts ? core.samples() : system.samples();
    // With -yc one core is shown; its group's name depends on sockets.
    auto any = [](const std::string&) { return true; };
    if (core_counts)
        for (const CoreEvent& e : core_event) add(counts, e.name, core.sum(any, e.name, 1));
    // Gigabytes and millions, from another pass: scaled to the number of samples of the core's.
    double scale = system.samples() == 0 ? 0
                                         : static_cast<double>(counts.samples) /
                                               static_cast<double>(system.samples());
    auto whole = [](const std::string& group) { return group == "System"; };
    if (!core_trouble.empty()) counts.trouble = "pcm-raw: " + core_trouble;
    if (!system_trouble.empty()) counts.trouble = "pcm: " + system_trouble;
    if (!system_counts) return counts;
    add(counts, "system_memory_read_bytes", system.sum(whole, "READ", 1e9 * scale));
    add(counts, "system_memory_written_bytes", system.sum(whole, "WRITE", 1e9 * scale));
    add(counts, "system_llc_misses", system.sum(whole, "L3MISS", 1e6 * scale));
    return counts;
}

}  // namespace doorbell::host
