#include "harness/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "harness/number.h"
#include "labs/catalogue.h"

namespace doorbell::harness {
namespace {

struct Row {
    std::string which, wait, unit, p50, p99, max, evidence;
};

std::string text_of(const Json& object, const char* name) {
    auto found = object.find(name);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

Row row_of(const Series& series) {
    Row row;
    for (const auto& [key, value] : series.which.pairs()) {
        if (key == "wait") continue;
        row.which += (row.which.empty() ? "" : " ") + (value.empty() ? key : key + "=" + value);
    }
    if (series.metric != "latency") row.which += (row.which.empty() ? "" : ", ") + series.metric;
    row.wait = series.which["wait"];
    if (row.wait.empty()) row.wait = "-";
    row.unit = series.unit;
    row.evidence = series.evidence;
    if (series.count == 0) {
        row.p50 = row.p99 = row.max = "none";
        return row;
    }
    auto number = [](std::optional<uint64_t> value) { return value ? grouped(*value) : std::string("lost"); };
    row.p50 = number(series.percentile(50000));
    row.p99 = number(series.percentile(99000));
    row.max = grouped(series.max);
    if (!series.flags.empty()) row.evidence += "*";
    return row;
}

struct Widths {
    size_t which = 4, wait = 4, unit = 4, p50 = 3, p99 = 3, max = 3, evidence = 8;
    void fit(const Row& row) {
        which = std::max(which, row.which.size());
        wait = std::max(wait, row.wait.size());
        unit = std::max(unit, row.unit.size());
        p50 = std::max(p50, row.p50.size());
        p99 = std::max(p99, row.p99.size());
        max = std::max(max, row.max.size());
        evidence = std::max(evidence, row.evidence.size());
    }
    size_t rest() const { return 2 + wait + unit + p50 + p99 + max + evidence + 6 * 2; }
};

void add_row(std::string& text, const Row& row, const Widths& widths) {
    if (row.which.size() > widths.which) {
        text += wrapped("  ", row.which);
        add_row(text, {"", row.wait, row.unit, row.p50, row.p99, row.max, row.evidence}, widths);
        return;
    }
    text += fmt::format("  {:<{}}  {:<{}}  {:<{}}  {:>{}}  {:>{}}  {:>{}}  {}\n", row.which, widths.which, row.wait,
                        widths.wait, row.unit, widths.unit, row.p50, widths.p50, row.p99, widths.p99, row.max,
                        widths.max, row.evidence);
}

Widths widths_of(const Run& run) {
    Widths widths;
    for (const Series& series : run.series) widths.fit(row_of(series));
    widths.which = std::min(widths.which, table_width - std::min(table_width - 20, widths.rest()));
    return widths;
}

void add_lab(std::string& text, const Run& run, const std::string& lab, const Widths& widths) {
    const labs::Lab* known = labs::find(lab);
    text += known == nullptr ? "\n" + lab + "\n" : "\n" + wrapped(lab + ": ", known->question);
    bool any = false;
    for (const Series& series : run.series) {
        if (series.lab != lab) continue;
        if (!any) add_row(text, {"case", "wait", "unit", "p50", "p99", "max", "evidence"}, widths);
        any = true;
        add_row(text, row_of(series), widths);
    }
    text += counters_table(run, lab);
    for (const Series& series : run.series)
        for (const std::string& flag : series.flags)
            if (series.lab == lab) text += wrapped("  * ", series.which.text() + ", " + series.metric + ": " + flag);
    for (const Claim& claim : run.claims) {
        if (claim.lab != lab) continue;
        const char* verdict = !claim.holds ? "  cannot say: " : *claim.holds ? "  holds: " : "  REFUTED: ";
        text += wrapped(verdict, claim.because.empty() ? claim.text : claim.text + " (" + claim.because + ")");
    }
    // Cases that share a reason share a line.
    std::vector<std::pair<std::string, std::string>> reasons;
    for (const Skip& skip : run.skipped) {
        if (skip.lab != lab) continue;
        auto at = std::find_if(reasons.begin(), reasons.end(), [&](const auto& r) { return r.first == skip.reason; });
        if (at == reasons.end())
            reasons.emplace_back(skip.reason, skip.which.text());
        else
            at->second += "; " + skip.which.text();
    }
    for (const auto& [reason, cases] : reasons) text += wrapped("  not measured: ", cases + ": " + reason);
}

std::string evidence_words(const Run& run) {
    std::vector<std::string> said;
    for (const Series& series : run.series)
        if (std::find(said.begin(), said.end(), series.evidence) == said.end()) said.push_back(series.evidence);
    // Counters may be worth something else than the times.
    for (const Series& series : run.series)
        for (const Counter& counter : series.counters)
            if (std::find(said.begin(), said.end(), counter.evidence) == said.end()) said.push_back(counter.evidence);
    std::string text;
    for (const std::string& evidence : said) {
        const char* meaning = evidence == "exact"      ? "exact: counted instructions (insn), the same in every run; not cycles"
                              : evidence == "measured" ? "measured: the CPU's own time stamp counter"
                              : evidence == "modelled" ? "modelled: events of the cache model, no hardware's"
                              : evidence == "rough"    ? "rough: host time under emulation; shows that it works, not what it costs"
                                                       : nullptr;
        if (meaning != nullptr) text += wrapped("evidence ", meaning);
    }
    return text;
}

}  // namespace

std::string wrapped(const std::string& first, const std::string& text, size_t width) {
    std::string result = first;
    size_t column = first.size();
    bool line_begins = true;
    size_t at = 0;
    while (at < text.size()) {
        size_t end = std::min(text.find(' ', at), text.size());
        std::string word = text.substr(at, end - at);
        at = end + 1;
        if (word.empty()) continue;
        if (!line_begins && column + 1 + word.size() > width) {
            result += "\n" + std::string(first.size(), ' ');
            column = first.size();
            line_begins = true;
        }
        if (!line_begins) {
            result += ' ';
            ++column;
        }
        result += word;
        column += word.size();
        line_begins = false;
    }
    return result + "\n";
}

std::string table(const Run& run) {
    std::string text, machine = text_of(run.machine, "type");
    auto add = [&](const std::string& word) {
        if (!word.empty()) machine += (machine.empty() ? "" : ", ") + word;
    };
    add(text_of(run.machine, "accel"));
    if (std::string clock = text_of(run.machine, "clock"); !clock.empty()) add(clock + " clock");
    if (std::string version = text_of(run.machine, "qemu_version"); !version.empty()) add("QEMU " + version);
    add(text_of(run.machine, "cpu"));
    if (!machine.empty()) text += wrapped("machine: ", machine);
    if (std::string verdict = text_of(run.instrument, "verdict"); !verdict.empty()) {
        std::string because = text_of(run.instrument, "because");
        text += wrapped("instrument: ", because.empty() ? verdict : verdict + ", because " + because);
    }
    if (std::string because = text_of(run.instrument, "counters_because"); !because.empty())
        text += wrapped("counters: ", text_of(run.instrument, "counters") + ", " + because);
    for (const std::string& flag : run.flags) text += wrapped("flag: ", flag);

    std::vector<std::string> labs;
    auto see = [&](const std::string& lab) {
        if (std::find(labs.begin(), labs.end(), lab) == labs.end()) labs.push_back(lab);
    };
    for (const Series& series : run.series) see(series.lab);
    for (const Claim& claim : run.claims) see(claim.lab);
    for (const Skip& skip : run.skipped) see(skip.lab);
    Widths widths = widths_of(run);
    for (const std::string& lab : labs) add_lab(text, run, lab, widths);
    if (labs.empty()) text += "\nno series arrived\n";

    text += "\n" + evidence_words(run);
    if (!run.failure.empty()) text += wrapped("INCOMPLETE: ", run.failure);
    if (run.wire.any_missing()) {
        text += wrapped("INCOMPLETE: ", fmt::format("records lost: {}, damaged: {}; the numbers above are right, others are missing",
                                                    run.wire.lost, run.wire.damaged));
        for (const std::string& note : run.wire.notes) text += wrapped("  ", note);
    } else if (run.wire.repeated != 0) {
        text += wrapped("note: ", fmt::format("records that came twice and were taken once: {}", run.wire.repeated));
    }
    if (!run.digest.empty()) text += (run.complete ? "digest: " : "digest of what arrived: ") + run.digest + "\n";
    return text;
}

}  // namespace doorbell::harness
