#include "harness/run/collector.h"

#include <fmt/format.h>

#include <stdexcept>

#include "firmware/wire/words.h"
#include "harness/data/digest.h"
#include "harness/system/number.h"

namespace doorbell::harness {
namespace {

/// A line longer than this is cut: no record is, and a wire without line ends must not fill the
/// memory.
constexpr size_t longest_line = 4 * wire::max_record_length;
constexpr size_t most_notes = 20;

/// A record that is whole, of a series that is lost.
struct Orphan : std::runtime_error {
    using std::runtime_error::runtime_error;
};

std::string text(const Json& record, const char* name) {
    auto found = record.find(name);
    if (found == record.end() || found->is_null()) return {};
    if (!found->is_string()) throw std::runtime_error(fmt::format("its \"{}\" is no text", name));
    return found->get<std::string>();
}

uint64_t number(const Json& record, const char* name) {
    auto found = record.find(name);
    if (found == record.end()) throw std::runtime_error(fmt::format("it has no \"{}\"", name));
    return whole_number(*found, fmt::format("its \"{}\"", name));
}

const Json& list(const Json& record, const char* name) {
    static const Json none = Json::array();
    auto found = record.find(name);
    if (found == record.end() || found->is_null()) return none;
    if (!found->is_array()) throw std::runtime_error(fmt::format("its \"{}\" is no list", name));
    return *found;
}

/// A list of pairs of name and count.
std::vector<std::pair<std::string, uint64_t>> pairs(const Json& record, const char* name) {
    std::vector<std::pair<std::string, uint64_t>> all;
    for (const Json& pair : list(record, name)) {
        if (!pair.is_array() || pair.size() != 2 || !pair[0].is_string())
            throw std::runtime_error("a counter is no pair of name and number");
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

/// The wire has whole numbers: what it sends in thousandths, results.json has in units.
Json in_units(Json record) {
    constexpr std::string_view thousandths = "_milli";
    Json result = Json::object();
    for (const auto& [name, value] : record.items()) {
        if (name.ends_with(thousandths) && value.is_number())
            result[name.substr(0, name.size() - thousandths.size())] = value.get<double>() / 1000;
        else
            result[name] = value;
    }
    return result;
}

}  // namespace

Collector::Collector(OnRecord on_record, OnWords on_words)
    : on_record_(std::move(on_record)), on_words_(std::move(on_words)) {}

void Collector::feed(std::string_view bytes) {
    while (!bytes.empty()) {
        size_t newline = bytes.find('\n');
        std::string_view part = bytes.substr(0, newline);
        size_t room = longest_line - pending_.size();
        if (part.size() > room) {
            overlong_ = true;
            bytes_of_words_ += part.size() - room;
        }
        pending_.append(part.substr(0, room));
        if (newline == bytes.npos) return;
        line(pending_);
        pending_.clear();
        overlong_ = false;
        bytes.remove_prefix(newline + 1);
    }
}

void Collector::end_of_input() {
    if (!pending_.empty()) line(pending_);
    pending_.clear();
}

void Collector::end_is_lost() {
    end_lost_ = true;
    ++run_.wire.lost;
    note("the end record is missing");
}

void Collector::note(const std::string& text) {
    if (run_.wire.notes.size() < most_notes) run_.wire.notes.push_back(text);
}

void Collector::damaged(const std::string& why) {
    ++run_.wire.damaged;
    note(why);
}

void Collector::line(std::string_view bytes) {
    wire::Line line = wire::decode(bytes);
    if (line.kind == wire::Line::Kind::record) {
        if (!line.words.empty() && on_words_) on_words_(line.words);
        record(line);
        return;
    }
    // Until the first record a firmware or a boot loader may print whatever it likes; a record that
    // is damaged there leaves a gap in the sequence all the same.
    if (line.kind == wire::Line::Kind::damaged && records_ != 0)
        damaged(fmt::format("after record {}: {}", sequence_.expected() - 1,
                            overlong_ ? "line too long" : line.fault));
    bytes_of_words_ += bytes.size() + 1;
    if (on_words_) on_words_(bytes);
}

void Collector::record(const wire::Line& line) {
    if (started_again_) return;  // another run's records
    Json record = Json::parse(line.json, nullptr, false);
    std::string kind;
    if (record.is_object())
        if (auto t = record.find("t"); t != record.end() && t->is_string())
            kind = t->get<std::string>();
    size_t hash = std::hash<std::string_view>{}(line.json);
    uint64_t gap_from = sequence_.expected();
    if (sequence_.take(line.sequence) == wire::Sequence::Step::repeated) {
        auto seen = seen_.find(line.sequence);
        if (seen != seen_.end() && seen->second == hash &&
            !(kind == wire::kind::hello && records_ > 1)) {
            ++run_.wire.repeated;
            note(fmt::format("record {} came twice and was taken once", line.sequence));
        } else if (kind == wire::kind::hello) {
            started_again_ = true;
            note("the image started again");
        } else {
            damaged(fmt::format("record {} came out of order or with two contents", line.sequence));
        }
        return;
    }
    if (line.sequence > gap_from)
        note(line.sequence == gap_from + 1
                 ? fmt::format("record {} is missing", gap_from)
                 : fmt::format("records {} to {} are missing", gap_from, line.sequence - 1));
    run_.wire.lost = sequence_.lost();
    seen_.emplace(line.sequence, hash);
    ++records_;
    if (record.is_discarded() || kind.empty()) {
        damaged(fmt::format("record {}: its CRC is right, but it is no record", line.sequence));
        return;
    }
    try {
        take(kind, record);
    } catch (const Orphan& error) {
        // The loss of its series is counted already, unless the image never sent one.
        std::string what = fmt::format("record {} ({}): {}", line.sequence, kind, error.what());
        run_.wire.any_missing() ? note(what) : damaged(what);
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
        run_.machine["image"] = record.value("image", Json());
        run_.machine["command_line"] = record.value("command_line", Json());
    } else if (kind == k::machine) {
        run_.machine.update(without_kind(record));
    } else if (kind == k::instrument) {
        run_.instrument.update(in_units(without_kind(record)));
    } else if (kind == k::flag) {
        run_.flags.push_back(text(record, "text"));
    } else if (kind == k::series) {
        take_series(record);
    } else if (kind == k::histogram) {
        take_histogram(record);
    } else if (kind == k::counters) {
        take_counters(record);
    } else if (kind == k::raw) {
        take_raw(record);
    } else if (kind == k::core) {
        take_core(record);
    } else if (kind == k::tally) {
        Tally tally{text(record, "lab"), keys(record), text(record, "name"), {}};
        for (const auto& [name, count] : pairs(record, "values"))
            tally.values.emplace_back(name, count);
        run_.tallies.push_back(std::move(tally));
    } else if (kind == k::skip) {
        run_.skipped.push_back({text(record, "lab"), keys(record), text(record, "reason")});
    } else if (kind == k::claim) {
        auto holds = record.find("holds");
        bool said = holds != record.end() && holds->is_boolean();
        run_.claims.push_back({text(record, "lab"), text(record, "text"),
                               said ? std::optional(holds->get<bool>()) : std::nullopt,
                               text(record, "because")});
    } else if (kind == k::error) {
        std::string what = text(record, "text");
        // A record that was too long for the wire is lost, though its number is not.
        if (std::string dropped = text(record, "kind"); !dropped.empty())
            damaged(fmt::format("a record of kind {} was dropped by the image: {}", dropped, what));
        if (std::string word = text(record, "word"); !word.empty()) what += ": " + word;
        if (std::string advice = text(record, "advice"); !advice.empty())
            what += " (" + advice + ")";
        run_.errors.push_back(what);
    } else if (kind == k::panic) {
        run_.panic = without_kind(record);
    } else if (kind == k::end) {
        end_status_ = text(record, "status");
        if (end_status_.empty()) end_status_ = "done";
    }
}

void Collector::take_series(const Json& record) {
    Series series;
    uint64_t id = number(record, "id");
    series.lab = text(record, "lab");
    series.which = keys(record);
    series.metric = text(record, "metric");
    series.unit = text(record, "unit");
    series.evidence = text(record, "evidence");
    series.count = number(record, "count");
    if (series.count != 0) {
        series.min = number(record, "min");
        series.max = number(record, "max");
        series.sum = number(record, "sum");
    }
    if (auto removed = record.find("overhead_removed");
        removed != record.end() && !removed->is_null())
        series.overhead_removed = whole_number(*removed, "its \"overhead_removed\"");
    if (auto pair = record.find("pair"); pair != record.end()) series.pair = *pair == true;
    if (auto cold = record.find("cold"); cold != record.end()) series.cold = *cold;
    for (const Json& name : list(record, "stages")) {
        if (!name.is_string()) throw std::runtime_error("a stage's name is no text");
        series.stages.push_back({name.get<std::string>(), {}, 0, 0, 0});
    }
    for (const Json& flag : list(record, "flags")) {
        if (!flag.is_string()) throw std::runtime_error("a flag is no text");
        series.flags.push_back(flag.get<std::string>());
    }
    for (const Json& counter : list(record, "counters")) {
        if (!counter.is_object()) throw std::runtime_error("a counter is no object");
        auto value = counter.find("value");
        if (value == counter.end() || !value->is_number())
            throw std::runtime_error("a counter has no number");
        series.counters.push_back(
            {text(counter, "name"), *value, text(counter, "evidence"), text(counter, "stage")});
    }
    if (series.lab.empty() || series.metric.empty() || series.unit.empty() ||
        series.evidence.empty())
        throw std::runtime_error("it lacks lab, metric, unit or evidence");
    if (!by_id_.emplace(id, run_.series.size()).second)
        throw std::runtime_error(fmt::format("its id {} is taken", id));
    run_.series.push_back(std::move(series));
}

void Collector::take_core(const Json& record) {
    constexpr double million = 1e6;
    const Json& yardstick = list(record, "yardstick");
    if (yardstick.size() != 2) throw std::runtime_error("its \"yardstick\" is not a pair");
    CoreRate core;
    core.before = static_cast<double>(whole_number(yardstick[0], "a yardstick")) / million;
    core.after = static_cast<double>(whole_number(yardstick[1], "a yardstick")) / million;
    if (record.contains("counted")) {
        core.counted = static_cast<double>(number(record, "counted")) / million;
        core.counter = text(record, "counter");
    }
    std::string lab = text(record, "lab");
    CaseKeys which = keys(record);
    for (Series& series : run_.series) {
        if (series.lab != lab || series.which != which) continue;
        series.core = core;
        if (core.drifted() && series.unit == "tick")
            series.flags.push_back(fmt::format(
                "the core's rate changed: {:.3f} core cycles a tick before the case, {:.3f} after",
                core.before, core.after));
    }
}

void Collector::take_counters(const Json& record) {
    Series& series = series_of(record);
    std::string stage = text(record, "stage"), evidence = text(record, "evidence");
    uint64_t samples = number(record, "samples");
    std::vector<Counter> counters;
    for (const auto& [name, count] : pairs(record, "values"))
        counters.push_back({name, count, evidence, stage, samples});
    for (const char* of : {"pair_cost", "pair_cost_ring3"})
        if (auto cost = record.find(of); cost != record.end() && cost->is_object())
            for (const auto& [name, value] : cost->items())
                run_.instrument[std::string("counter_") + of][name] = value;
    series.counters.insert(series.counters.end(), counters.begin(), counters.end());
}

Series& Collector::series_of(const Json& record) {
    auto found = by_id_.find(number(record, "of"));
    if (found == by_id_.end()) throw Orphan("it belongs to a series that did not arrive");
    return run_.series[found->second];
}

void Collector::take_histogram(const Json& record) {
    Series& series = series_of(record);
    std::string part = text(record, "part");
    Bins* bins = part == "all" || part.empty() ? &series.bins : nullptr;
    Stage* stage = nullptr;
    for (Stage& one : series.stages)
        if (bins == nullptr && one.name == part) bins = &(stage = &one)->bins;
    if (bins == nullptr)
        throw std::runtime_error(fmt::format("its series has no part \"{}\"", part));
    auto found = record.find("bins");
    if (found == record.end()) throw std::runtime_error("it has no bins");
    // First all of it, so that a record that is half wrong adds nothing.
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
    for (const Json& value : list(record, "values"))
        values.push_back(whole_number(value, "a sample"));
    series.raw.insert(series.raw.end(), values.begin(), values.end());
}

void Collector::check_histograms() {
    for (Series& series : run_.series) {
        bool stages_whole = true;
        for (const Stage& stage : series.stages) stages_whole &= stage.bins.count() == series.count;
        if (series.bins.count() == series.count && stages_whole) continue;
        std::string what =
            series.bins.count() == series.count
                ? std::string("a stage's histogram is not whole")
                : fmt::format("{} of {} samples arrived in the histogram: no percentiles",
                              grouped(series.bins.count()), grouped(series.count));
        series.flags.push_back("incomplete: " + what);
        // With every record there, the image itself left something out: that is damage too.
        if (!run_.wire.any_missing() && ended()) damaged(series.name() + ": " + what);
    }
}

std::string Collector::complaint() const {
    if (!run_.panic.is_null()) {
        auto words = [&](const char* name) {
            auto found = run_.panic.find(name);
            return found == run_.panic.end() ? std::string()
                   : found->is_string()      ? found->get<std::string>()
                                             : found->dump();
        };
        std::string complaint = "the image panicked";
        if (std::string name = words("name"); !name.empty()) complaint += ": " + name;
        if (std::string rip = words("rip"); !rip.empty()) complaint += " at " + rip;
        if (std::string phase = words("phase"); !phase.empty()) complaint += ", phase " + phase;
        if (std::string lab = words("lab"); !lab.empty()) complaint += ", lab " + lab;
        if (std::string which = words("case"); !which.empty()) complaint += " " + which;
        return complaint;
    }
    if (started_again_)
        return "the machine started again in the middle of the run (a reset, or a triple fault)";
    if (ended() && end_status_ != "done") {
        std::string complaint = fmt::format("the image ended with status \"{}\"", end_status_);
        if (!run_.errors.empty()) complaint += ": " + run_.errors.front();
        return complaint;
    }
    return {};
}

Run Collector::finish(const std::string& failure) {
    end_of_input();
    check_histograms();
    std::string complaint = this->complaint();
    run_.failure = complaint.empty() ? failure : complaint;
    if (run_.failure.empty() && !ended() && !end_lost_)
        run_.failure = "the end record did not come";
    run_.complete = run_.failure.empty() && !run_.wire.any_missing();
    run_.digest = digest(run_);
    return std::move(run_);
}

}  // namespace doorbell::harness
