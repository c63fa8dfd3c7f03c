#include "harness/results/stored_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>

#include "firmware/measure/histogram.h"
#include "harness/data/digest.h"
#include "harness/run/run_folder.h"
#include "harness/system/escape.h"
#include "harness/system/failure.h"
#include "harness/text/json.h"

namespace doorbell::harness {

namespace fs = std::filesystem;

namespace {

using Shape = measure::Histogram;

std::string text_of_file(const fs::path& file) {
    try {
        return read_file(file);
    } catch (const std::exception& error) {
        throw UsageError(error.what());
    }
}

Json parse_text(const std::string& text, const fs::path& file) {
    Json document = parse_document(text, file.string());
    if (!document.is_object())
        throw UsageError(fmt::format("{} is damaged: it is not a JSON object", file.string()));
    return document;
}

void check_schema(const Json& document, const fs::path& file) {
    std::string schema = word_of(document, "schema");
    if (schema == results_schema) return;
    if (schema.starts_with("doorbell/"))
        throw UsageError(
            fmt::format("{} has the schema {}; this version reads {}. Measure again: doorbell run",
                        file.string(), schema, results_schema));
    throw UsageError(fmt::format(
        "{} is not a run of doorbell: {}", file.string(),
        schema.empty() ? "it names no schema" : "its schema is \"" + schema.substr(0, 60) + "\""));
}

/// What is impossible, whoever wrote it.
std::string contradiction(const Series& series) {
    if (series.lab.empty() || series.metric.empty() || series.unit.empty() ||
        series.evidence.empty())
        return "lab, metric, unit or evidence is missing";
    if (series.count != 0 && series.min > series.max) return "min is above max";
    if (series.bins.count() > series.count)
        return "the histogram holds more samples than there were";
    for (const Stage& stage : series.stages)
        if (stage.bins.count() > series.count)
            return "stage " + stage.name + " holds more samples than there were";
    return {};
}

void check(const StoredRun& stored, const fs::path& file) {
    for (const Series& series : stored.run.series)
        if (std::string why = contradiction(series); !why.empty())
            throw UsageError(
                fmt::format("{} is damaged: series {}: {}", file.string(), series.name(), why));
    if (!stored.run.digest.empty() && stored.run.digest != digest(stored.run))
        throw UsageError(
            fmt::format("{} is damaged: its digest is not that of its series", file.string()));
}

void take_notes(StoredRun& stored) {
    const Run& run = stored.run;
    if (!run.failure.empty()) stored.notes.push_back("incomplete: " + run.failure);
    if (run.wire.any_missing())
        stored.notes.push_back(fmt::format("incomplete: records lost: {}, damaged: {}",
                                           run.wire.lost, run.wire.damaged));
    if (!run.complete && stored.notes.empty()) stored.notes.emplace_back("incomplete");
    for (const std::string& flag : run.flags) stored.notes.push_back(flag);
}

}  // namespace

std::string word_of(const Json& object, const char* name) {
    if (!object.is_object()) return {};
    auto found = object.find(name);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

double number_in(const Json& object, const char* name) {
    if (!object.is_object()) return 0;
    auto found = object.find(name);
    return found != object.end() && found->is_number() ? found->get<double>() : 0;
}

std::string read_file(const fs::path& file) {
    std::ifstream in(file, std::ios::binary);
    if (!in)
        throw std::runtime_error(fmt::format("cannot read {}: {}", file.string(), strerror(errno)));
    std::string text;
    std::error_code error;
    if (auto size = fs::file_size(file, error); !error) text.reserve(size);
    std::array<char, 65536> block;
    while (in.read(block.data(), block.size()) || in.gcount() > 0)
        text.append(block.data(), static_cast<size_t>(in.gcount()));
    if (in.bad()) throw std::runtime_error(fmt::format("cannot read {}", file.string()));
    return text;
}

StoredRun load_run(const fs::path& path) {
    std::error_code error;
    if (!fs::exists(path, error))
        throw UsageError(
            fmt::format("there is no run at {}; doorbell run makes one, results/latest is the last",
                        path.string()));
    std::optional<std::string> manifest;
    bool folder = fs::is_directory(path, error);
    fs::path file = folder ? path / "results.json" : path;
    if (folder) {
        bool has_manifest = fs::exists(path / "manifest.json", error),
             has_results = fs::exists(file, error);
        if (!has_manifest && !has_results)
            throw UsageError(fmt::format(
                "{} is not a run's folder: it has neither manifest.json nor results.json",
                path.string()));
        if (has_manifest) manifest = text_of_file(path / "manifest.json");
        if (!has_results) {
            Json known = parse_text(*manifest, path / "manifest.json");
            throw UsageError(fmt::format(
                "{} is half-written: there is no results.json, and its manifest says \"{}\"; {}",
                path.string(), word_of(known, "status"),
                is_going(path, known)
                    ? std::string("the run is still going")
                    : fmt::format(
                          "the run was killed; what arrived can be read: doorbell attach {}",
                          (path / "console.log").string())));
        }
    }
    StoredRun stored = run_from_texts(manifest, text_of_file(file), file);
    if (!folder) stored.folder = path.parent_path();
    fs::path real = fs::canonical(stored.folder.empty() ? fs::path(".") : stored.folder, error);
    stored.name = text_of_path((error ? stored.folder : real).filename());
    return stored;
}

StoredRun run_from_texts(const std::optional<std::string>& manifest, const std::string& results,
                         const fs::path& file) {
    StoredRun stored;
    stored.folder = file.parent_path();
    stored.name = text_of_path(stored.folder.filename());
    if (manifest) stored.manifest = parse_text(*manifest, stored.folder / "manifest.json");
    Json document = parse_text(results, file);
    check_schema(document, file);
    try {
        stored.run = Run::from(document);
    } catch (const std::exception& trouble) {
        throw UsageError(fmt::format("{} is damaged: {}", file.string(), trouble.what()));
    }
    check(stored, file);
    take_notes(stored);
    return stored;
}

std::vector<uint64_t> read_samples(const StoredRun& stored, const Series& series) {
    if (!series.raw.empty() || series.raw_file.empty()) return series.raw;
    fs::path inside = fs::path(series.raw_file).lexically_normal();
    if (inside.is_absolute() || *inside.begin() == "..")
        throw UsageError(
            fmt::format("{}: the samples of {} are said to be outside of the run's folder",
                        stored.folder.string(), series.name()));
    fs::path file = stored.folder / inside;
    std::string text;
    try {
        text = read_file(file);
    } catch (const std::exception& error) {
        throw UsageError(error.what());
    }
    std::vector<uint64_t> samples;
    samples.reserve(series.count);
    const char *at = text.data(), *end = at + text.size();
    while (at != end) {
        if (*at == '#') {
            at = std::find(at, end, '\n');
        } else if (*at != '\n') {
            uint64_t value = 0;
            auto [next, trouble] = std::from_chars(at, end, value);
            if (trouble != std::errc{} || (next != end && *next != '\n'))
                throw UsageError(fmt::format("{} is damaged: no number after {} samples",
                                             file.string(), samples.size()));
            samples.push_back(value);
            at = next;
        }
        if (at != end) ++at;
    }
    return samples;
}

double middle_of_bin(uint64_t lowest, uint64_t least, uint64_t most) {
    uint64_t highest = Shape::highest_of(Shape::bin_of(std::min(lowest, Shape::top_value)));
    double middle =
        (static_cast<double>(lowest) + static_cast<double>(std::max(lowest, highest))) / 2;
    return std::clamp(middle, static_cast<double>(least),
                      static_cast<double>(std::max(least, most)));
}

double sum_of(const Stage& stage) {
    if (stage.sum != 0) return static_cast<double>(stage.sum);
    double sum = 0;
    for (const auto& [value, count] : stage.bins.pairs())
        sum += middle_of_bin(value, 0, Shape::top_value) * static_cast<double>(count);
    return sum;
}

}  // namespace doorbell::harness
