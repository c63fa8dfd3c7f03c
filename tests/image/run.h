// Runs commands and reads runs, for tests that boot the image.
#pragma once
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

namespace doorbell::test {

namespace fs = std::filesystem;
using Json = nlohmann::json;

/// A folder of its own for one test, removed afterwards.
class Scratch {
  public:
    Scratch() {
        std::string pattern = (fs::temp_directory_path() / "doorbell-XXXXXX").string();
        folder_ = mkdtemp(pattern.data());
    }
    ~Scratch() {
        std::error_code ignored;
        fs::remove_all(folder_, ignored);
    }
    Scratch(const Scratch&) = delete;
    fs::path operator/(const std::string& name) const { return folder_ / name; }

  private:
    fs::path folder_;
};

inline std::string content(const fs::path& file) {
    std::ifstream in(file, std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

struct Outcome {
    int status = -1;  ///< exit status, or 128 + signal
    std::string out, err;
};

/// Runs a shell line in `scratch`, to its end.
inline Outcome shell(const Scratch& scratch, const std::string& line) {
    std::string all = "cd " + (scratch / "").string() + " && { " + line +
                      "; } >stdout.txt 2>stderr.txt </dev/null";
    int status = std::system(all.c_str());
    Outcome outcome;
    outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    outcome.out = content(scratch / "stdout.txt");
    outcome.err = content(scratch / "stderr.txt");
    return outcome;
}

/// The option that names a QEMU with more on its command line than `doorbell run` puts there; of
/// two that exclude each other the last counts.
inline std::string qemu_with(const Scratch& scratch, const std::string& more) {
    fs::path script = scratch / "qemu";
    std::ofstream(script) << "#!/bin/sh\nexec qemu-system-x86_64 \"$@\" " << more << "\n";
    fs::permissions(script, fs::perms::owner_all);
    return " --qemu " + script.string();
}

/// `doorbell run ARGUMENTS --out run` in `scratch`.
inline Outcome doorbell_run(const Scratch& scratch, const std::string& arguments) {
    fs::remove_all(scratch / "run");
    return shell(scratch, DOORBELL_COMMAND " run " + arguments + " --out run");
}

/// results.json of the run in `scratch`/run; null where there is none.
inline Json results(const Scratch& scratch) {
    return Json::parse(content(scratch / "run/results.json"), nullptr, false);
}

/// The series of that lab, case and metric; null where there is none.
inline Json series(const Json& results, const std::string& lab, const Json& test_case,
                   const std::string& metric) {
    for (const Json& s : results.at("series"))
        if (s.at("lab") == lab && s.at("case") == test_case && s.at("metric") == metric) return s;
    return nullptr;
}

/// Whether the run itself says that the series differs from run to run: it is no part of the
/// digest.
inline bool unstable(const Json& series) {
    for (const Json& flag : series.at("flags"))
        if (flag.get<std::string>().starts_with("unstable")) return true;
    return false;
}

/// Why that case was skipped; "" where it was not. `ended`: or "failed".
inline std::string reason_of(const Json& results, const std::string& lab, const Json& test_case,
                             const char* ended = "skipped") {
    for (const Json& s : results.at(ended))
        if (s.at("lab") == lab && s.at("case") == test_case) return s.at("reason");
    return "";
}

}  // namespace doorbell::test
