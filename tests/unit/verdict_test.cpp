#include "firmware/measure/verdict.h"

#include <gtest/gtest.h>

#include <string>

namespace doorbell::test {
namespace {

using measure::Evidence;
using measure::Judgement;
using measure::Observed;
using measure::Rule;
using measure::Verdict;

/// A quiet server on bare metal: no rule applies.
Observed hardware() {
    Observed o;
    o.pair = {24, 26, 30, 900};
    o.nops = {270, 276, 290, 1200};
    o.thousand_nops = 252;
    o.call_cost = 6;
    o.interrupt_cost = 640;
    o.resolution = 2;
    o.gap_share_ppm = 12;
    o.invariant = true;
    o.rate_sources = 2;
    o.rate_agree = 2;
    return o;
}

/// One fault of that machine.
struct Row {
    const char* rule;
    void (*change)(Observed& o);
    Evidence evidence;
    Verdict verdict;
    const char* says;  ///< in the sentence
};

const Row rows[] = {
    {"stopped", [](Observed& o) { o.stopped = true; }, Evidence::rough, Verdict::refused,
     "stands still"},
    {"backward", [](Observed& o) { o.backward = 1; }, Evidence::rough, Verdict::refused, "jumps"},
    {"unstable", [](Observed& o) { o.pair = {1, 26, 30, 30}; }, Evidence::measured,
     Verdict::refused, "more than twice"},
    {"unstable", [](Observed& o) { o.pair = {1, 75, 80, 90}, o.resolution = 26; },
     Evidence::measured, Verdict::refused, "more than twice"},
    {"tcg", [](Observed& o) { o.tcg = true; }, Evidence::rough, Verdict::medians,
     "QEMU's emulation"},
    {"trapped", [](Observed& o) { o.pair = {1001, 1001, 1100, 9000}; }, Evidence::rough,
     Verdict::medians, "without hardware behind it"},
    {"coarse", [](Observed& o) { o.resolution = 641; }, Evidence::rough, Verdict::medians,
     "coarser than what it measures"},
    {"coarse", [](Observed& o) { o.call_cost = o.interrupt_cost = 0; }, Evidence::rough,
     Verdict::medians, "coarser than what it measures"},
    {"emulated-interrupt", [](Observed& o) { o.interrupt_cost = 2 * o.call_cost; }, Evidence::rough,
     Verdict::medians, "an interrupt costs no more than two calls"},
    {"emulated-instructions",
     [](Observed& o) { o.nops = {1010, 1016, 1020, 5000}, o.thousand_nops = 992; }, Evidence::rough,
     Verdict::medians, "counts instructions, not hardware"},
    {"rate-unknown", [](Observed& o) { o.rate_sources = 4, o.rate_agree = 1; }, Evidence::rough,
     Verdict::medians, "no two sources"},
    {"rate-unchecked", [](Observed& o) { o.rate_sources = 1, o.rate_agree = 1; }, Evidence::rough,
     Verdict::medians, "no second source"},
    {"variant", [](Observed& o) { o.invariant = false; }, Evidence::measured, Verdict::medians,
     "not invariant"},
    {"gaps", [](Observed& o) { o.gap_share_ppm = 1001; }, Evidence::measured, Verdict::medians,
     "something else"},
    {"smi", [](Observed& o) { o.smi_during = 1; }, Evidence::measured, Verdict::medians,
     "system management interrupt"},
    {"slow-timestamps", [](Observed& o) { o.pair.p99 = 201; }, Evidence::measured, Verdict::medians,
     "one timestamp in a hundred"},
};

TEST(Verdict, HardwareWithNothingAgainstItIsMeasuredAndGoodForTails) {
    for (const Rule& rule : measure::rules()) EXPECT_FALSE(rule.applies(hardware())) << rule.name;
    Judgement j = measure::judge(hardware());
    EXPECT_EQ(j.evidence, Evidence::measured);
    EXPECT_EQ(j.verdict, Verdict::tails);
}

TEST(Verdict, EveryRuleHasARowAndAppliesAlone) {
    for (const Rule& rule : measure::rules()) {
        bool tested = false;
        for (const Row& row : rows) tested = tested || std::string(row.rule) == rule.name;
        EXPECT_TRUE(tested) << "no row for rule " << rule.name;
    }
    for (const Row& row : rows) {
        SCOPED_TRACE(row.rule);
        Observed o = hardware();
        row.change(o);
        std::string applied;
        for (const Rule& rule : measure::rules())
            if (rule.applies(o)) applied += std::string(rule.name) + " ";
        EXPECT_EQ(applied, std::string(row.rule) + " ");
        Judgement j = measure::judge(o);
        EXPECT_EQ(j.evidence, row.evidence);
        EXPECT_EQ(j.verdict, row.verdict);
        EXPECT_NE(std::string(j.because).find(row.says), std::string::npos) << j.because;
    }
}

// The limits, from both sides.
TEST(Verdict, ARuleAppliesBeyondItsLimitOnly) {
    const struct {
        const char* rule;
        void (*change)(Observed&);
    } at_the_limit[] = {
        {"unstable", [](Observed& o) { o.pair = {2, 26, 30, 30}; }},
        {"trapped", [](Observed& o) { o.pair = {1000, 1000, 1100, 9000}; }},
        {"coarse", [](Observed& o) { o.resolution = 640; }},
        {"emulated-interrupt", [](Observed& o) { o.interrupt_cost = 2 * o.call_cost + 1; }},
        {"989 NOPs", [](Observed& o) { o.nops = {1010, 1010, 1010, 1010}, o.thousand_nops = 989; }},
        {"1011 NOPs",
         [](Observed& o) { o.nops = {1030, 1030, 1030, 1030}, o.thousand_nops = 1011; }},
        {"1000 NOPs with spread",
         [](Observed& o) { o.nops = {1020, 1024, 1031, 1031}, o.thousand_nops = 1000; }},
        {"gaps", [](Observed& o) { o.gap_share_ppm = 1000; }},
        {"slow-timestamps", [](Observed& o) { o.pair.p99 = 200; }},
        // A coarse clock: the least pair is up to a step longer than it reads.
        {"a step of 26, ties broken",
         [](Observed& o) { o.pair = {1, 26, 53, 79}, o.resolution = 26; }},
        {"a step of 26", [](Observed& o) { o.pair = {26, 52, 104, 130}, o.resolution = 26; }},
        {"a step of 40, ties repeated",
         [](Observed& o) { o.pair = {0, 40, 80, 120}, o.resolution = 40; }},
        {"a majority of three", [](Observed& o) { o.rate_sources = 3; }},
    };
    for (const auto& row : at_the_limit) {
        Observed o = hardware();
        row.change(o);
        EXPECT_EQ(measure::judge(o).evidence, Evidence::measured) << row.rule;
        EXPECT_EQ(measure::judge(o).verdict, Verdict::tails) << row.rule;
    }
}

TEST(Verdict, TheWorstOfSeveralRulesCounts) {
    Observed o = hardware();
    o.pair = {1, 26, 30, 30};  // refused, though measured
    o.tcg = true;              // rough, though good for medians
    Judgement j = measure::judge(o);
    EXPECT_EQ(j.evidence, Evidence::rough);
    EXPECT_EQ(j.verdict, Verdict::refused);
    EXPECT_NE(std::string(j.because).find("more than twice"), std::string::npos)
        << "the sentence explains the verdict";
}

/// An emulator's clock, in which the same instructions always take the same time.
Observed even_clock(uint64_t pair, uint64_t nops, uint64_t call) {
    Observed o;
    o.pair = {pair, pair, pair, pair};
    o.nops = {nops, nops, nops, nops};
    o.thousand_nops = nops - pair;
    o.call_cost = o.interrupt_cost = call;
    o.resolution = 1;
    o.rate_sources = o.rate_agree = 2;
    return o;
}

/// QEMU's -icount with shift 0, by its own statement.
Observed instruction_clock() {
    Observed o = even_clock(12, 1012, 2);
    o.tcg = true;
    return o;
}

TEST(Verdict, TheInstructionClockIsExact) {
    Judgement j = measure::judge(instruction_clock());
    EXPECT_EQ(j.evidence, Evidence::exact);
    EXPECT_EQ(j.verdict, Verdict::exact);
}

TEST(Verdict, ACountThatIsOffByAnythingIsNotExact) {
    void (*changes[])(Observed&) = {
        [](Observed& o) { o.thousand_nops = 1001; }, [](Observed& o) { o.nops.max = 1013; },
        [](Observed& o) { o.pair.max = 13; },        [](Observed& o) { o.call_cost = 3; },
        [](Observed& o) { o.interrupt_cost = 5; },
    };
    for (auto change : changes)
        for (bool tcg : {false, true}) {
            Observed o = instruction_clock();
            o.tcg = tcg;
            change(o);
            EXPECT_EQ(measure::judge(o).evidence, Evidence::rough);
        }
}

// Bochs 3.0 with cpu=arrow_lake: it has no hypervisor leaf, and reports an invariant TSC.
TEST(Verdict, BochsIsNotHardware) {
    Observed o = even_clock(10, 1002, 6);
    o.invariant = true;
    Judgement j = measure::judge(o);
    EXPECT_EQ(j.evidence, Evidence::rough);
    EXPECT_EQ(j.verdict, Verdict::medians);
}

// Bochs 3.0, by its own statement: its TSC moves in steps, each a few ticks early or late.
TEST(Verdict, BochsWithAStepIsNotHardware) {
    Observed o = hardware();
    o.pair = {1, 17, 32, 40};
    o.nops = {994, 1009, 1024, 1030};
    o.thousand_nops = 992;
    o.call_cost = o.interrupt_cost = 6;
    o.resolution = 11;
    Judgement j = measure::judge(o);
    EXPECT_EQ(j.evidence, Evidence::rough);
    EXPECT_EQ(j.verdict, Verdict::medians);
    EXPECT_NE(std::string(j.because).find("an emulator, not hardware"), std::string::npos)
        << j.because << " says more than that the clock has a step";
}

}  // namespace
}  // namespace doorbell::test
