#include "harness/results/report/quiz.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <iterator>

#include "harness/results/figures.h"
#include "harness/results/report/charts.h"
#include "harness/system/failure.h"

namespace doorbell::harness {
namespace {

/// The first series of `lab` and `metric` whose case has all of `words` ("gate=syscall
/// space=same").
const Series* find(const Run& run, std::string_view lab, std::string_view words,
                   std::string_view metric) {
    CaseKeys wanted = CaseKeys::from_text(words);
    for (const Series& series : run.series) {
        bool fits = series.lab == lab && series.metric == metric && series.count != 0;
        for (const auto& [key, value] : wanted.pairs())
            fits = fits && series.test_case[key] == value;
        if (fits) return &series;
    }
    return nullptr;
}

/// "syscall gate=call: 5 insn (exact)", the median.
std::string said(const Run& run, const Series& series) {
    double resolution = resolution_of(run, series);
    // For things that are counted once a sample, the total.
    if (series.shape == wire::Shape::total)
        return fmt::format("{} {}: {} in {} trials ({})", series.lab, series.test_case.text(),
                           figure(static_cast<double>(series.sum)) + " " + series.metric,
                           figure(static_cast<double>(series.count)), series.evidence);
    std::string value = series.whole() ? percentile_figure(series, 50000, resolution)
                                       : figure(series.mean(), resolution);
    return fmt::format(
        "{} {} {} {} ({})",
        series.lab + (series.test_case.text().empty() ? "" : " " + series.test_case.text()),
        series.metric, value, series.unit, series.evidence);
}

std::string said(const Run& run, std::initializer_list<const Series*> some) {
    std::string text;
    for (const Series* series : some)
        if (series != nullptr) text += (text.empty() ? "" : "; ") + said(run, *series);
    return text;
}

/// The series with the least and the greatest value of a numeric key: the two ends of a curve.
std::string ends(const Run& run, std::string_view lab, std::string_view metric,
                 std::string_view words = {}) {
    CaseKeys wanted = CaseKeys::from_text(words);
    const Series *least = nullptr, *most = nullptr;
    double low = 0, high = 0;
    for (const Series& series : run.series) {
        if (series.lab != lab || series.metric != metric || series.count == 0) continue;
        bool fits = true;
        for (const auto& [key, value] : wanted.pairs())
            fits = fits && series.test_case[key] == value;
        for (const auto& [key, value] : series.test_case.pairs()) {
            auto number = number_of_word(value);
            if (!fits || !number) continue;
            if (least == nullptr || *number < low) least = &series, low = *number;
            if (most == nullptr || *number > high) most = &series, high = *number;
            break;
        }
    }
    return least == most ? said(run, {least}) : said(run, {least, most});
}

/// The greatest median among the series of a lab and metric.
const Series* greatest(const Run& run, std::string_view lab, std::string_view metric) {
    const Series* most = nullptr;
    for (const Series& series : run.series)
        if (series.lab == lab && series.metric == metric && series.whole() &&
            (most == nullptr || *series.percentile(50000) > *most->percentile(50000)))
            most = &series;
    return most;
}

std::string of_crossing(const Run& run) {
    const Series* cross = find(run, "syscall", "gate=syscall", "cost");
    return cross == nullptr ? std::string()
                            : said(run, {find(run, "syscall", "gate=call", "cost"), cross});
}

std::string of_ring(const Run& run) {
    std::string text = said(run, {find(run, "anatomy", "ring=3", "latency"),
                                  find(run, "anatomy", "ring=0", "latency")});
    return text.empty() ? of_crossing(run) : text;
}

std::string of_addition(const Run& run) {
    const Series* call = find(run, "syscall", "gate=call", "cost");
    return call == nullptr ? said(run, {find(run, "clock", "clock=rdtsc", "cost")})
                           : said(run, {call, find(run, "syscall", "gate=syscall", "cost")});
}

std::string of_card(const Run& run) {
    const Series* irq = find(run, "nic", "wait=irq", "latency");
    if (irq != nullptr) return said(run, {irq, find(run, "nic", "wait=poll", "latency")});
    return said(run, {find(run, "timer", "source=lapic wait=irq", "latency"),
                      find(run, "timer", "source=lapic wait=irq", "round-trip")});
}

std::string of_batch(const Run& run) { return ends(run, "batch", "cost"); }
std::string of_switch(const Run& run) {
    return said(run, {find(run, "switch", "state=registers", "cost"),
                      find(run, "switch", "state=full", "cost")});
}

/// Cache and TLB misses of a sample, all levels together; nothing where they were not counted.
std::optional<double> misses_of(const Series* series) {
    std::optional<double> misses;
    for (const Counter& c : series == nullptr ? std::vector<Counter>{} : series->counters)
        if (c.stage.empty() && c.samples != 0 && c.name.ends_with("_misses"))
            misses = misses.value_or(0) + c.value.get<double>() / static_cast<double>(c.samples);
    return misses;
}

/// The walk that misses most after a switch, beside the same walk before it; "" where no counter
/// recorded one.
std::string refilled(const Run& run) {
    const Series* most = nullptr;
    double before = 0, after = 0;
    for (const Series& series : run.series) {
        if (series.lab != "switch" || series.metric != "walk-after-switch") continue;
        auto warm = misses_of(find(run, "switch", series.test_case.text(), "walk")),
             cold = misses_of(&series);
        if (!warm || !cold || *cold - *warm <= after - before) continue;
        most = &series;
        before = *warm;
        after = *cold;
    }
    if (most == nullptr) return {};
    std::string_view evidence;
    for (const Counter& c : most->counters)
        if (c.name.ends_with("_misses")) evidence = c.evidence;
    return fmt::format(
        "switch {}: {} cache and TLB misses in a walk, {} in the one after a switch "
        "({})",
        most->test_case.text(), figure(before), figure(after), evidence);
}

std::string of_refill(const Run& run) {
    const Series* most = greatest(run, "switch", "refill");
    std::string misses = refilled(run);
    // A cold walk has as many instructions as a warm one.
    if (most != nullptr && most->evidence == "exact")
        return misses.empty() ? "this clock counts instructions, not misses; doorbell run switch "
                                "--model on counts them"
                              : misses;
    std::string ticks = said(run, {most});
    return misses.empty() || ticks.empty() ? misses + ticks : ticks + "; " + misses;
}

std::string of_signal(const Run& run) {
    std::string text = said(run, {find(run, "signals", "signal=SIGTERM handler=stop", "committed"),
                                  find(run, "signals", "signal=SIGTERM handler=stop", "torn"),
                                  find(run, "signals", "signal=SIGTERM handler=none", "torn"),
                                  find(run, "signals", "signal=SIGTERM handler=none", "lost")});
    return text.empty() ? said(run, {find(run, "signals", "signal=SIGTERM", "latency")}) : text;
}

std::string of_kill(const Run& run) {
    std::string text = said(run, {find(run, "signals", "signal=SIGKILL", "torn"),
                                  find(run, "signals", "signal=SIGKILL", "lost"),
                                  find(run, "signals", "signal=SIGKILL", "latency")});
    return text.empty() ? of_signal(run) : text;
}

std::string of_thrash(const Run& run) {
    for (const Series& series : run.series)
        if (series.lab == "thrash")
            if (std::string text = ends(run, "thrash", series.metric); !text.empty()) return text;
    return ends(run, "switch", "refill");
}

constexpr Question all[] = {
    {"A text editor is running. Where does the processor execute its instructions?",
     {"In ring 0, like the kernel, but with a lower priority",
      "In ring 3, where privileged instructions fault", "In whichever ring is free",
      "In the kernel, on the editor's behalf"},
     'b',
     "User space is ring 3. An interrupt that arrives there also has to change the stack and the "
     "ring, which one in the kernel does not.",
     "anatomy",
     of_ring},
    {"A program stores 1,000 records with 1,000 system calls, another stores the same 1,000 with "
     "one. Why is the first slower?",
     {"The kernel sorts each record", "The records are copied 1,000 times as often",
      "It pays the way across the border 1,000 times", "System calls wait for the next timer tick"},
     'c',
     "The crossing costs the same for one record and for a thousand; batching shares it out.",
     "batch",
     of_batch},
    {"Right after a task switch the new task is slow for a while. What is cold?",
     {"Its part of the caches and of the TLB, which the other task has used meanwhile",
      "Its registers, which are loaded one at a time when used",
      "The processor's clock, which was lowered", "Its code, which is read from disk again"},
     'a',
     "The switch itself is short. The hidden part is refilling caches and TLB, and it grows with "
     "what the task touches.",
     "switch",
     of_refill},
    {"A packet arrives and no program asks for it. How does the network card get attention?",
     {"The kernel looks at all cards between any two instructions",
      "It stops the clock until somebody reads it", "It writes into the program's variables",
      "It raises an interrupt, and the processor leaves what it was doing for the handler"},
     'd',
     "An interrupt is the doorbell. Polling is the other way: going to the door again and again.",
     "nic",
     of_card},
    {"Which of these instructions takes a program from user space into the kernel?",
     {"CALL", "SYSCALL", "JMP", "PUSH"},
     'b',
     "SYSCALL changes the ring and goes to the one address that the kernel chose. CALL, JMP and "
     "PUSH stay in the ring.",
     "syscall",
     of_crossing},
    {"Which signal can a program neither catch nor ignore?",
     {"SIGTERM", "SIGINT", "SIGKILL", "SIGHUP"},
     'c',
     "SIGKILL (and SIGSTOP) never reach the program's own code, so it has no chance to finish a "
     "thing.",
     "signals",
     of_kill},
    {"Why is it worth catching SIGTERM?",
     {"To finish or undo what is half done before ending", "To stay alive for ever",
      "Because an uncaught SIGTERM stops the machine", "It makes the other signals faster"},
     'a',
     "SIGTERM is a request. A handler can commit the batch at hand; without one it is torn or "
     "lost.",
     "signals",
     of_signal},
    {"A server starts 5,000 threads on 4 cores, all with work to do. What happens?",
     {"5,000 things happen at the same time", "The work is done 1,250 times faster than by 4",
      "Four run at a time; the others wait, and past a point switching and refilling eat the time "
      "for work",
      "The kernel refuses all but 4"},
     'c',
     "More tasks than cores add no speed; when what they touch no longer fits the caches, the "
     "machine thrashes.",
     "thrash",
     of_thrash},
    {"A task is paused. Where are the values of its registers?",
     {"They stay in the processor until it runs again",
      "In memory of the kernel that belongs to this task", "In a file",
      "Nowhere: it starts afresh"},
     'b',
     "The switch stores them to the task's own kernel memory and loads the next task's. Vector "
     "registers make it longer.",
     "switch",
     of_switch},
    {"Does a program need a system call to add two numbers?",
     {"No: ADD is an ordinary instruction, the same in every ring",
      "Yes: only the kernel may use the processor's adder", "Only where the numbers are large",
      "Yes, but the result is kept for the next time"},
     'a',
     "The kernel is needed for what is shared or protected: devices, files, other tasks. Computing "
     "is neither; a plain call shows the difference in cost.",
     "syscall",
     of_addition},
};

static_assert(std::size(all) == 10);

}  // namespace

std::span<const Question> questions() { return all; }

std::string read_answers(std::string_view text, size_t wanted) {
    std::string letters;
    size_t line_number = 0;
    while (!text.empty()) {
        size_t newline = text.find('\n');
        std::string line(text.substr(0, newline));
        text = newline == text.npos ? std::string_view{} : text.substr(newline + 1);
        ++line_number;
        line.resize(std::min(line.find('#'), line.size()));
        std::string bare;
        for (char c : line)
            if (!isspace(static_cast<unsigned char>(c)))
                bare += static_cast<char>(tolower(static_cast<unsigned char>(c)));
        if (bare.empty()) continue;
        std::string number = std::to_string(letters.size() + 1);
        for (const char* after : {":", ".", ")", ""})
            if (bare.size() > 1 && bare.starts_with(number + after)) {
                bare.erase(0, number.size() + std::string_view(after).size());
                break;
            }
        if (bare.size() != 1 || bare[0] < 'a' || bare[0] > 'd')
            throw UsageError(
                fmt::format("--answers: line {} is \"{}\"; it should be the answer to question {}: "
                            "a, b, c or d",
                            line_number, line, letters.size() + 1));
        letters += bare;
    }
    if (letters.size() != wanted)
        throw UsageError(
            fmt::format("--answers: there are {} answers to {} questions", letters.size(), wanted));
    return letters;
}

}  // namespace doorbell::harness
