#include "harness/run/collector.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "firmware/wire/words.h"
#include "harness/data/digest.h"
#include "harness/text/members.h"
#include "harness/text/number.h"

namespace doorbell::harness {
namespace {

constexpr size_t most_notes = 20;
const std::string started_again =
    "the machine started again in the middle of the run (a reset, or a triple fault)";

/// A record that is whole, of a series that is lost.
struct Orphan : std::runtime_error {
    using std::runtime_error::runtime_error;
};

uint64_t number(const Json& record, const char* name) {
    auto found = record.find(name);
    if (found == record.end()) throw std::runtime_error(fmt::format("it has no \"{}\"", name));
    return whole_number(*found, fmt::format("its \"{}\"", name));
}

/// A list of pairs of name and count.
std::vector<std::pair<std::string, uint64_t>> pairs(const Json& record, const char* name) {
    std::vector<std::pair<std::string, uint64_t>> all;
    for (const Json& pair : list_of(record, name)) {
        if (!pair.is_array() || pair.size() != 2 || !pair[0].is_string())
            throw std::runtime_error("a counter is not a pair of name and number");
        all.emplace_back(pair[0].get<std::string>(), whole_number(pair[1], "a counter"));
    }
    return all;
}

CaseKeys keys(const Json& record) {
    auto found = record.find("case");
    return found == record.end() ? CaseKeys{} : CaseKeys::from(*found);
}

Json without_kind(Json record) {
    record.erase("t");
    return record;
}

}  // namespace

Collector::Collector(OnRecord on_record, OnWords on_words)
    : on_record_(std::move(on_record)),
      reader_({[this](const wire::Line& line) { record(line); }, std::move(on_words),
               [this](const char* fault) {
                   // Before the first record and after the last, firmware or a boot loader may
                   // print anything. A record that is damaged there still leaves a gap in the
                   // sequence.
                   if (now_.records != 0 && !over())
                       damaged(
                           fmt::format("after record {}: {}", now_.sequence.expected() - 1, fault));
               }}) {}

void Collector::expect_several(size_t run_number) {
    several_ = true;
    run_number_ = run_number;
}

void Collector::end_is_lost() {
    now_.end_lost = true;
    ++now_.run.wire.lost;
    note("the end record is missing");
}

void Collector::note(const std::string& text) {
    if (now_.run.wire.notes.size() < most_notes) now_.run.wire.notes.push_back(text);
}

void Collector::damaged(const std::string& why) {
    ++now_.run.wire.damaged;
    note(why);
}

/// A record whose number was there before.
void Collector::repeated(const wire::Line& line, const std::string& kind, bool same) {
    if (same) {
        ++now_.run.wire.repeated;
        note(fmt::format("record {} came twice and was counted once", line.sequence));
    } else if (kind == wire::kind::hello) {
        started_again_ = true;
        note("the image started again");
    } else {
        damaged(fmt::format("record {} came out of order or with two contents", line.sequence));
    }
}

void Collector::record(const wire::Line& line) {
    if (started_again_) return;  // another run's records
    Json record = Json::parse(line.json, nullptr, false);
    std::string kind;
    if (record.is_object())
        if (auto t = record.find("t"); t != record.end() && t->is_string())
            kind = t->get<std::string>();
    size_t hash = std::hash<std::string_view>{}(line.json);
    auto seen = now_.seen.find(line.sequence);
    bool same = seen != now_.seen.end() && seen->second == hash &&
                !(kind == wire::kind::hello && now_.records > 1);
    bool another = kind == wire::kind::hello || ended() ||
                   (over() && line.sequence < now_.sequence.expected());
    if (several_ && now_.records != 0 && !same && another) close(over() ? "" : started_again);
    uint64_t gap_from = now_.sequence.expected();
    if (now_.sequence.take(line.sequence) == wire::Sequence::Step::repeated)
        return repeated(line, kind, same);
    if (line.sequence > gap_from)
        note(line.sequence == gap_from + 1
                 ? fmt::format("record {} is missing", gap_from)
                 : fmt::format("records {} to {} are missing", gap_from, line.sequence - 1));
    now_.run.wire.lost = now_.sequence.lost();
    now_.seen.emplace(line.sequence, hash);
    ++now_.records;
    if (record.is_discarded() || kind.empty()) {
        damaged(fmt::format("record {}: its CRC is right, but it is not a record", line.sequence));
        return;
    }
    try {
        take(kind, record);
    } catch (const Orphan& error) {
        // The loss of its series is already counted, unless the image never sent one.
        std::string what = fmt::format("record {} ({}): {}", line.sequence, kind, error.what());
        now_.run.wire.any_missing() ? note(what) : damaged(what);
        return;
    } catch (const std::exception& error) {
        damaged(fmt::format("record {} ({}): {}", line.sequence, kind, error.what()));
        return;
    }
    if (on_record_) on_record_(kind, record);
}

void Collector::take(const std::string& kind, const Json& record) {
    namespace k = wire::kind;
    if (kind == k::hello) {
        now_.run.machine["image"] = record.value("image", Json());
        now_.run.machine["command_line"] = record.value("command_line", Json());
    } else if (kind == k::machine) {
        now_.run.machine.update(without_kind(record));
    } else if (kind == k::instrument) {
        now_.run.instrument.update(without_kind(record));
    } else if (kind == k::flag) {
        now_.run.flags.push_back(text_of(record, "text"));
    } else if (kind == k::begin) {
        now_.begun.emplace_back(text_of(record, "lab"), keys(record));
    } else if (kind == k::series) {
        take_series(record);
    } else if (kind == k::histogram) {
        take_histogram(record);
    } else if (kind == k::counters) {
        take_counters(record);
    } else if (kind == k::raw) {
        take_raw(record);
    } else if (kind == k::tally) {
        Tally tally{text_of(record, "lab"), keys(record), text_of(record, "name"), {}};
        for (const auto& [name, count] : pairs(record, "values"))
            tally.values.emplace_back(name, count);
        now_.run.tallies.push_back(std::move(tally));
    } else if (kind == k::skip) {
        now_.run.skipped.push_back(
            {text_of(record, "lab"), keys(record), text_of(record, "reason")});
    } else if (kind == k::fail) {
        now_.run.failed.push_back(
            {text_of(record, "lab"), keys(record), text_of(record, "reason")});
    } else if (kind == k::claim) {
        auto holds = record.find("holds");
        bool said = holds != record.end() && holds->is_boolean();
        now_.run.claims.push_back({text_of(record, "lab"), text_of(record, "text"),
                                   said ? std::optional(holds->get<bool>()) : std::nullopt,
                                   text_of(record, "because"), text_of(record, "id")});
    } else if (kind == k::error) {
        std::string what = text_of(record, "text");
        // A record that was too long for the wire is lost, though its number is not.
        if (std::string dropped = text_of(record, "kind"); !dropped.empty())
            damaged(fmt::format("a record of kind {} was dropped by the image: {}", dropped, what));
        if (std::string word = text_of(record, "word"); !word.empty()) what += ": " + word;
        if (std::string advice = text_of(record, "advice"); !advice.empty())
            what += " (" + advice + ")";
        now_.run.errors.push_back(what);
    } else if (kind == k::panic) {
        now_.run.panic = without_kind(record);
    } else if (kind == k::end) {
        now_.end_status = text_of(record, "status");
        if (now_.end_status.empty()) now_.end_status = "done";
    }
}

void Collector::take_series(const Json& record) {
    Series series = Series::described_by(record);
    uint64_t id = number(record, "id");
    series.count = number(record, "count");
    if (series.count != 0) {
        series.min = number(record, "min");
        series.max = number(record, "max");
        series.sum = number(record, "sum");
    }
    if (auto removed = record.find("overhead_removed");
        removed != record.end() && !removed->is_null())
        series.overhead_removed = whole_number(*removed, "its \"overhead_removed\"");
    if (auto cold = record.find("cold"); cold != record.end()) series.cold = *cold;
    for (const Json& name : list_of(record, "stages")) {
        if (!name.is_string()) throw std::runtime_error("a stage's name is not text");
        series.stages.push_back({name.get<std::string>(), {}, 0, 0, 0});
    }
    for (const Json& flag : list_of(record, "flags")) {
        if (!flag.is_string()) throw std::runtime_error("a flag is not text");
        series.flags.push_back(flag.get<std::string>());
    }
    for (const Json& counter : list_of(record, "counters")) {
        if (!counter.is_object()) throw std::runtime_error("a counter is not an object");
        auto value = counter.find("value");
        if (value == counter.end() || !value->is_number())
            throw std::runtime_error("a counter has no number");
        series.counters.push_back({text_of(counter, "name"), *value, text_of(counter, "evidence"),
                                   text_of(counter, "stage")});
    }
    if (series.lab.empty() || series.metric.empty() || series.unit.empty() ||
        series.evidence.empty())
        throw std::runtime_error("it lacks lab, metric, unit or evidence");
    if (!now_.by_id.emplace(id, now_.run.series.size()).second)
        throw std::runtime_error(fmt::format("its id {} is taken", id));
    now_.run.series.push_back(std::move(series));
}

void Collector::take_counters(const Json& record) {
    Series& series = series_of(record);
    std::string stage = text_of(record, "stage"), evidence = text_of(record, "evidence");
    uint64_t samples = number(record, "samples");
    std::vector<Counter> counters;
    for (const auto& [name, count] : pairs(record, "values"))
        counters.push_back({name, count, evidence, stage, samples});
    for (const char* of : {"pair_cost", "pair_cost_ring3"})
        if (auto cost = record.find(of); cost != record.end() && cost->is_object())
            for (const auto& [name, value] : cost->items())
                now_.run.instrument[std::string("counter_") + of][name] = value;
    series.counters.insert(series.counters.end(), counters.begin(), counters.end());
}

Series& Collector::series_of(const Json& record) {
    auto found = now_.by_id.find(number(record, "of"));
    if (found == now_.by_id.end()) throw Orphan("it belongs to a series that did not arrive");
    return now_.run.series[found->second];
}

void Collector::take_histogram(const Json& record) {
    Series& series = series_of(record);
    std::string part = text_of(record, "part");
    Bins* bins = part == "all" || part.empty() ? &series.bins : nullptr;
    Stage* stage = nullptr;
    for (Stage& one : series.stages)
        if (bins == nullptr && one.name == part) bins = &(stage = &one)->bins;
    if (bins == nullptr)
        throw std::runtime_error(fmt::format("its series has no part \"{}\"", part));
    auto found = record.find("bins");
    if (found == record.end()) throw std::runtime_error("it has no bins");
    // Parse all of it first, so that a partly wrong record adds nothing.
    Bins more = Bins::from(*found);
    bool said = record.contains("min") && record.contains("max");
    uint64_t min = said ? number(record, "min") : 0, max = said ? number(record, "max") : 0;
    uint64_t sum = record.contains("sum") ? number(record, "sum") : 0;
    for (const auto& [value, count] : more.pairs()) bins->add(value, count);
    if (stage == nullptr || bins->empty()) return;
    stage->min = said ? min : bins->lowest();
    stage->max = said ? max : bins->highest();
    stage->sum = sum;
}

void Collector::take_raw(const Json& record) {
    Series& series = series_of(record);
    if (number(record, "at") != series.raw.size())
        throw std::runtime_error(
            fmt::format("samples {} and following are missing", series.raw.size()));
    std::vector<uint64_t> values;
    for (const Json& value : list_of(record, "values"))
        values.push_back(whole_number(value, "a sample"));
    series.raw.insert(series.raw.end(), values.begin(), values.end());
}

void Collector::check_histograms() {
    for (Series& series : now_.run.series) {
        bool stages_whole = true;
        for (const Stage& stage : series.stages) stages_whole &= stage.bins.count() == series.count;
        if (series.bins.count() == series.count && stages_whole) continue;
        std::string what =
            series.bins.count() == series.count
                ? std::string("a stage's histogram is not whole")
                : fmt::format("{} of {} samples arrived in the histogram: no percentiles",
                              grouped(series.bins.count()), grouped(series.count));
        series.flags.push_back("incomplete: " + what);
        // No record is lost, so the image itself left something out: that is damage too.
        if (!now_.run.wire.any_missing() && ended()) damaged(series.name() + ": " + what);
    }
}

/// A case that began ends with figures, as skipped or as failed. A case that ends with none of
/// these has failed.
void Collector::check_cases() {
    Run& run = now_.run;
    if (!ended() || run.wire.any_missing()) return;
    for (const auto& begun : now_.begun) {
        const auto& [lab, test_case] = begun;
        // clang before 16 does not let a lambda refer to a structured binding.
        auto is_it = [&](const auto& one) {
            return one.lab == begun.first && one.test_case == begun.second;
        };
        if (std::none_of(run.series.begin(), run.series.end(), is_it) &&
            std::none_of(run.skipped.begin(), run.skipped.end(), is_it) &&
            std::none_of(run.failed.begin(), run.failed.end(), is_it))
            run.failed.push_back({lab, test_case, "it ended without figures and without a reason"});
    }
}

std::string Collector::complaint() const {
    if (!now_.run.panic.is_null()) {
        auto words = [&](const char* name) {
            auto found = now_.run.panic.find(name);
            return found == now_.run.panic.end() ? std::string()
                   : found->is_string()          ? found->get<std::string>()
                                                 : found->dump();
        };
        std::string complaint = "the image panicked";
        if (std::string name = words("name"); !name.empty()) complaint += ": " + name;
        if (std::string rip = words("rip"); !rip.empty()) complaint += " at " + rip;
        if (std::string phase = words("phase"); !phase.empty()) complaint += ", phase " + phase;
        if (std::string lab = words("lab"); !lab.empty()) complaint += ", lab " + lab;
        if (std::string test_case = words("case"); !test_case.empty()) complaint += " " + test_case;
        return complaint;
    }
    if (started_again_) return started_again;
    if (ended() && now_.end_status != "done") {
        std::string complaint = fmt::format("the image ended with status \"{}\"", now_.end_status);
        if (!now_.run.errors.empty()) complaint += ": " + now_.run.errors.front();
        return complaint;
    }
    return {};
}

/// Ends the current run; what follows belongs to another. `failure`: what went wrong outside the
/// records.
void Collector::close(const std::string& failure) {
    check_histograms();
    check_cases();
    Run& run = now_.run;
    std::string complaint = this->complaint();
    run.failure = complaint.empty() ? failure : complaint;
    if (run.failure.empty() && !ended() && !now_.end_lost)
        run.failure = "the end record did not come";
    run.complete = run.failure.empty() && !run.wire.any_missing();
    run.digest = digest(run);
    captured_.push_back({run.complete, now_.records, run.failure});
    closed_.push_back(std::move(run));
    now_ = Book{};
}

Run Collector::finish(const std::string& failure) {
    end_of_input();
    std::string why = failure, lookalikes = reader_.lookalikes();
    if (!lookalikes.empty()) why += (why.empty() ? "" : "; ") + lookalikes;
    if (now_.records != 0 || closed_.empty()) close(why);
    chosen_ = run_number_;
    if (run_number_ == 0 || run_number_ > closed_.size()) {
        chosen_ = closed_.size();
        for (size_t i = 0; i < closed_.size(); ++i)
            if (closed_[i].complete) chosen_ = i + 1;
    }
    return std::move(closed_[chosen_ - 1]);
}

}  // namespace doorbell::harness
