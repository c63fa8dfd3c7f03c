#include "harness/results/verdict.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "harness/results/figures.h"

namespace doorbell::harness {

Contest contest_of(const Run& run) {
    // The card's packets answer the question best, then the local APIC's timer, then whatever has
    // both.
    auto rank = [](const Series& series) {
        return series.lab == "nic"                                              ? 0
               : series.lab == "timer" && series.test_case["source"] == "lapic" ? 1
               : series.lab == "timer"                                          ? 2
                                                                                : 3;
    };
    auto rest = [](const Series& series) {
        std::string text = series.lab + series.metric + series.unit;
        for (const auto& [key, value] : series.test_case.pairs())
            if (key != "wait") text += " " + key + "=" + value;
        return text;
    };
    Contest best;
    for (const Series& irq : run.series) {
        if (irq.test_case["wait"] != "irq" || irq.metric != "latency" || !irq.whole()) continue;
        for (const Series& poll : run.series) {
            if (!poll.test_case["wait"].starts_with("poll") || !poll.whole() ||
                rest(poll) != rest(irq))
                continue;
            bool finer =
                best.poll != nullptr && best.irq == &irq && poll.test_case["wait"] == "poll-tsc";
            if (best.irq == nullptr || rank(irq) < rank(*best.irq) || finer) best = {&poll, &irq};
        }
    }
    return best;
}

std::string verdict(const Run& run) {
    Contest contest = contest_of(run);
    if (contest.irq == nullptr) return {};
    const Series &poll = *contest.poll, &irq = *contest.irq;
    double asked = static_cast<double>(*poll.percentile(50000)),
           told = static_cast<double>(*irq.percentile(50000));
    double step = std::max({resolution_of(run, irq), bin_width(asked), bin_width(told)});
    std::string event = irq.lab == "nic"     ? "a packet"
                        : irq.lab == "timer" ? "a timer's deadline"
                                             : "the event of lab " + irq.lab;
    std::string conclusion =
        std::abs(asked - told) < step ? "no difference that this clock shows"
        : asked < told
            ? fmt::format("asking knows {} {} sooner", figure(told - asked, step), irq.unit)
            : fmt::format("being told knows {} {} sooner", figure(asked - told, step), irq.unit);
    std::string keys;
    for (const auto& [key, value] : irq.test_case.pairs())
        if (key != "wait") keys += " " + key + "=" + value;
    std::string samples =
        poll.count == irq.count
            ? figure(static_cast<double>(irq.count)) + " samples each"
            : fmt::format("{} and {} samples", figure(static_cast<double>(poll.count)),
                          figure(static_cast<double>(irq.count)));
    return fmt::format(
        "Asking ({}), a program knew of {} after {} {}; told by an interrupt, after {} {}: {} "
        "(medians, {}, {}; lab {}{}).",
        poll.test_case["wait"], event, figure(asked, step), irq.unit, figure(told, step), irq.unit,
        conclusion, irq.evidence, samples, irq.lab, keys);
}

std::string verdict_caveat(const Run& run) {
    Contest contest = contest_of(run);
    if (contest.irq == nullptr) return {};
    std::string caveat =
        contest.irq->evidence + ": " + meaning_of_evidence(contest.irq->evidence) + ".";
    if (contest.irq->evidence == "exact")
        caveat +=
            " Taking an interrupt counts as one instruction: this is the length of the path, not "
            "the interrupt's price.";
    return caveat;
}

}  // namespace doorbell::harness
