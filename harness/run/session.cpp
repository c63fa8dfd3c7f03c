#include "harness/run/session.h"

#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <thread>

#include "firmware/wire/words.h"
#include "harness/run/symbolize.h"
#include "harness/system/failure.h"
#include "harness/system/file.h"
#include "harness/system/version.h"

namespace doorbell::harness {

namespace fs = std::filesystem;

namespace {

/// Lines for people beyond this are not kept: a machine that prints without end must not fill the
/// disk.
constexpr uint64_t most_console_words = 64ull << 20;

}  // namespace

int Finished::exit_status() const {
    if (signal != 0) return 128 + signal;
    if (!run.failure.empty()) return static_cast<int>(Status::machine_failed);
    if (run.wire.any_missing()) return static_cast<int>(Status::records_lost);
    if (!troubles.empty()) return static_cast<int>(Status::machine_failed);
    if (!run.failed.empty()) return static_cast<int>(Status::refuted);
    if (strict &&
        (nothing_judged() || std::any_of(run.claims.begin(), run.claims.end(),
                                         [](const Claim& claim) { return claim.holds == false; })))
        return static_cast<int>(Status::refuted);
    return static_cast<int>(Status::done);
}

bool Finished::nothing_judged() const {
    return std::none_of(run.claims.begin(), run.claims.end(),
                        [](const Claim& claim) { return claim.holds.has_value(); });
}

Session::Session(RunFolder folder, Json manifest, bool show_progress)
    : folder_(std::move(folder)),
      manifest_(std::move(manifest)),
      progress_(show_progress),
      collector_([this](const std::string& kind, const Json& record) {
          if (kind == wire::kind::begin) {
              auto lab = record.find("lab"), test_case = record.find("case");
              last_begun_ = lab != record.end() && lab->is_string() ? lab->get<std::string>() : "";
              if (test_case != record.end()) last_begun_ += " " + CaseKeys::from(*test_case).text();
          }
          progress_.record(kind, record);
          for (const auto& listener : listeners) listener(kind, record);
          if (on_record) on_record();
      }) {
    manifest_["status"] = "running";
    manifest_.update(folder_.identity());
    if (std::string trouble = folder_.write("manifest.json", json_document(manifest_));
        !trouble.empty())
        throw MachineError(trouble + "; nothing was started");
}

void Session::wire(std::string_view bytes) {
    if (!console_cut_) folder_.console(bytes);
    collector_.feed(bytes);
    if (!console_cut_ && collector_.bytes_of_words() > most_console_words) {
        console_cut_ = true;
        folder_.console("\n[console.log ends here: too many lines that are not records]\n");
    }
}

void Session::aside(std::string_view bytes) {
    if (!console_cut_) folder_.console(bytes);
    std::string_view rest = bytes;
    while (!rest.empty()) {
        size_t newline = rest.find('\n');
        if (newline != 0) last_aside_ = rest.substr(0, newline);
        rest = newline == rest.npos ? std::string_view{} : rest.substr(newline + 1);
    }
}

std::string Session::where() const {
    uint64_t records = collector_.records();
    if (records == 0) return "before the first record";
    std::string text = fmt::format("after {} record{}", records, records == 1 ? "" : "s");
    return last_begun_.empty() ? text : text + " (in " + last_begun_ + ")";
}

void Session::save_samples(Run& run, std::vector<std::string>& troubles) {
    size_t number = 0;
    for (Series& series : run.series) {
        ++number;
        if (series.raw.empty()) continue;
        std::string content = fmt::format("# {}, {}, one sample a line in the order of measuring\n",
                                          series.name(), series.unit);
        for (uint64_t value : series.raw) content += std::to_string(value) + "\n";
        std::string name =
            fmt::format("samples/{:04}-{}-{}.txt", number, series.lab, series.metric);
        // The names come from the wire.
        for (size_t i = 8; i < name.size(); ++i)
            if (!isalnum(static_cast<unsigned char>(name[i])) && name[i] != '.' && name[i] != '_')
                name[i] = '-';
        std::string trouble = folder_.write(name, content);
        if (trouble.empty())
            series.raw_file = name;
        else
            troubles.push_back(trouble);
    }
}

Finished Session::finish(const std::string& failure, int signal, const fs::path& image) {
    Finished finished;
    finished.signal = signal;
    finished.run = collector_.finish(failure);
    finished.captured = collector_.captured();
    finished.chosen = collector_.chosen();
    Run& run = finished.run;
    run.series.insert(run.series.end(), added_.series.begin(), added_.series.end());
    run.tallies.insert(run.tallies.end(), added_.tallies.begin(), added_.tallies.end());
    run.skipped.insert(run.skipped.end(), added_.skipped.begin(), added_.skipped.end());
    run.failed.insert(run.failed.end(), added_.failed.begin(), added_.failed.end());
    // Both ends may report the same case: a failure takes the place of a skip.
    std::erase_if(run.skipped, [&](const CaseEnd& skip) {
        return std::any_of(run.failed.begin(), run.failed.end(), [&](const CaseEnd& fail) {
            return fail.lab == skip.lab && fail.test_case == skip.test_case;
        });
    });
    for (const auto& [name, value] : machine_.items()) run.machine[name] = value;
    if (auto clock = run.instrument.find("clock");
        clock != run.instrument.end() && !run.machine.contains("clock"))
        run.machine["clock"] = *clock;
    if (!run.panic.is_null()) finished.panic = describe_panic(run.panic, image);
    progress_.clear();
    if (on_finish) on_finish(run);

    save_samples(run, finished.troubles);
    finished.folder = folder_.path();
    std::string results = json_document(run.json());
    if (std::string trouble = folder_.write("results.json", results); !trouble.empty()) {
        std::error_code none;
        fs::path elsewhere = fs::temp_directory_path(none);
        if (none) elsewhere = "/tmp";
        elsewhere /= fmt::format("doorbell-{}-{}.json", time_stamp(), getpid());
        std::string second = write_whole(elsewhere, results);
        finished.troubles.push_back(second.empty()
                                        ? trouble + "; the results are in " + elsewhere.string()
                                        : trouble + "; nor elsewhere: " + second);
        finished.folder.clear();
    }
    manifest_["status"] = signal != 0           ? fmt::format("ended by signal {}", signal)
                          : run.complete        ? "complete"
                          : run.failure.empty() ? "records lost"
                                                : "failed";
    if (!run.failure.empty()) manifest_["failure"] = run.failure;
    if (finished.captured.size() > 1)
        manifest_["captured"] = {{"runs", finished.captured.size()}, {"which", finished.chosen}};
    manifest_["exit_status"] = finished.exit_status();
    if (!run.digest.empty()) manifest_["digest"] = run.digest;
    if (auto cpu = run.machine.find("cpu"); cpu != run.machine.end()) manifest_["cpu"] = *cpu;
    if (auto id = run.machine.find("image"); id != run.machine.end())
        manifest_["image_build"] = *id;
    std::string manifest = json_document(manifest_);
    if (std::string trouble = folder_.write("manifest.json", manifest); !trouble.empty())
        finished.troubles.push_back(trouble);
    if (!folder_.console_trouble().empty()) finished.troubles.push_back(folder_.console_trouble());
    if (std::string trouble = folder_.point_latest(); !trouble.empty())
        finished.troubles.push_back(trouble);
    return finished;
}

Json describe_host() {
    utsname name{};
    uname(&name);
    std::string cpu;
    std::ifstream in("/proc/cpuinfo");
    for (std::string line; cpu.empty() && std::getline(in, line);)
        if (line.starts_with("model name") && line.find(": ") != line.npos)
            cpu = line.substr(line.find(": ") + 2);
    return {{"system", name.sysname},
            {"release", name.release},
            {"build", name.version},
            {"machine", name.machine},
            {"cpu", cpu},
            {"processors", std::thread::hardware_concurrency()}};
}

}  // namespace doorbell::harness
