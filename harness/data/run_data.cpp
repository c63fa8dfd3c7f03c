#include "harness/data/run_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <stdexcept>

#include "firmware/measure/histogram.h"
#include "harness/text/number.h"

namespace doorbell::harness {
namespace {

using Shape = measure::Histogram;

}  // namespace

CaseKeys CaseKeys::from_text(std::string_view text) {
    CaseKeys keys;
    while (!text.empty()) {
        size_t blank = text.find(' ');
        std::string_view word = text.substr(0, blank);
        if (!word.empty()) {
            size_t equals = word.find('=');
            keys.pairs_.emplace_back(word.substr(0, equals), equals == word.npos
                                                                 ? std::string_view{}
                                                                 : word.substr(equals + 1));
        }
        text = blank == text.npos ? std::string_view{} : text.substr(blank + 1);
    }
    return keys;
}

CaseKeys CaseKeys::from(const Json& json) {
    if (json.is_null()) return {};
    if (json.is_string()) return from_text(json.get_ref<const std::string&>());
    if (!json.is_object()) throw std::runtime_error("a case is neither text nor an object");
    CaseKeys keys;
    for (const auto& [key, value] : json.items())
        keys.pairs_.emplace_back(key, value.is_string() ? value.get<std::string>() : value.dump());
    return keys;
}

Json CaseKeys::json() const {
    Json object = Json::object();
    for (const auto& [key, value] : pairs_) object[key] = value;
    return object;
}

std::string CaseKeys::text() const {
    std::string text;
    for (const auto& [key, value] : pairs_) {
        if (!text.empty()) text += ' ';
        text += value.empty() ? key : key + "=" + value;
    }
    return text;
}

std::string_view CaseKeys::operator[](std::string_view key) const {
    for (const auto& [k, value] : pairs_)
        if (k == key) return value;
    return {};
}

void Bins::add(uint64_t value, uint64_t count) {
    if (count == 0) return;
    count_ += count;
    if (bins_.empty() || bins_.back().first < value) {
        bins_.emplace_back(value, count);
        return;
    }
    auto at = std::lower_bound(bins_.begin(), bins_.end(), value,
                               [](const auto& bin, uint64_t v) { return bin.first < v; });
    if (at != bins_.end() && at->first == value)
        at->second += count;
    else
        bins_.insert(at, {value, count});
}

uint64_t Bins::highest() const {
    return Shape::highest_of(Shape::bin_of(std::min(bins_.back().first, Shape::top_value)));
}

uint64_t Bins::percentile(uint64_t per_100000, uint64_t min, uint64_t max) const {
    uint64_t rank = Shape::rank_of(count_, per_100000), seen = 0;
    for (const auto& [lowest, count] : bins_) {
        seen += count;
        if (seen >= rank) return Shape::value_of(Shape::bin_of(lowest), min, max);
    }
    return max;
}

Json Bins::json() const {
    Json array = Json::array();
    for (const auto& [value, count] : bins_) array.push_back(Json::array({value, count}));
    return array;
}

Bins Bins::from(const Json& pairs) {
    Bins bins;
    if (pairs.is_null()) return bins;
    if (!pairs.is_array()) throw std::runtime_error("a histogram is not a list");
    for (const Json& pair : pairs) {
        if (!pair.is_array() || pair.size() != 2)
            throw std::runtime_error("a histogram's bin is not a pair");
        bins.add(whole_number(pair[0], "a bin's value"), whole_number(pair[1], "a bin's count"));
    }
    return bins;
}

std::optional<uint64_t> Series::percentile(uint64_t per_100000) const {
    if (!whole()) return std::nullopt;
    return bins.percentile(per_100000, min, max);
}

void Series::read_as(const std::string& better_name, const std::string& shape_name) {
    auto is_in = [](const std::string& word, std::initializer_list<std::string_view> words) {
        return std::find(words.begin(), words.end(), word) != words.end();
    };
    wire::Better then = wire::Better::less;
    if (is_in(metric, {"delivered", "committed", "work", "recovered", "refused", "kernel-intact",
                       "throughput"}))
        then = wire::Better::more;
    if (is_in(unit, {"vector", "code", "signal"})) then = wire::Better::neither;
    better = wire::better_named(better_name, then);
    shape = wire::shape_named(shape_name, is_in(unit, {"attempt", "batch", "lock", "log", "packet"})
                                              ? wire::Shape::total
                                              : wire::Shape::distribution);
}

bool Series::unstable() const {
    return std::any_of(flags.begin(), flags.end(),
                       [](const std::string& flag) { return flag.starts_with("unstable"); });
}

std::string Series::name() const {
    std::string keys = test_case.text();
    return lab + (keys.empty() ? "" : " " + keys) + " " + metric;
}

std::string CaseEnd::name() const {
    std::string keys = test_case.text();
    return keys.empty() ? lab : lab + " " + keys;
}

namespace {

Json read_json(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    if (!in) throw std::runtime_error(fmt::format("cannot read {}", file.string()));
    Json document = Json::parse(in, nullptr, false);
    if (document.is_discarded())
        throw std::runtime_error(fmt::format("{} is not JSON", file.string()));
    if (!document.is_object())
        throw std::runtime_error(fmt::format("{} is not a JSON object", file.string()));
    return document;
}

}  // namespace

Run read_run(const std::filesystem::path& path) {
    std::filesystem::path file = std::filesystem::is_directory(path) ? path / "results.json" : path;
    Json document = read_json(file);
    try {
        return Run::from(document);
    } catch (const std::exception& error) {
        throw std::runtime_error(fmt::format("{}: {}", file.string(), error.what()));
    }
}

Json read_manifest(const std::filesystem::path& folder) {
    return read_json(std::filesystem::is_directory(folder) ? folder / "manifest.json" : folder);
}

}  // namespace doorbell::harness
