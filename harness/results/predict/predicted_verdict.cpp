#include "harness/results/predict/predicted_verdict.h"

#include <fmt/ranges.h>

#include <cmath>

#include "harness/results/predict/predict_text.h"
#include "harness/results/verdict.h"

namespace doorbell::harness {
namespace {

std::string why_unknown(const SeriesPrediction* p) {
    if (p == nullptr) return "nothing was counted";
    if (!p->why_not.empty()) return p->why_not;
    if (p->costs.known()) return "no frequency of the core is known";
    return fmt::format("the profile has no price {}", fmt::join(p->costs.missing(), ", "));
}

std::string event_of(const SeriesPrediction& p) {
    return p.lab == "nic" ? "a packet" : p.lab == "timer" ? "a timer's deadline" : "the event";
}

}  // namespace

PredictedContest predicted_contest(const Run& run, const Predictions& predictions) {
    Contest contest = contest_of(run);
    PredictedContest p;
    if (contest.irq == nullptr) return p;
    p.poll = predictions.find(*contest.poll);
    p.irq = predictions.find(*contest.irq);
    for (const auto& [name, one] : {std::pair{"polling", p.poll}, {"the interrupt", p.irq}})
        if ((one == nullptr || !one->known() || !one->costs.ns.known()) && p.why_not.empty())
            p.why_not = fmt::format("{}: {}", name, why_unknown(one));
    return p;
}

std::string predicted_verdict(const Run& run, const Predictions& predictions) {
    PredictedContest p = predicted_contest(run, predictions);
    if (p.irq == nullptr && p.poll == nullptr && p.why_not.empty()) return {};
    if (!p.why_not.empty())
        return fmt::format("On profile {} nothing is predicted: {}.", predictions.profile,
                           p.why_not);
    const Estimate &poll = p.poll->costs.ns.all, &irq = p.irq->costs.ns.all;
    bool overlap = poll.low <= irq.high && irq.low <= poll.high;
    std::string keys;
    for (const auto& [key, value] : p.irq->test_case.pairs())
        if (key != "wait") keys += " " + key + "=" + value;
    return fmt::format(
        "On profile {}, polling ({}) is predicted to notice {} after {}, the interrupt handler "
        "after {}: {} (medians; evidence predicted: exact counts times {} prices; lab {}{}).",
        predictions.profile, p.poll->test_case["wait"], event_of(*p.irq), estimate_text(poll, "ns"),
        estimate_text(irq, "ns"),
        overlap ? "open, the intervals overlap"
                : fmt::format("{} is {} ns sooner",
                              poll.value < irq.value ? "polling" : "the interrupt",
                              three_digits(std::abs(poll.value - irq.value))),
        predictions.profile_evidence, p.irq->lab, keys);
}

}  // namespace doorbell::harness
