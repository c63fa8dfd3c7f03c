// Compares README's figures of the exact clock with a run. Where they differ, README is wrong; a
// reworded row needs its new words here.
#include <gtest/gtest.h>

#include <cctype>
#include <map>
#include <regex>
#include <sstream>

#include "tests/image/run.h"

namespace doorbell::test {
namespace {

/// A figure of README and the series that it comes from.
struct Figure {
    std::string line;  ///< of README
    std::string said;  ///< "1,024", or "9-10" where it depends on the run
    std::string lab, test_case, metric;
    std::string part = "p50";  ///< of the series, or the name of a stage, whose p50 is meant
};

/// Rows of tables: the row's beginning, and "LAB CASE... METRIC" for each number that follows.
struct Row {
    const char* begin;
    std::vector<const char*> series;
};
const std::vector<Row> rows = {
    {"| arrival to knowing, `wait=poll` |", {"nic model=e1000e wait=poll latency"}},
    {"| arrival to knowing, `wait=irq` / `hybrid` (MSI-X), `irq kind=msi`, `irq kind=intx` |",
     {"nic model=e1000e wait=irq latency"}},
    {"| ... to the last byte of the payload read, poll / irq |",
     {"nic model=e1000e wait=poll payload", "nic model=e1000e wait=irq payload"}},
    {"| one empty poll |", {"nic model=e1000e op=empty-poll cost"}},
    {"| receive, a packet in bursts of 1 / 8 / 32 / 128 |",
     {"nic model=e1000e op=receive burst=1 cost", "nic model=e1000e op=receive burst=8 cost",
      "nic model=e1000e op=receive burst=32 cost", "nic model=e1000e op=receive burst=128 cost"}},
    {"| transmit, a packet in bursts of 1 / 8 / 32 / 1024 |",
     {"burst model=e1000e burst=1 cost", "burst model=e1000e burst=8 cost",
      "burst model=e1000e burst=32 cost", "burst model=e1000e burst=1024 cost"}},
    {"| 1 |", {"batch size=1 cost", "batch size=1 total", "batch size=1 first"}},
    {"| 10 |", {"batch size=10 cost", "batch size=10 total", "batch size=10 first"}},
    {"| 100 |", {"batch size=100 cost", "batch size=100 total", "batch size=100 first"}},
    {"| 1000 |", {"batch size=1000 cost", "batch size=1000 total", "batch size=1000 first"}},
};

const std::regex number("[0-9][0-9,]*(-[0-9]+)?");

void add_row(const std::string& line, const Row& row, std::vector<Figure>& figures) {
    size_t begin = std::string_view(row.begin).size();
    std::sregex_iterator at(line.begin() + static_cast<std::ptrdiff_t>(begin), line.end(), number);
    for (const char* name : row.series) {
        std::string words = name;
        size_t lab = words.find(' '), metric = words.rfind(' ');
        if (at == std::sregex_iterator()) return;  // counted below
        figures.push_back({line, at->str(), words.substr(0, lab),
                           words.substr(lab + 1, metric - lab - 1), words.substr(metric + 1)});
        ++at;
    }
}

/// A row of the anatomy's table: source, ring, the stages in the order of its heading, the whole.
void add_anatomy(const std::string& line, std::vector<Figure>& figures) {
    static const std::regex row("\\| (int|lapic|ipi|nic|hpet) \\| ([03]) \\|(.*)");
    std::smatch found;
    if (!std::regex_match(line, found, row)) return;
    std::string test_case = "source=" + found[1].str() + " ring=" + found[2].str(),
                cells = found[3];
    std::sregex_iterator at(cells.begin(), cells.end(), number);
    for (const char* part :
         {"jolt", "lookup", "save", "action", "end-of-interrupt", "restore", "resume", "p50"})
        if (at != std::sregex_iterator())
            figures.push_back({line, (at++)->str(), "anatomy", test_case, "latency", part});
}

/// A line of a table that `doorbell run LAB` printed: p50, and perhaps p99 and max.
void add_printed(const std::string& line, const std::string& lab, std::vector<Figure>& figures) {
    static const std::regex row(
        " +([a-z0-9-]+=[^ ,]+(?: [a-z0-9-]+=[^ ,]+)*)(?:, ([a-z-]+))? +insn +([0-9,]+)"
        "(?: +([0-9,]+) +([0-9,]+))? +exact");
    std::smatch found;
    if (!std::regex_match(line, found, row)) return;
    Figure figure{line, found[3], lab, found[1], found[2].matched ? found[2].str() : "latency"};
    figures.push_back(figure);
    for (auto [group, part] : {std::pair{4, "p99"}, {5, "max"}})
        if (found[static_cast<size_t>(group)].matched) {
            figure.said = found[static_cast<size_t>(group)];
            figure.part = part;
            figures.push_back(figure);
        }
}

std::vector<Figure> figures_of_readme() {
    static const std::regex command(" +\\$ doorbell run ([a-z]+)( .*)?");
    std::vector<Figure> figures;
    std::istringstream readme(content(DOORBELL_README));
    std::string lab;
    for (std::string line; std::getline(readme, line);) {
        std::smatch found;
        if (std::regex_match(line, found, command))
            lab = found[2].matched ? "" : found[1].str();
        else if (!line.empty() && line[0] != ' ')
            lab.clear();
        if (!lab.empty()) add_printed(line, lab, figures);
        for (const Row& row : rows)
            if (size_t next = std::string_view(row.begin).size() + 1;
                line.starts_with(row.begin) && next < line.size() && isdigit(line[next]) != 0)
                add_row(line, row, figures);
        add_anatomy(line, figures);
    }
    return figures;
}

/// Whether another compiler's image, or another QEMU, gives the same figure (README, "The same
/// digits").
bool is_same_everywhere(const Figure& figure) {
    return figure.lab == "syscall" || figure.lab == "switch" ||
           (figure.lab == "anatomy" && figure.test_case.find("nic") == std::string::npos &&
            figure.test_case.find("hpet") == std::string::npos);
}

Json case_of(const std::string& text) {
    Json test_case = Json::object();
    std::istringstream words(text);
    for (std::string word; words >> word;)
        test_case[word.substr(0, word.find('='))] = word.substr(word.find('=') + 1);
    return test_case;
}

/// The run's value; -1 where it does not have it.
int64_t value_of(const Figure& figure, const Json& run) {
    Json one = series(run, figure.lab, case_of(figure.test_case), figure.metric);
    if (one.is_null()) return -1;
    if (one.contains(figure.part)) return one[figure.part].get<int64_t>();
    for (const Json& stage : one["stages"])
        if (stage["name"] == figure.part) return stage["p50"].get<int64_t>();
    return -1;
}

TEST(Readme, FiguresAreThoseOfARun) {
    Scratch scratch;
    Json run = results_of(
        scratch,
        doorbell_run(
            scratch,
            "nic:model=e1000e,wait=poll nic:model=e1000e,wait=irq nic:model=e1000e,op=empty-poll "
            "nic:model=e1000e,op=receive burst:model=e1000e batch:size=1 batch:size=10 "
            "batch:size=100 "
            "batch:size=1000 switch:state=registers switch:state=full switch:set=65536,stride=64 "
            "syscall:gate=call syscall:gate=syscall syscall:gate=int signals:target=running "
            "signals:target=ready signals:target=blocked anatomy"));
    // README's figures are those of Debian 12.
    bool debian_12 =
        run["machine"]["qemu_version"].get<std::string>().starts_with("7.2") &&
        run["machine"]["compiler"].get<std::string>().find(" 12.") != std::string::npos;
    std::map<std::string, int> seen;
    for (const Figure& figure : figures_of_readme()) {
        ++seen[figure.lab];
        if (!debian_12 && !is_same_everywhere(figure)) continue;
        std::string said = std::regex_replace(figure.said, std::regex(","), "");
        int64_t low = std::stoll(said), high = low, value = value_of(figure, run);
        if (size_t dash = said.find('-'); dash != said.npos)
            high = std::stoll(said.substr(dash + 1));
        EXPECT_TRUE(low <= value && value <= high)
            << "README: " << figure.line << "\n  says " << figure.said << ", a run says " << value
            << " (" << figure.lab << " " << figure.test_case << " " << figure.metric << " "
            << figure.part << ")";
    }
    EXPECT_EQ(seen, (std::map<std::string, int>{{"nic", 9},
                                                {"burst", 4},
                                                {"batch", 12},
                                                {"switch", 7},
                                                {"syscall", 21},
                                                {"signals", 6},
                                                {"anatomy", 64}}))
        << "README lacks a figure that this test knows";
}

}  // namespace
}  // namespace doorbell::test
