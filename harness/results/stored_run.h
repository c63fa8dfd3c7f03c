// A run on disk: read, checked, never changed.
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "harness/data/run_data.h"

namespace doorbell::harness {

/// A run and what its folder holds about it.
struct StoredRun {
    std::filesystem::path folder;
    std::string name;  ///< the folder's real name, even where results/latest led to it
    Run run;
    Json manifest;                   ///< null where only results.json was named
    std::vector<std::string> notes;  ///< what a reader must know: incomplete, records lost
};

/// Reads a run's folder, or a results.json. Throws UsageError with one sentence: there is no such
/// file; it is not a run; it is half-written; it is damaged (broken JSON, counts that contradict
/// each other, a digest that does not fit); it is of another schema.
StoredRun load_run(const std::filesystem::path& path);

/// load_run() of the files' texts: `manifest` is nothing where there is no such file; `results` is
/// that of `file`, which errors name.
StoredRun run_from_texts(const std::optional<std::string>& manifest, const std::string& results,
                         const std::filesystem::path& file);

/// The samples of a series in the order of measuring, or nothing where the run was made without
/// --raw. Throws UsageError where the file is missing or damaged.
std::vector<uint64_t> read_samples(const StoredRun& stored, const Series& series);

/// A text member of an object, or "".
std::string word_of(const Json& object, const char* name);

/// A number member of an object, or 0.
double number_in(const Json& object, const char* name);

/// The text of a file. Throws std::runtime_error that names it.
std::string read_file(const std::filesystem::path& file);

/// The middle of the bin that begins at `lowest`, within least..most.
double middle_of_bin(uint64_t lowest, uint64_t least, uint64_t most);

/// The sum of a stage's values: as the image sent it, or from the bins.
double sum_of(const Stage& stage);

}  // namespace doorbell::harness
