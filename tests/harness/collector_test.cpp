#include <gtest/gtest.h>

#include <functional>

#include "tests/harness/wire_lines.h"

namespace doorbell::harness {
namespace {

Lines one_series() {
    Lines lines;
    lines.add(R"({"t":"hello","wire":"doorbell-wire/1"})").series(0, "source=lapic wait=irq").end();
    return lines;
}

/// `text` without its `number`th line.
std::string without_line(std::string text, size_t number) {
    size_t start = 0;
    while (number-- != 0) start = text.find('\n', start) + 1;
    text.erase(start, text.find('\n', start) + 1 - start);
    return text;
}

TEST(Collector, BuildsASeriesFromItsRecords) {
    harness::Run run = collect(one_series().text());
    EXPECT_TRUE(run.complete) << run.failure;
    ASSERT_EQ(run.series.size(), 1u);
    const Series& series = run.series[0];
    EXPECT_EQ(series.test_case["wait"], "irq");
    EXPECT_EQ(series.count, 3u);
    EXPECT_EQ(series.percentile(50000), 5u);
    EXPECT_EQ(series.percentile(99000), 9u);
    EXPECT_NE(run.digest, "");
}

TEST(Collector, KeepsWhatFailedAndWhatWasSkippedApart) {
    Lines lines;
    lines.add(R"({"t":"hello"})")
        .series(0, "wait=irq", 9, R"("better":"neither","shape":"total")")
        .add(R"({"t":"fail","lab":"timer","case":"wait=irq","reason":"it hangs"})")
        .skip("wait=mwait", "no MWAIT")
        .end();
    harness::Run run = collect(lines.text());
    EXPECT_TRUE(run.complete) << run.failure;
    ASSERT_EQ(run.failed.size(), 1u);
    EXPECT_EQ(run.failed[0].test_case["wait"], "irq");
    EXPECT_EQ(run.failed[0].reason, "it hangs");
    ASSERT_EQ(run.skipped.size(), 1u);
    EXPECT_EQ(run.skipped[0].reason, "no MWAIT");
    EXPECT_EQ(run.series[0].better, wire::Better::neither);
    EXPECT_EQ(run.series[0].shape, wire::Shape::total);
}

TEST(Collector, ACaseThatEndsAsNothingHasFailed) {
    Lines lines;
    lines.add(R"({"t":"hello"})")
        .begin("wait=irq")
        .series(0, "wait=irq")
        .begin("wait=poll")
        .begin("wait=mwait")
        .skip("wait=mwait", "no MWAIT")
        .end();
    harness::Run run = collect(lines.text());
    EXPECT_TRUE(run.complete) << run.failure;
    ASSERT_EQ(run.failed.size(), 1u);
    EXPECT_EQ(run.failed[0].test_case["wait"], "poll");
    // Where records were lost, the loss is the reason.
    EXPECT_TRUE(collect(without_line(lines.text(), 2)).failed.empty());
}

TEST(Collector, TakesBytesCutAnywhere) {
    std::string text = one_series().text();
    harness::Run whole = collect(text);
    Collector one_by_one;
    for (char c : text) one_by_one.feed({&c, 1});
    EXPECT_EQ(one_by_one.finish("").json(), whole.json());
}

TEST(Collector, FindsRecordsBehindEscapeSequencesAndCarriageReturns) {
    std::string text = "\x1b[2J\x1b[01;01H" + one_series().text();
    text.insert(text.find('\n'), "\r");
    std::string words;
    Collector collector({}, [&](std::string_view line) { words += line; });
    collector.feed(text);
    EXPECT_TRUE(collector.finish("").complete);
    EXPECT_EQ(words, "\x1b[2J\x1b[01;01H");
}

TEST(Collector, CountsALostRecord) {
    harness::Run run = collect(without_line(one_series().text(), 0));
    EXPECT_FALSE(run.complete);
    EXPECT_EQ(run.failure, "");
    EXPECT_EQ(run.wire.lost, 1u);
    EXPECT_EQ(run.wire.damaged, 0u);
    EXPECT_EQ(run.series.size(), 1u);
}

TEST(Collector, GivesNoPercentilesWithoutTheWholeHistogram) {
    harness::Run run = collect(without_line(one_series().text(), 2));
    ASSERT_EQ(run.series.size(), 1u);
    EXPECT_EQ(run.series[0].percentile(50000), std::nullopt);
    EXPECT_FALSE(run.json()["series"][0].contains("p50"));
    EXPECT_EQ(run.json()["series"][0]["max"], 9);
    EXPECT_EQ(run.series[0].flags.size(), 1u);
}

TEST(Collector, RejectsARecordWithAChangedDigit) {
    std::string text = one_series().text();
    text[text.find("\"max\":9") + 6] = '8';
    harness::Run run = collect(text);
    EXPECT_EQ(run.wire.lost, 1u);
    EXPECT_EQ(run.wire.damaged, 1u);
    EXPECT_EQ(run.series.size(), 0u);
    EXPECT_FALSE(run.complete);
}

TEST(Collector, TakesARepeatedRecordOnce) {
    Lines lines = one_series();
    std::string text = lines.text();
    size_t second = text.find('\n') + 1, third = text.find('\n', second) + 1;
    text.insert(third, text.substr(second, third - second));
    harness::Run run = collect(text);
    EXPECT_TRUE(run.complete);
    EXPECT_EQ(run.wire.repeated, 1u);
    EXPECT_EQ(run.series.size(), 1u);
}

TEST(Collector, SeesTwoContentsUnderOneNumber) {
    std::string text = one_series().text();
    text.insert(text.find("@3"), wire_line(2, R"({"t":"flag","text":"other"})"));
    harness::Run run = collect(text);
    EXPECT_EQ(run.wire.damaged, 1u);
    EXPECT_FALSE(run.complete);
}

TEST(Collector, SeesThatTheMachineStartedAgain) {
    Lines first, second = one_series();
    first.add(R"({"t":"hello","wire":"doorbell-wire/1"})").series(0, "wait=poll");
    harness::Run run = collect(first.text() + second.text());
    EXPECT_NE(run.failure.find("started again"), std::string::npos) << run.failure;
    ASSERT_EQ(run.series.size(), 1u) << "two runs must not be mixed";
    EXPECT_EQ(run.series[0].test_case["wait"], "poll");
}

TEST(Collector, RightCrcWithoutARecordIsDamage) {
    for (const char* json : {"{", "{}", R"({"t":5})", R"({"t":"series","id":"x"})",
                             R"({"t":"histogram","of":77,"bins":[]})"}) {
        harness::Run run = collect(wire_line(0, json));
        EXPECT_EQ(run.wire.damaged, 1u) << json;
    }
}

TEST(Collector, IgnoresKindsAndMembersItDoesNotKnow) {
    Lines lines;
    lines.add(R"({"t":"hello","wire":"doorbell-wire/1","new":[1,2]})")
        .add(R"({"t":"weather","sun":true})")
        .end();
    harness::Run run = collect(lines.text());
    EXPECT_TRUE(run.complete) << run.failure;
}

TEST(Collector, NoticesAHistogramThatTheImageLeftShort) {
    Lines lines;
    lines.add(R"({"t":"hello"})")
        .add(
            R"({"t":"series","id":0,"lab":"a","case":"","metric":"m","unit":"insn","evidence":"exact","count":2,"min":1,"max":1,"sum":2})")
        .add(R"({"t":"histogram","of":0,"part":"all","bins":[[1,1]]})")
        .end();
    harness::Run run = collect(lines.text());
    EXPECT_FALSE(run.complete);
    EXPECT_EQ(run.wire.damaged, 1u);
}

TEST(Collector, SumsHistogramsOverSeveralRecordsAndStages) {
    Lines lines;
    lines.add(R"({"t":"hello"})")
        .add(
            R"({"t":"series","id":4,"lab":"a","case":"k=v","metric":"m","unit":"insn","evidence":"exact","count":3,"min":1,"max":5000,"sum":5002,"stages":["entry"]})")
        .add(R"({"t":"histogram","of":4,"part":"all","bins":[[1,1]]})")
        .add(R"({"t":"histogram","of":4,"part":"all","bins":[[1,1],[5000,1]]})")
        .add(
            R"({"t":"histogram","of":4,"part":"entry","min":1,"max":4001,"sum":4003,"bins":[[1,2],[4000,1]]})")
        .end();
    harness::Run run = collect(lines.text());
    ASSERT_TRUE(run.complete) << run.failure;
    EXPECT_EQ(run.series[0].percentile(50000), 1u);
    EXPECT_EQ(run.series[0].percentile(99900), 5000u);
    ASSERT_EQ(run.series[0].stages.size(), 1u);
    EXPECT_EQ(run.json()["series"][0]["stages"][0]["max"], 4001);
}

TEST(Collector, KeepsRawSamplesInOrderAndSeesAGap) {
    Lines lines;
    lines.add(R"({"t":"hello"})")
        .series(0, "wait=irq")
        .add(R"({"t":"raw","of":0,"at":0,"values":[5,9]})")
        .add(R"({"t":"raw","of":0,"at":2,"values":[5]})")
        .end();
    EXPECT_EQ(collect(lines.text()).series[0].raw, (std::vector<uint64_t>{5, 9, 5}));
    Lines gap;
    gap.add(R"({"t":"hello"})")
        .series(0, "wait=irq")
        .add(R"({"t":"raw","of":0,"at":2,"values":[5]})")
        .end();
    EXPECT_EQ(collect(gap.text()).wire.damaged, 1u);
}

TEST(Collector, APanicOrARefusalIsAFailure) {
    Lines panic;
    panic.add(R"({"t":"hello"})")
        .series(0, "wait=irq")
        .add(R"({"t":"panic","name":"#UD invalid opcode","rip":"0x1234"})");
    harness::Run run = collect(panic.text());
    EXPECT_NE(run.failure.find("#UD invalid opcode at 0x1234"), std::string::npos) << run.failure;
    EXPECT_EQ(run.series.size(), 1u);
    Lines refusal;
    refusal.add(R"({"t":"hello"})")
        .add(R"({"t":"error","text":"what is a tiemr?"})")
        .add(R"({"t":"end","status":"refused"})");
    EXPECT_NE(collect(refusal.text()).failure.find("what is a tiemr?"), std::string::npos);
}

TEST(Collector, DoesNotKeepALineWithoutEnd) {
    Collector collector;
    std::string block(1 << 20, 'x');
    for (int i = 0; i < 8; ++i) collector.feed(block);
    EXPECT_GT(collector.bytes_of_words(), 7u << 20);
    collector.feed("\n" + one_series().text());
    EXPECT_TRUE(collector.finish("").complete);
}

TEST(Collector, FirmwareTextThatLooksLikeARecordIsNotDamage) {
    EXPECT_TRUE(collect("mail me @1 of these days\n" + one_series().text()).complete);
}

/// What logs, terminals and editors make of lines.
struct Dress {
    const char* name;
    std::function<std::string(const std::string& line)> dress;  ///< to a line without its end
};

std::string quoted(const std::string& text) { return Json(text).dump(); }

std::string wide(const std::string& text, bool low_first) {
    std::string all;
    for (char c : text) all += low_first ? std::string{c, '\0'} : std::string{'\0', c};
    return all;
}

const Dress dresses[] = {
    {"as it is", [](const std::string& l) { return l + "\n"; }},
    {"a blank behind", [](const std::string& l) { return l + " \n"; }},
    {"NULs around", [](const std::string& l) { return '\0' + l + std::string(3, '\0') + "\n"; }},
    {"erase to the line's end", [](const std::string& l) { return l + "\x1b[K\r\n"; }},
    {"colours", [](const std::string& l) { return "\x1b[32m" + l + "\x1b[0m\n"; }},
    {"a time in front", [](const std::string& l) { return "[ 12.5] <6>host: " + l + " .\n"; }},
    {"CR alone", [](const std::string& l) { return l + "\r"; }},
    {"no line ends at all", [](const std::string& l) { return l + ";"; }},
    {"UTF-16, low byte first", [](const std::string& l) { return wide(l + "\r\n", true); }},
    {"UTF-16, high byte first", [](const std::string& l) { return wide(l + "\n", false); }},
    {"a container's log",
     [](const std::string& l) {
         return "{\"log\":" + quoted(l + "\r\n") + ",\"stream\":\"stdout\"}\n";
     }},
    {"a journal's log",
     [](const std::string& l) {
         return "{\"PRIORITY\":\"6\",\"MESSAGE\":" + quoted("\x1b[K" + l) + "}\n";
     }},
    {"a log in a log",
     [](const std::string& l) {
         return "{\"a\":" + quoted("{\"log\":" + quoted(l + "\n") + "}") + "}\n";
     }},
    {"one list of logs on one line",
     [](const std::string& l) { return "{\"log\":" + quoted(l + "\n") + "},"; }},
};

std::string dressed(const std::string& text, const Dress& dress) {
    std::string all;
    for (size_t at = 0, end; (end = text.find('\n', at)) != text.npos; at = end + 1)
        all += dress.dress(text.substr(at, end - at));
    return all;
}

TEST(Collector, FindsARecordWhateverStandsAroundItAndHoweverItIsCut) {
    Lines lines;
    lines.add(R"({"t":"hello","wire":"doorbell-wire/1"})")
        .add(R"({"t":"machine","cpu":"{ \"@1\" }"})");
    // More than one line may hold.
    for (unsigned id = 0; id < 200; ++id) lines.series(id, fmt::format("n={}", id));
    std::string text = lines.end().text();
    harness::Run plain = collect(text);
    ASSERT_TRUE(plain.complete) << plain.failure;
    for (const Dress& dress : dresses) {
        std::string stream = dressed(text, dress);
        for (size_t piece : {stream.size(), size_t(1), size_t(7), size_t(4096)}) {
            Collector collector;
            for (size_t at = 0; at < stream.size(); at += piece)
                collector.feed(std::string_view(stream).substr(at, piece));
            harness::Run run = collector.finish("");
            EXPECT_TRUE(run.complete) << dress.name << ": " << run.failure;
            EXPECT_EQ(run.json(), plain.json()) << dress.name << " in pieces of " << piece;
        }
    }
    EXPECT_TRUE(collect("\xff\xfe" + wide(text, true)).complete) << "with a byte order mark";
}

TEST(Collector, DescribesRecordsOfWhichNoneIsRight) {
    std::string text = one_series().text();
    auto said = [](const std::string& stream) { return collect(stream, "it ended").failure; };
    std::string curled, wrapped;
    for (char c : text) curled += c == '"' ? std::string("\xe2\x80\x9d") : std::string(1, c);
    EXPECT_NE(said(curled).find("4 lines look like records"), std::string::npos) << said(curled);
    EXPECT_NE(said(curled).find("quotation marks"), std::string::npos) << said(curled);
    for (size_t at = 0; at < text.size(); at += 40) wrapped += text.substr(at, 40) + "\n";
    std::string cut =
        dressed(text, {"", [](const std::string& l) { return l.substr(0, 40) + "\n"; }});
    EXPECT_NE(said(cut).find("each ends after 40 columns"), std::string::npos) << said(cut);
    EXPECT_EQ(said("firmware\n@1 of these days\n"), "it ended");
}

TEST(Collector, AnotherRunBeginsWhereOneEnds) {
    Lines aborted;
    aborted.add(R"({"t":"hello","wire":"doorbell-wire/1"})").series(0, "wait=poll");
    Lines first, second;
    first.add(R"({"t":"hello"})").series(0, "wait=irq", 11).end();
    second.add(R"({"t":"hello"})").series(0, "wait=irq", 12).end();
    std::string headless = second.text().substr(second.text().find('\n') + 1);
    struct Capture {
        std::string text;
        size_t run_number, runs, chosen;
        unsigned max;
        bool complete;
    };
    const Capture all[] = {
        {first.text(), 0, 1, 1, 11, true},
        {first.text() + second.text(), 0, 2, 2, 12, true},
        {first.text() + "@7 firmware\n" + second.text(), 1, 2, 1, 11, true},
        {first.text() + first.text(), 0, 2, 2, 11, true},
        {aborted.text() + first.text(), 0, 2, 2, 11, true},
        {aborted.text() + first.text() + aborted.text(), 0, 3, 2, 11, true},
        {first.text() + headless, 0, 2, 1, 11, true},
        {first.text() + headless, 2, 2, 2, 12, false},
        {aborted.text() + aborted.text(), 0, 2, 2, 9, false},
    };
    for (const Capture& capture : all)
        for (size_t piece : {capture.text.size(), size_t(1), size_t(100)}) {
            Collector collector;
            collector.expect_several(capture.run_number);
            for (size_t at = 0; at < capture.text.size(); at += piece)
                collector.feed(std::string_view(capture.text).substr(at, piece));
            harness::Run run = collector.finish("");
            EXPECT_EQ(collector.captured().size(), capture.runs) << capture.text;
            EXPECT_EQ(collector.chosen(), capture.chosen) << capture.text;
            EXPECT_EQ(run.complete, capture.complete) << run.failure << capture.text;
            ASSERT_EQ(run.series.size(), 1u);
            EXPECT_EQ(run.series[0].max, capture.max);
        }
}

}  // namespace
}  // namespace doorbell::harness
