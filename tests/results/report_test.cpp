// The page: its content, and that a browser draws it.
#include "harness/results/report/report.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <regex>

#include "harness/results/figures.h"
#include "harness/results/report/charts.h"
#include "tests/results/synthetic.h"

namespace doorbell::test {
namespace {

std::vector<uint64_t> all(uint64_t value) { return std::vector<uint64_t>(200, value); }

/// Every lab of the design, with plausible shapes.
std::vector<Series> all_labs(std::mt19937_64& random) {
    std::vector<Series> series;
    Series irq = series_of("nic", "model=e1000e wait=irq", "latency", latencies(random, 2000, 900));
    series.push_back(
        series_of("nic", "model=e1000e wait=poll", "latency", latencies(random, 2000, 300)));
    series.push_back(irq);
    Series staged = series_of("nic", "model=e1000e wait=irq", "round-trip", all(60));
    staged.stages = {stage_of("entry", all(10)), stage_of("handler", all(30)),
                     stage_of("resume", all(20))};
    staged.counters = {{"l1d_misses", 12, "modelled"}};
    series.push_back(staged);
    for (const char* load : {"0.1", "0.5", "1", "2", "10"}) {
        double x = std::atof(load);
        series.push_back(series_of("livelock", std::string("policy=irq load=") + load, "delivered",
                                   all(static_cast<uint64_t>(x <= 1 ? 1000000 : 1000000 / x)),
                                   "ppm"));
        series.push_back(series_of("livelock", std::string("policy=poll load=") + load, "delivered",
                                   all(x <= 0.5 ? 700000 : 900000), "ppm"));
    }
    for (const char* size : {"1", "10", "100", "1000"})
        series.push_back(series_of("batch", std::string("size=") + size, "cost",
                                   all(20 + 2000 / static_cast<uint64_t>(std::atoi(size)))));
    for (const char* rate : {"10", "100", "1000"})
        for (const char* wait : {"poll", "irq"})
            series.push_back(
                series_of("pizza", std::string("wait=") + wait + " rate=" + rate, "cost",
                          all(*wait == 'p' ? 5000 : 40 * static_cast<uint64_t>(std::atoi(rate)))));
    for (const char* set : {"4096", "65536", "1048576"})
        series.push_back(series_of("switch", std::string("state=full set=") + set, "refill",
                                   all(static_cast<uint64_t>(std::atoi(set)) / 16)));
    for (const char* tasks : {"1", "16", "256", "5000"})
        series.push_back(series_of("thrash", std::string("tasks=") + tasks, "cost",
                                   all(100 + static_cast<uint64_t>(std::atoi(tasks)))));
    for (const char* gate : {"call", "syscall", "int"})
        for (const char* space : {"same", "other"})
            series.push_back(series_of("syscall", std::string("gate=") + gate + " space=" + space,
                                       "cost", all(*gate == 'c' ? 4 : 300)));
    return series;
}

const Chart* find(const std::vector<Chart>& charts, const std::string& kind) {
    for (const Chart& chart : charts)
        if (chart.spec["kind"] == kind) return &chart;
    return nullptr;
}

std::vector<StoredRun> run_of_all_labs() {
    std::mt19937_64 random(1);
    return {run_of(all_labs(random))};
}

TEST(Charts, ANumericKeyMakesACurveWithItsCrossoverMarked) {
    std::vector<StoredRun> runs = run_of_all_labs();
    std::vector<Chart> charts = charts_of(runs, "livelock", {});
    const Chart* curve = find(charts, "curve");
    ASSERT_NE(curve, nullptr);
    EXPECT_EQ(curve->spec["lines"].size(), 2u);
    EXPECT_EQ(curve->spec["lines"][0]["points"].size(), 5u);
    ASSERT_EQ(curve->spec["crossings"].size(), 1u);
    double x = curve->spec["crossings"][0]["x"];
    EXPECT_GT(x, 1);
    EXPECT_LT(x, 2);
    EXPECT_NE(curve->remarks.at(0).find("between load=1 and load=2"), std::string::npos)
        << curve->remarks.at(0);
    EXPECT_NE(find(charts_of(runs, "pizza", {}), "curve"), nullptr);
    EXPECT_NE(find(charts_of(runs, "batch", {}), "curve"), nullptr);
    EXPECT_NE(find(charts_of(runs, "switch", {}), "curve"), nullptr);
    std::vector<Chart> thrash = charts_of(runs, "thrash", {});
    EXPECT_NE(find(thrash, "curve")->remarks.at(0).find("tasks=256"), std::string::npos)
        << "where a single curve doubles";
    EXPECT_NE(find(charts_of(runs, "syscall", {}), "bars"), nullptr);
}

TEST(Charts, TheFirstPictureLeavesOutAFigureThatItsFlagCallsFalse) {
    Series halted = series_of("nic", "model=e1000e wait=irq-halt", "latency", all(128000));
    halted.flags = {"unstable: the emulator is late"};
    std::vector<StoredRun> runs{
        run_of({series_of("nic", "model=e1000e wait=poll", "latency", all(7)),
                series_of("nic", "model=e1000e wait=irq", "latency", all(4)), halted})};
    std::vector<Chart> charts = first_pictures(runs);
    ASSERT_EQ(charts.size(), 1u);
    EXPECT_EQ(charts[0].spec.dump().find("128000"), std::string::npos) << charts[0].spec.dump();
    ASSERT_EQ(charts[0].remarks.size(), 1u);
    EXPECT_EQ(charts[0].remarks[0],
              "model=e1000e wait=irq-halt is not in the picture: unstable: the emulator is late");
    runs[0].run.series[2] = series_of("nic", "model=e1000e wait=irq-halt", "latency", all(5));
    runs[0].run.series[2].flags = {"unstable: now and then"};
    EXPECT_TRUE(first_pictures(runs)[0].remarks.empty()) << "what does not hide the others stays";
}

TEST(Charts, StagesSumToTheWhole) {
    std::vector<Chart> charts = charts_of(run_of_all_labs(), "nic", {});
    const Chart* stages = find(charts, "stages");
    ASSERT_NE(stages, nullptr);
    double sum = 0;
    for (const Json& line : stages->spec["lines"]) sum += line["points"][0].get<double>();
    EXPECT_EQ(sum, stages->spec["whole"][0].get<double>());
    EXPECT_EQ(sum, 60);
}

TEST(Charts, ThePercentileAxisIsHdrHistograms) {
    std::vector<uint64_t> values;
    for (uint64_t i = 1; i <= 1000; ++i) values.push_back(i);
    std::vector<StoredRun> runs{run_of({series_of("x", "wait=poll", "latency", values)})};
    Json points = charts_of(runs, "x", {}).at(0).spec["lines"][0]["points"];
    EXPECT_EQ(points.front(), Json::array({1.0, 1.0})) << "0 %: the least";
    EXPECT_EQ(points.back(), Json::array({1000.0, 1000.0})) << "the greatest, at 1 in 1000";
    bool p90 = false;
    for (const Json& point : points) p90 |= point == Json::array({10.0, 900.0});
    EXPECT_TRUE(p90) << points;
}

TEST(Figures, HaveNoMoreDigitsThanTheResolutionCarries) {
    EXPECT_EQ(figure(12295, 8), "12,300");
    EXPECT_EQ(figure(1234567, 1024), "1,234,000");
    EXPECT_EQ(figure(12.345, 0.1), "12.3");
    EXPECT_EQ(figure(34, 2), "34");
    EXPECT_EQ(figure(5), "5");
    EXPECT_EQ(signed_figure(-1500, 1), "-1,500");
    EXPECT_EQ(bin_width(2047), 1);
    EXPECT_EQ(bin_width(12295), 8);
    using Shape = measure::Histogram;
    EXPECT_EQ(bin_width(0x1p64),
              static_cast<double>(Shape::top_value -
                                  Shape::lowest_of(Shape::bin_of(Shape::top_value)) + 1));
    EXPECT_EQ(bin_width(-1), 1);
}

TEST(Report, ShowsTheVerdictWithUnitAndEvidence) {
    std::mt19937_64 random(3);
    std::string said = verdict(run_of(all_labs(random)).run);
    EXPECT_TRUE(std::regex_search(
        said, std::regex("Asking \\(poll\\), a program knew of a packet after [0-9]+ insn; told by "
                         "an interrupt, after [0-9]+ insn: asking knows [0-9]+ insn sooner")))
        << said;
    EXPECT_NE(said.find("medians, exact, 2,000 samples each"), std::string::npos) << said;
    EXPECT_EQ(verdict(run_of({series_of("x", "", "cost", all(5))}).run), "");
}

TEST(Report, CountersAreShownASampleWithTheirStageAndWhatIsZeroEverywhereIsNamed) {
    Series staged = series_of("timer", "source=lapic wait=irq", "round-trip", all(60));
    staged.counters = {{"l1i_misses", 1400, "modelled", "resume", 200},
                       {"l1d_misses", 0, "modelled", "resume", 200},
                       {"l1i_misses", 2469, "modelled", "entry", 200}};
    std::string page = report_page({run_of({staged})});
    for (const char* text :
         {"<td>resume</td>", "<td class=\"number\">7</td>", "<td>entry</td>",
          "<td class=\"number\">12.35</td>", "<td>modelled</td>", "0 everywhere: l1d_misses"})
        EXPECT_NE(page.find(text), std::string::npos) << text;
    EXPECT_EQ(page.find(">l1d_misses</th>"), std::string::npos);
}

TEST(Report, NothingOfARunCanBecomeAScript) {
    StoredRun stored =
        run_of({series_of("</script><script>alert(1)</script>", "k=<b>", "cost", all(5))});
    stored.run.claims = {{"x", "<img src=x onerror=alert(1)>", true, "\"><script>"}};
    std::string page = report_page({stored});
    EXPECT_EQ(page.find("<script>alert"), page.npos);
    EXPECT_EQ(page.find("<img"), page.npos);
    EXPECT_EQ(page.find("\"><script>"), page.npos);
}

TEST(Report, NeedsNothingFromOutsideAndStaysSmall) {
    std::mt19937_64 random(4);
    std::vector<Series> many;
    for (int i = 0; i < 500; ++i)
        many.push_back(series_of("wide",
                                 "n=" + std::to_string(i % 20) + " m=x" + std::to_string(i / 20),
                                 "latency", latencies(random, 1000, 1000, 1)));
    std::string page = report_page({run_of(many), run_of(many)});
    EXPECT_LT(page.size(), 2'000'000u);
    EXPECT_EQ(page.find("src=\"http"), page.npos);
    EXPECT_EQ(page.find("href=\"http"), page.npos);
}

/// Reads the page in a browser: its DOM after the scripts ran, and what it wrote to its console.
struct Browsed {
    std::string dom, console;
};
Browsed browse(const Scratch& scratch, const std::string& page, const std::string& more) {
    Outcome outcome = shell(scratch,
                            "timeout 120 chromium --headless --no-sandbox --disable-gpu "
                            "--disable-quic --no-first-run --disable-background-networking "
                            "--disable-component-update --disable-sync --user-data-dir=profile "
                            "--enable-logging=stderr --v=0 " +
                                more + " --dump-dom page/" + page);
    return {outcome.out, outcome.err};
}

TEST(Report, ABrowserDrawsEveryChartWithoutAnError) {
    ASSERT_EQ(std::system("command -v chromium >/dev/null 2>&1"), 0) << "chromium is not installed";
    std::mt19937_64 random(5);
    Scratch scratch;
    StoredRun first = run_of(all_labs(random)), second = run_of(all_labs(random));
    first.run.series[0].raw_file = "samples/0001.txt";
    std::string samples = "# nic\n";
    for (int i = 0; i < 2000; ++i) samples += std::to_string(300 + i % 7) + "\n";
    save(scratch, "first", first);
    scratch.write("first/samples/0001.txt", samples);
    save(scratch, "second", second);
    fs::create_directories(scratch / "page");
    for (const char* words : {"first --out page/one.html", "first second --out page/two.html"})
        ASSERT_EQ(doorbell(scratch, std::string("report ") + words).status, 0);
    for (const char* page : {"one.html", "two.html"}) {
        Browsed browsed = browse(scratch, page, "--window-size=1200,900");
        EXPECT_EQ(browsed.console.find("CONSOLE"), std::string::npos) << browsed.console;
        EXPECT_EQ(browsed.dom.find("data-errors"), std::string::npos);
        std::regex canvas("<canvas[^>]*>"), drawn("data-drawn=\"[1-9][0-9]*\"");
        size_t charts = 0;
        for (std::sregex_iterator at(browsed.dom.begin(), browsed.dom.end(), canvas), end;
             at != end; ++at, ++charts)
            EXPECT_TRUE(std::regex_search(at->str(), drawn)) << at->str();
        EXPECT_GE(charts, 9u);
        EXPECT_NE(browsed.dom.find("data-charts=\"" + std::to_string(charts) + "\""),
                  std::string::npos);
        EXPECT_NE(browsed.dom.find("aria-pressed=\"true\""), std::string::npos)
            << "legends are buttons";
    }
    // The picture is there, on a phone's screen too.
    Outcome picture = shell(scratch,
                            "timeout 120 chromium --headless --no-sandbox --disable-gpu "
                            "--disable-quic --no-first-run --disable-background-networking "
                            "--disable-component-update --disable-sync --user-data-dir=profile "
                            "--window-size=500,900 --screenshot=phone.png page/one.html");
    EXPECT_EQ(content(scratch / "phone.png").substr(1, 3), "PNG") << picture.err;
    EXPECT_GT(fs::file_size(scratch / "phone.png"), 15'000u) << "a blank page is smaller";
}

}  // namespace
}  // namespace doorbell::test
