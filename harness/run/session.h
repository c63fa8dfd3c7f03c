// One collection: from the bytes of a wire to a saved run and an exit status.
#pragma once
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "harness/run/collector.h"
#include "harness/run/progress.h"
#include "harness/run/run_folder.h"

namespace doorbell::harness {

/// What a collection leaves.
struct Finished {
    Run run;
    int signal = 0;                     ///< the signal that ended it, or 0
    std::filesystem::path folder;       ///< where it was saved; "" where it could not be
    std::vector<std::string> troubles;  ///< what could not be saved, in sentences
    std::vector<std::string> panic;     ///< the panic in lines, or nothing
    std::vector<CapturedRun>
        captured;         ///< what the wire held; one run unless expect_several() was called
    size_t chosen = 1;    ///< which of them this is, from 1
    bool strict = false;  ///< a refuted claim, or no claim that could be judged, is a failure

    /// Whether no claim could be judged: then --strict has nothing to check.
    bool nothing_judged() const;

    /// The exit status of the command, as failure.h lists them.
    int exit_status() const;
};

/// Takes a wire's bytes, keeps the console and builds the run; at the end it saves.
class Session {
  public:
    /// `manifest` is what is known before the start. It is written at once, so that even a killed
    /// run has one.
    Session(RunFolder folder, Json manifest, bool show_progress);

    /// Bytes of the machine's serial line.
    void wire(std::string_view bytes);
    /// Bytes that belong to the console but not to the wire (QEMU's own complaints).
    void aside(std::string_view bytes);
    const std::string& last_aside() const { return last_aside_; }

    Collector& collector() { return collector_; }
    Progress& progress() { return progress_; }
    /// "after record 12 (timer source=lapic wait=irq)", or "before the first record".
    std::string where() const;

    /// Members for results.json's machine object that the records do not have.
    void machine_is(const Json& members) { machine_ = members; }
    /// Called whenever a record was taken: the wire is alive.
    std::function<void()> on_record;
    /// Called with each record that was taken.
    std::vector<Collector::OnRecord> listeners;
    /// Adds to the run, at its end, what was measured outside of the machine.
    void add(Series series) { added_.series.push_back(std::move(series)); }
    void add(Tally tally) { added_.tallies.push_back(std::move(tally)); }
    void skip(CaseEnd end) { added_.skipped.push_back(std::move(end)); }
    void fail(CaseEnd end) { added_.failed.push_back(std::move(end)); }
    /// Called with the run, before it is saved.
    std::function<void(Run& run)> on_finish;

    /// Ends the collection. `failure`: what went wrong outside the records, "" for nothing.
    /// `image`: the ELF that knows the names of a panic's addresses, or "".
    Finished finish(const std::string& failure, int signal, const std::filesystem::path& image);

  private:
    void save_samples(Run& run, std::vector<std::string>& troubles);

    RunFolder folder_;
    Json manifest_;
    Json machine_ = Json::object();
    Progress progress_;
    Run added_;
    Collector collector_;
    std::string last_begun_;
    std::string last_aside_;
    bool console_cut_ = false;
};

/// A manifest's description of this host: uname, CPU, processors.
Json describe_host();

}  // namespace doorbell::harness
