#include <gtest/gtest.h>

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
    EXPECT_EQ(series.which["wait"], "irq");
    EXPECT_EQ(series.count, 3u);
    EXPECT_EQ(series.percentile(50000), 5u);
    EXPECT_EQ(series.percentile(99000), 9u);
    EXPECT_NE(run.digest, "");
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
    EXPECT_EQ(run.series[0].which["wait"], "poll");
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

TEST(Collector, FirmwareTextThatLooksLikeARecordIsNoDamage) {
    EXPECT_TRUE(collect("mail me @1 of these days\n" + one_series().text()).complete);
}

}  // namespace
}  // namespace doorbell::harness
