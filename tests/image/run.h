// Runs commands and reads runs, for tests that boot the image.
#pragma once
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>
#include <string>

#include "tests/scratch.h"

namespace doorbell::test {

using Json = nlohmann::json;

/// Words for `doorbell run`: a QEMU whose command line ends in `more`, behind what the command puts
/// there. Of two options that exclude each other, the last one counts.
inline std::string qemu_with(const Scratch& scratch, const std::string& more) {
    fs::path script =
        scratch.write("qemu", "#!/bin/sh\nexec qemu-system-x86_64 \"$@\" " + more + "\n");
    fs::permissions(script, fs::perms::owner_all);
    return " --qemu " + script.string();
}

/// `doorbell run ARGUMENTS --out run` in `scratch`, without the cache model unless ARGUMENTS name
/// one: it takes time, and changes no series' value.
inline Outcome doorbell_run(const Scratch& scratch, const std::string& arguments) {
    fs::remove_all(scratch / "run");
    const char* model = arguments.find("--model") == arguments.npos ? " --model off" : "";
    return shell(scratch, DOORBELL_COMMAND " run " + arguments + model + " --out run");
}

/// results.json of the run in `scratch`/run; null where there is none.
inline Json results(const Scratch& scratch) {
    return Json::parse(content(scratch / "run/results.json"), nullptr, false);
}

/// The results of a run in `scratch`/run that has to end with status 0. Throws, which fails the
/// test, what the run said where it did not.
inline Json results_of(const Scratch& scratch, const Outcome& run) {
    if (run.status != 0)
        throw std::runtime_error("exit status " + std::to_string(run.status) + "; it said:\n" +
                                 run.out + run.err);
    return results(scratch);
}

/// The series of that lab, case and metric; null where there is none.
inline Json series(const Json& results, const std::string& lab, const Json& test_case,
                   const std::string& metric) {
    for (const Json& s : results.at("series"))
        if (s.at("lab") == lab && s.at("case") == test_case && s.at("metric") == metric) return s;
    return nullptr;
}

/// The claim of that id; null where there is none.
inline Json claim(const Json& results, const std::string& id) {
    for (const Json& c : results.at("claims"))
        if (c.at("id") == id) return c;
    return nullptr;
}

/// Whether the run flags the series as different from run to run; the digest leaves it out.
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
