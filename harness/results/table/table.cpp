#include "harness/results/table/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "harness/data/case_list.h"
#include "harness/results/figures.h"
#include "harness/results/predict/predict_text.h"
#include "harness/results/predict/predicted_verdict.h"
#include "harness/results/stored_run.h"
#include "harness/results/verdict.h"
#include "harness/text/number.h"
#include "labs/catalogue.h"

namespace doorbell::harness {
namespace {

/// Cases that share a sentence share a line.
class Sharing {
  public:
    void add(const std::string& sentence, const CaseKeys& test_case,
             const std::string& metric = {}) {
        auto at = std::find_if(all_.begin(), all_.end(),
                               [&](const One& one) { return one.sentence == sentence; });
        if (at == all_.end()) at = all_.insert(all_.end(), {sentence, {}, {}});
        at->cases.push_back(test_case);
        if (!metric.empty() &&
            std::find(at->metrics.begin(), at->metrics.end(), metric) == at->metrics.end())
            at->metrics.push_back(metric);
    }
    std::string text(const char* first) const {
        std::string text;
        for (const One& one : all_) {
            std::string whose = folded_text(one.cases);
            for (const std::string& metric : one.metrics)
                whose += (whose.empty() ? "" : ", ") + metric;
            text += wrapped(first, whose + (whose.empty() ? "" : ": ") + one.sentence);
        }
        return text;
    }

  private:
    struct One {
        std::string sentence;
        std::vector<CaseKeys> cases;
        std::vector<std::string> metrics;
    };
    std::vector<One> all_;
};

void add_lab(std::string& text, const Run& run, const std::string& lab,
             const Predictions* predictions) {
    const labs::Lab* known = labs::find(lab);
    text += "\n" + wrapped(lab + (known == nullptr ? "" : ": "),
                           known == nullptr ? "" : known->question.text());
    std::vector<const Series*> all;
    Sharing flags, failures, reasons;
    for (const Series& series : run.series) {
        if (series.lab != lab) continue;
        all.push_back(&series);
        for (const std::string& flag : series.flags)
            flags.add(flag, series.test_case, series.metric);
    }
    for (const CaseEnd& fail : run.failed)
        if (fail.lab == lab) failures.add(fail.reason, fail.test_case);
    for (const CaseEnd& skip : run.skipped)
        if (skip.lab == lab) reasons.add(skip.reason, skip.test_case);
    text += series_table(all) + counters_table(run, lab);
    for (const Tally& tally : run.tallies) {
        if (tally.lab != lab) continue;
        std::string counts;
        for (const auto& [name, count] : tally.values)
            if (count != 0)
                counts += fmt::format("{}{} {}", counts.empty() ? "" : ", ", name, grouped(count));
        text += wrapped("  " + tally.name + ": ",
                        tally.test_case.text() + ": " + (counts.empty() ? "none" : counts));
    }
    text += flags.text("  * ");
    for (const Claim& claim : run.claims) {
        if (claim.lab != lab) continue;
        const char* verdict = !claim.holds   ? "  cannot say: "
                              : *claim.holds ? "  holds: "
                                             : "  REFUTED: ";
        text += wrapped(
            verdict, claim.because.empty() ? claim.text : claim.text + " (" + claim.because + ")");
        const ClaimPrediction* p = predictions == nullptr ? nullptr : predictions->find(claim);
        if (p != nullptr) text += wrapped("    ", claim_prediction_text(*p, predictions->profile));
    }
    text += failures.text("  FAILED: ") + reasons.text("  skipped: ");
}

std::string evidence_words(const Run& run) {
    std::vector<std::string> said;
    for (const Series& series : run.series)
        if (std::find(said.begin(), said.end(), series.evidence) == said.end())
            said.push_back(series.evidence);
    // Counters may have other evidence than the times.
    for (const Series& series : run.series)
        for (const Counter& counter : series.counters)
            if (std::find(said.begin(), said.end(), counter.evidence) == said.end())
                said.push_back(counter.evidence);
    std::string text;
    for (const std::string& evidence : said) {
        if (std::string meaning = meaning_of_evidence(evidence); !meaning.empty())
            text += wrapped("evidence ", evidence + ": " + meaning);
    }
    return text;
}

}  // namespace

std::string table(const Run& run, const Predictions* predictions) {
    std::string text, machine = word_of(run.machine, "type");
    auto add = [&](const std::string& word) {
        if (!word.empty()) machine += (machine.empty() ? "" : ", ") + word;
    };
    add(word_of(run.machine, "accel"));
    if (std::string clock = word_of(run.machine, "clock"); !clock.empty()) add(clock + " clock");
    if (std::string version = word_of(run.machine, "qemu_version"); !version.empty())
        add("QEMU " + version);
    add(word_of(run.machine, "cpu"));
    if (!machine.empty()) text += wrapped("machine: ", machine);
    if (std::string verdict = word_of(run.instrument, "verdict"); !verdict.empty()) {
        std::string because = word_of(run.instrument, "because");
        text +=
            wrapped("instrument: ", because.empty() ? verdict : verdict + ", because " + because);
    }
    if (std::string because = word_of(run.instrument, "counters_because"); !because.empty())
        text += wrapped("counters: ", word_of(run.instrument, "counters") + ", " + because);
    for (const std::string& flag : run.flags) text += wrapped("flag: ", flag);

    std::vector<std::string> labs;
    auto see = [&](const std::string& lab) {
        if (std::find(labs.begin(), labs.end(), lab) == labs.end()) labs.push_back(lab);
    };
    for (const Series& series : run.series) see(series.lab);
    for (const Claim& claim : run.claims) see(claim.lab);
    for (const auto* ends : {&run.failed, &run.skipped})
        for (const CaseEnd& end : *ends) see(end.lab);
    for (const std::string& lab : labs) add_lab(text, run, lab, predictions);
    if (labs.empty()) text += "\nno series arrived\n";

    text += "\n";
    if (std::string answer = verdict(run); !answer.empty())
        text += wrapped("answer: ", answer + " " + verdict_caveat(run));
    if (predictions != nullptr)
        if (std::string answer = predicted_verdict(run, *predictions); !answer.empty())
            text += wrapped("predicted: ", answer);
    text += evidence_words(run);
    if (!run.failed.empty())
        text += fmt::format("FAILED: {} case{}, named above\n", run.failed.size(),
                            run.failed.size() == 1 ? "" : "s");
    if (!run.failure.empty()) text += wrapped("INCOMPLETE: ", run.failure);
    if (run.wire.any_missing()) {
        text += wrapped(
            "INCOMPLETE: ",
            fmt::format(
                "records lost: {}, damaged: {}; the numbers above are right, others are missing",
                run.wire.lost, run.wire.damaged));
        for (const std::string& note : run.wire.notes) text += wrapped("  ", note);
    } else if (run.wire.repeated != 0) {
        text += wrapped("note: ", fmt::format("records that came twice and were counted once: {}",
                                              run.wire.repeated));
    }
    if (!run.digest.empty())
        text += (run.complete ? "digest: " : "digest of what arrived: ") + run.digest + "\n";
    return text;
}

}  // namespace doorbell::harness
