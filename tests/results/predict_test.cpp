// Predictions: counts times prices, exactly.
#include <gtest/gtest.h>

#include <set>

#include "harness/results/predict/derived.h"
#include "harness/results/predict/predict_text.h"
#include "tests/results/predict_fixture.h"

namespace doorbell::test {
namespace {

Series a_series(uint64_t value, const CountList& counts) {
    return counted_series("syscall", "gate=call", "cost", value, counts);
}

/// What is predicted of a path of so many instructions and of what else was counted in it.
SeriesPrediction predicted_path(uint64_t instructions, const CountList& more, const Profile& p) {
    CountList counts{{"instructions", static_cast<double>(instructions)}};
    counts.insert(counts.end(), more.begin(), more.end());
    return predicted({a_series(instructions, counts)}, p);
}

/// A load from memory in any of two ways, and a branch that is mispredicted.
std::vector<Price> prices_of_late_branches() {
    return {price_in_cycles("load-chained-memory", 204), price_in_cycles("load-scattered-l1d", 1),
            price_in_cycles("load-scattered-memory", 51), price_in_cycles("mispredict", 16)};
}

/// Two mispredicted branches that wait for a load which misses.
SeriesPrediction predicted_late_branches(const Profile& p) {
    return predicted_path(10,
                          {{"path_steps", 1},
                           {"scattered_memory", 4},
                           {"branch_misses", 2},
                           {"late_branch_misses", 2}},
                          p);
}

TEST(Prediction, OfInstructionsIsTheirPriceAndNeverLessThanThePath) {
    Profile p = profile_of_prices({});
    auto fast = predicted_path(100, {{"path_steps", 30}}, p);
    expect_estimate(fast.costs.cycles.all, 50, 50, 50);
    expect_estimate(fast.costs.ns.all, 25, 25, 25);
    auto chain = predicted_path(100, {{"path_steps", 300}}, p);
    expect_estimate(chain.costs.cycles.all, 300, 300, 300);
    EXPECT_FALSE(fast.costs.clock.known());
}

TEST(Prediction, AddsWhatEachMissCostsBeyondAHit) {
    Profile p = profile_of_prices({price_in_cycles("load-chained-l2", 14, 12, 16),
                                   price_in_cycles("load-chained-memory", 204, 184, 304),
                                   price_in_cycles("load-scattered-l1d", 1),
                                   price_in_cycles("load-scattered-memory", 51, 41, 61)});
    auto s =
        predicted_path(100, {{"path_steps", 20}, {"chained_l2", 2}, {"scattered_memory", 3}}, p);
    // 2 (14 - 4) that wait for each other. Three at once, which go on while 50 cycles of
    // instructions run, take 3 (51 - 1), but no less than one alone, 204 - 4.
    expect_estimate(s.costs.cycles.all, 20 + 200, 16 + 120, 50 + 24 + 300);
    ASSERT_EQ(s.costs.cycles.parts.size(), 3u);
    EXPECT_EQ(s.costs.cycles.parts[1].name, "chained-l2");
    expect_estimate(s.costs.cycles.parts[1].cost, 20, 16, 24);
}

TEST(Prediction, LetsLoadsThatNothingWaitsForGoOnWhileInstructionsRun) {
    Profile p = profile_of_prices(
        {price_in_cycles("load-streamed-l1d", 1), price_in_cycles("load-streamed-llc", 11, 9, 16)});
    auto with = [&](double lines) {
        return predicted_path(100, {{"path_steps", 20}, {"streamed_llc", lines}}, p).costs.cycles;
    };
    // 50 cycles of instructions; 40 (32 to 60) of loads are over by then, or all after them.
    expect_estimate(with(4).all, 50, 50, 50 + 60);
    // 80 (64 to 120): 30 beyond the instructions, at least 14.
    expect_estimate(with(8).all, 80, 64, 50 + 120);
    EXPECT_NEAR(with(8).parts[1].cost.value, 30, 1e-9);
}

TEST(Prediction, TakesMissesOfTheTlbForThoseOfTheSameLoads) {
    Profile p = profile_of_prices(
        {price_in_cycles("load-streamed-l1d", 1), price_in_cycles("load-streamed-llc", 11),
         price_in_cycles("load-chained-llc", 54), price_in_cycles("dtlb-miss-4k", 10)});
    auto with = [&](const char* kind, double lines) {
        return predicted_path(100, {{"path_steps", 20}, {kind, lines}, {"dtlb_misses", lines}}, p)
            .costs.cycles.all.value;
    };
    // Beside 50 cycles of instructions; or behind them, each waited for.
    EXPECT_NEAR(with("streamed_llc", 2), 50, 1e-9);
    EXPECT_NEAR(with("streamed_llc", 4), 80, 1e-9);
    EXPECT_NEAR(with("chained_llc", 2), 50 + 2 * 50 + 2 * 10, 1e-9);
}

TEST(Prediction, OfALoneMissIsItsWholeTime) {
    Profile p = profile_of_prices({price_in_cycles("load-chained-memory", 204),
                                   price_in_cycles("load-scattered-l1d", 1),
                                   price_in_cycles("load-scattered-memory", 21)});
    auto with = [&](double misses) {
        return predicted_path(100, {{"path_steps", 20}, {"scattered_memory", misses}}, p)
            .costs.cycles.all.value;
    };
    EXPECT_NEAR(with(1), 200, 1e-9);
    EXPECT_NEAR(with(5), 200, 1e-9);
    EXPECT_NEAR(with(20), 400, 1e-9);
    // In one of four samples.
    EXPECT_NEAR(with(0.25), 50, 1e-9);
}

TEST(Prediction, OfAFetchOrAnAccessWithoutAPriceLiesBetweenNothingAndAChainedLoad) {
    Profile p = profile_of_prices({price_in_cycles("load-chained-l2", 14, 12, 16)});
    auto fetch = predicted_path(10, {{"path_steps", 1}, {"fetch_l2", 1}}, p);
    expect_estimate(fetch.costs.cycles.all, 5 + 10, 5, 5 + 12);
    auto store = predicted_path(10, {{"path_steps", 1}, {"store_l2", 1}}, p);
    expect_estimate(store.costs.cycles.all, 6, 5, 5 + 12);
}

TEST(Prediction, OfMissesWithoutAClassReachesFromScatteredToChained) {
    Profile p = profile_of_prices(
        {price_in_cycles("load-chained-l2", 14), price_in_cycles("load-chained-llc", 54),
         price_in_cycles("load-chained-memory", 204), price_in_cycles("load-scattered-l1d", 1),
         price_in_cycles("load-scattered-l2", 3), price_in_cycles("load-scattered-llc", 11),
         price_in_cycles("load-scattered-memory", 51)});
    // Of 6 misses of L1, 3 were served by L2, 2 by the LLC, 1 by memory.
    auto s = predicted_path(
        100, {{"l1d_misses", 5}, {"l1i_misses", 1}, {"l2_misses", 3}, {"llc_misses", 1}}, p);
    expect_estimate(s.costs.cycles.all, 50 + 3 * 6 + 2 * 30 + 125, 50 + 3 * 2 + 2 * 10 + 50,
                    50 + 3 * 10 + 2 * 50 + 200);
}

TEST(Prediction, CountsTheInstructionsOfAPriceOnce) {
    Profile p = profile_of_prices({price_in_cycles("lfence", 4.5), price_in_cycles("cpuid", 101)});
    auto s = predicted_path(3, {{"path_steps", 1}, {"lfence", 1}, {"cpuid", 1}}, p);
    expect_estimate(s.costs.cycles.all, 1.5 + 4 + 100, 105.5, 105.5);
}

TEST(Prediction, PairsAnIntAndASyscallWithTheirReturns) {
    Profile p = profile_of_prices(
        {price_in_cycles("int-iretq-ring3", 601), price_in_cycles("int-iretq-ring0", 301),
         price_in_cycles("syscall-sysret", 101), price_in_cycles("iretq", 203)});
    CountList gate{{"instructions", 20}, {"path_steps", 1}, {"int", 1}, {"iretq", 1}};
    expect_estimate(predicted({a_series(20, gate)}, p).costs.cycles.all, 610, 610, 610);
    auto ring0 = counted_series("anatomy", "source=int ring=0", "latency", 20, gate);
    expect_estimate(predicted({ring0}, p).costs.cycles.all, 310, 310, 310);
    auto call =
        a_series(20, {{"instructions", 20}, {"path_steps", 1}, {"syscall", 1}, {"sysret", 1}});
    expect_estimate(predicted({call}, p).costs.cycles.all, 110, 110, 110);
    // A half of a pair: the INT in one stage, its IRETQ in another. Together they are the pair.
    Series apart =
        series_of("anatomy", "source=int ring=0", "latency", std::vector<uint64_t>(10, 20));
    apart.stages = {stage_of("jolt", std::vector<uint64_t>(10, 10)),
                    stage_of("resume", std::vector<uint64_t>(10, 10))};
    count(apart, {{"instructions", 10}, {"path_steps", 1}, {"int", 1}}, "jolt");
    count(apart, {{"instructions", 10}, {"path_steps", 1}, {"iretq", 1}}, "resume");
    auto both = predicted({apart}, p);
    expect_estimate(both.costs.cycles.all, 310, 310, 310);
    ASSERT_EQ(both.stages.size(), 2u);
    // INT alone: the pair less an IRETQ, whose price has five PUSHes; less INT itself.
    expect_estimate(both.stages[0].costs.cycles.all, 5 + 301 - 203 + 2.5 - 0.5, 105, 105);
}

TEST(Prediction, OfALatencyTakesTheInterruptsEntryByHowTheProcessorWaits) {
    Profile p = profile_of_prices({price_in_cycles("interrupt-entry", 800, 500, 1200),
                                   price_in_cycles("interrupt-entry-hlt", 4000),
                                   price_in_ns("msi-delivery", 600, 450, 900)});
    CountList counts{{"instructions", 4}, {"path_steps", 4}, {"interrupts", 1}};
    auto busy = counted_series("timer", "source=lapic wait=irq", "latency", 4, counts);
    expect_estimate(predicted({busy}, p).costs.cycles.all, 804, 504, 1204);
    auto halted = counted_series("timer", "source=lapic wait=irq-halt", "latency", 4, counts);
    expect_estimate(predicted({halted}, p).costs.cycles.all, 4004, 4004, 4004);
    auto card = counted_series("nic", "model=e1000e wait=irq", "latency", 4, counts);
    expect_estimate(predicted({card}, p).costs.ns.all, 2 + 400 + 600, 2 + 250 + 450, 2 + 600 + 900);
    auto mwait = counted_series("timer", "source=lapic wait=mwait", "latency", 4, counts);
    EXPECT_EQ(predicted({mwait}, p).costs.missing(),
              std::vector<std::string>{"interrupt-entry-mwait"});
    // Where lab prices measured the wake-up itself, it is added to the entry.
    p.prices.push_back(price_in_cycles("mwait-wake-hint0", 2000, 1800, 2500));
    expect_estimate(predicted({mwait}, p).costs.cycles.all, 2804, 2304, 3704);
}

TEST(Prediction, OfTaggedAddressSpacesTakesTheirOwnPriceOfCr3) {
    Profile p = profile_of_prices(
        {price_in_cycles("cr3-write", 200.5), price_in_cycles("cr3-write-pcid", 100.5)});
    CountList counts{{"instructions", 2}, {"path_steps", 1}, {"cr3_writes", 2}};
    auto of = [&](const char* space) {
        return predicted({counted_series("switch", std::string("state=registers space=") + space,
                                         "cost", 2, counts)},
                         p)
            .costs.cycles.all.value;
    };
    EXPECT_DOUBLE_EQ(of("other"), 1 + 400);
    EXPECT_DOUBLE_EQ(of("other-pcid"), 1 + 200);
}

TEST(Prediction, OfStringInstructionsTakesTheirMeasuredTurn) {
    Profile p = profile_of_prices(
        {price_in_cycles("rep-movsb", 0.05, 0.04, 0.06), price_in_cycles("rep-stosb", 0.03)});
    auto s = predicted({a_series(1001, {{"instructions", 1010}, {"rep_iterations", 1000}})}, p);
    // 1,000 turns of 0.05 cycles; at least 64 a cycle, at most one.
    expect_estimate(s.costs.cycles.all, 5 + 50, 5 + 15.625, 5 + 1000);
}

TEST(Prediction, AddsTheIntThatWasOverWhenTheCountsBegan) {
    Profile p =
        profile_of_prices({price_in_cycles("int-iretq-ring0", 301),
                           price_in_cycles("int-iretq-ring3", 601), price_in_cycles("iretq", 203)});
    auto path_from = [&](const char* test_case) {
        Series path = series_of("anatomy", test_case, "latency", std::vector<uint64_t>(10, 20));
        path.stages = {stage_of("lookup", std::vector<uint64_t>(10, 10)),
                       stage_of("resume", std::vector<uint64_t>(10, 10))};
        count(path, {{"instructions", 10}, {"path_steps", 1}}, "lookup");
        count(path, {{"instructions", 11}, {"path_steps", 1}, {"iretq", 1}}, "resume");
        return predicted({path}, p).costs.cycles.all.value;
    };
    // An INT has one instruction of its own, which is not among those that were counted.
    EXPECT_NEAR(path_from("source=int ring=0"), 10.5 + 301 - 1, 1e-6);
    EXPECT_NEAR(path_from("source=int ring=3"), 10.5 + 601 - 1, 1e-6);
    EXPECT_NEAR(path_from("source=lapic ring=0"), 10.5 + 203 - 3, 1e-6);
}

TEST(Prediction, OfAPollOfACardHasTheMissOnTheLineThatTheCardWrote) {
    Profile p = profile_of_prices({price_in_cycles("load-chained-llc", 54),
                                   price_in_cycles("load-chained-memory", 204, 184, 304)});
    auto path_of = [](const char* test_case, const CountList& notice) {
        Series path = series_of("nic", test_case, "path", std::vector<uint64_t>(10, 20));
        path.stages = {stage_of("notice", std::vector<uint64_t>(10, 4)),
                       stage_of("descriptor", std::vector<uint64_t>(10, 16))};
        count(path, notice, "notice");
        count(path, {{"instructions", 16}}, "descriptor");
        return path;
    };
    Series poll = path_of("model=e1000e wait=poll", {{"instructions", 4}});
    auto latency = counted_series("nic", "model=e1000e wait=poll", "latency", 4, {}, "path:notice");
    // From memory, or from the LLC where the card writes there.
    expect_estimate(predicted({poll, latency}, p, 1).costs.cycles.all, 202, 52, 302);
    expect_estimate(predicted({poll}, p).costs.cycles.all, 210, 60, 310);
    // Where the model has counted it, it is there already; and a device's register is not a line.
    Series counted =
        path_of("model=e1000e wait=poll",
                {{"instructions", 4}, {"path_steps", 1}, {"l1d_misses", 1}, {"chained_memory", 1}});
    expect_estimate(predicted({counted}, p).costs.cycles.all, 210, 190, 310);
    Series irq = path_of("model=e1000e wait=irq", {{"instructions", 4}});
    expect_estimate(predicted({irq}, p).costs.cycles.all, 10, 10, 10);
}

TEST(Prediction, OfAWakeHoldsTheHaltThatItEnds) {
    Profile p = profile_of_prices({price_in_cycles("interrupt-entry-hlt", 4000)});
    CountList counts{{"instructions", 4}, {"path_steps", 1}, {"interrupts", 1}, {"hlt", 1}};
    auto halted = counted_series("timer", "source=lapic wait=irq-halt", "latency", 4, counts);
    expect_estimate(predicted({halted}, p).costs.cycles.all, 4002, 4002, 4002);
    auto busy = counted_series("timer", "source=lapic wait=irq", "latency", 4, counts);
    EXPECT_EQ(predicted({busy}, p).costs.missing(),
              (std::vector<std::string>{"interrupt-entry", "hlt"}));
}

TEST(Prediction, OfAPollIsOneLookFromAnyInstantOfALook) {
    Profile p = profile_of_prices({price_in_ns("hpet-read", 1000.25, 800.25, 1200.25)});
    CountList counts{
        {"instructions", 4}, {"path_steps", 1}, {"mmio_reads", 0.4}, {"hpet_reads", 0.4}};
    auto poll = counted_series("timer", "source=hpet wait=poll", "latency", 4, counts);
    expect_estimate(predicted({poll}, p).costs.ns.all, 1 + 1000, 1 + 400, 1 + 1800);
    // Whole looks are counted as they are, and what is not a poll is not a look.
    counts[2].second = counts[3].second = 2;
    auto two = counted_series("timer", "source=hpet wait=poll", "latency", 4, counts);
    expect_estimate(predicted({two}, p).costs.ns.all, 1 + 2000, 1 + 1600, 1 + 2400);
    counts[2].second = counts[3].second = 0.5;
    auto other = counted_series("timer", "source=hpet wait=irq", "latency", 4, counts);
    expect_estimate(predicted({other}, p).costs.ns.all, 1 + 500, 1 + 400, 1 + 600);
}

TEST(Prediction, DerivesAPairOfLfenceAndRdtscFromItsParts) {
    Profile p = profile_of_prices({price_in_cycles("lfence", 5), price_in_cycles("rdtsc", 25)});
    auto s = predicted_path(2, {{"path_steps", 1}, {"timestamps", 1}}, p);
    expect_estimate(s.costs.cycles.all, 1 + 30, 1 + 25, 1 + 37.5);
    EXPECT_STRNE(rule_of_price("lfence-rdtsc"), "");
    EXPECT_STREQ(rule_of_price("cr3-write"), "");
}

TEST(Prediction, DerivesTheInterruptsEntryFromASelfIpi) {
    Profile p =
        profile_of_prices({price_in_cycles("self-ipi", 1500), price_in_cycles("apic-write", 100),
                           price_in_cycles("eoi", 101), price_in_cycles("iretq", 203)});
    auto s = predicted({counted_series("timer", "source=lapic wait=irq", "latency", 4,
                                       {{"instructions", 4}, {"interrupts", 1}})},
                       p);
    expect_estimate(s.costs.cycles.all, 2 + 1500 - 100 - 101 - 203 + 0.5, 1098.5, 1098.5);
}

TEST(Prediction, TellsTheDevicesOfMmioApart) {
    Profile p = profile_of_prices({price_in_ns("apic-write", 40.25, 40.25, 40.25),
                                   price_in_ns("card-read", 600.25, 400.25, 900.25),
                                   price_in_ns("hpet-read", 700.25, 500.25, 1300.25)});
    auto s = predicted_path(10,
                            {{"path_steps", 1},
                             {"mmio_reads", 3},
                             {"hpet_reads", 1},
                             {"mmio_writes", 1},
                             {"apic_writes", 1}},
                            p);
    expect_estimate(s.costs.ns.all, 2.5 + 2 * 600 + 700 + 40, 2.5 + 800 + 500 + 40,
                    2.5 + 1800 + 1300 + 40);
    // An older run does not say whose registers they are.
    auto old = predicted_path(10, {{"mmio_reads", 1}}, p);
    expect_estimate(old.costs.ns.all, 2.5 + 600, 2.5 + 400, 2.5 + 1300);
}

TEST(Prediction, PairsAnLfenceWithItsRdtscAsATimestampDoes) {
    Profile p =
        profile_of_prices({price_in_cycles("lfence-rdtsc", 31), price_in_cycles("rdtsc", 25.5)});
    auto s =
        predicted_path(40, {{"path_steps", 1}, {"timestamps", 2}, {"rdtsc", 3}, {"lfence", 2}}, p);
    expect_estimate(s.costs.cycles.all, 20 + 2 * 30 + 25 + 2 * 31, 167, 167);
}

TEST(Prediction, NamesThePricesThatAreMissingAndInventsNone) {
    Profile p = profile_of_prices({});
    auto s = predicted_path(10, {{"path_steps", 1}, {"cr3_writes", 1}, {"chained_memory", 1}}, p);
    EXPECT_FALSE(s.known());
    EXPECT_EQ(s.best(), nullptr);
    EXPECT_EQ(s.costs.missing(), (std::vector<std::string>{"load-chained-memory", "cr3-write"}));
    p.prices.erase(p.prices.begin());
    auto none = predicted_path(10, {}, p);
    EXPECT_EQ(none.costs.missing(), std::vector<std::string>{"instruction"});
}

TEST(Prediction, HasNoNanosecondsWhereNothingTellsTheFrequency) {
    Profile p = profile_of_prices({price_in_cycles("rdtsc", 20.5)});
    p.machine.erase("core_hz");
    auto s = predicted_path(4, {{"path_steps", 1}, {"rdtsc", 1}}, p);
    EXPECT_TRUE(s.costs.cycles.known());
    EXPECT_FALSE(s.costs.ns.known());
    EXPECT_STREQ(s.best_unit(), "cycles");
    // The yardstick of a measured profile is a frequency, too.
    p.yardstick = Estimate{2, 2, 2};
    p.tsc_hz = 1e9;
    expect_estimate(predicted_path(4, {{"path_steps", 1}, {"rdtsc", 1}}, p).costs.ns.all, 11, 11,
                    11);
}

TEST(Prediction, IsInTheClocksUnitWhereThePricesAre) {
    Profile p;
    for (const auto& [name, insn] : {std::pair{"instruction", 1.0}, {"lfence", 21.0}}) {
        Price price;
        price.name = name;
        price.insn = Estimate{insn, insn, insn};
        p.prices.push_back(price);
    }
    auto s = predicted({a_series(44, {{"instructions", 4}, {"path_steps", 90}, {"lfence", 2}})}, p);
    expect_estimate(s.costs.clock.all, 44, 44, 44);
    EXPECT_FALSE(s.costs.ns.known());
}

TEST(Prediction, OfLateBranchesMakesTheMissVisible) {
    auto s = predicted_late_branches(profile_of_prices(prices_of_late_branches()));
    // Four misses while 5 cycles of instructions run; two branches without the 6 cycles that the
    // path has; half of what a load that is waited for takes longer.
    expect_estimate(s.costs.cycles.all, 200 + 2 * 10 + 150, 200 + 20, 5 + 200 + 32 + 300);
}

TEST(Prediction, OfLateBranchesIsAtLeastTheirMeasuredPrice) {
    Profile p = profile_of_prices(prices_of_late_branches());
    p.prices.push_back(price_in_cycles("late-branch-memory", 136));
    auto s = predicted_late_branches(p);
    for (const CostPart& part : s.costs.cycles.parts)
        if (part.name == "late-branch") expect_estimate(part.cost, 240, 240, 300);
    expect_estimate(s.costs.cycles.all, 200 + 2 * 10 + 240, 200 + 20 + 240, 5 + 200 + 32 + 300);
}

TEST(Prediction, OfAStagedSeriesIsTheSumOfItsStages) {
    Profile p = profile_of_prices({});
    Series path =
        series_of("timer", "source=lapic wait=irq", "path", std::vector<uint64_t>(10, 30));
    path.stages = {stage_of("notice", std::vector<uint64_t>(10, 10)),
                   stage_of("payload", std::vector<uint64_t>(10, 20)),
                   stage_of("nothing", std::vector<uint64_t>(10, 0))};
    count(path, {{"instructions", 10}}, "notice");
    Series half = path;
    count(path, {{"instructions", 20}}, "payload");
    auto s = predicted({path}, p);
    expect_estimate(s.costs.cycles.all, 15, 15, 15);
    EXPECT_EQ(s.stages.size(), 2u);
    EXPECT_EQ(predicted({half}, p).why_not, "nothing was counted in path:payload");
}

TEST(Prediction, SaysThatARunHasNoCounts) {
    auto s = predicted({series_of("timer", "wait=irq", "latency", {5})}, profile_of_prices({}));
    EXPECT_EQ(s.why_not, "the run has no counts (doorbell run --model on)");
}

TEST(Prediction, RefusesCountsThatAreNotOfASample) {
    // Before `derived` there was: a hundred looks were counted, one was recorded.
    auto s = predicted({a_series(7, {{"instructions", 700}})}, profile_of_prices({}));
    EXPECT_NE(s.why_not.find("its counts are of 700 instructions, a sample is 7"),
              std::string::npos)
        << s.why_not;
}

TEST(Derivation, OfAShareLeavesOutWhatIsAroundTheParts) {
    // Ten records of 5 instructions each, and 22 that make the notes; a share below one instruction
    // a record is the value's rounding.
    Profile p = profile_of_prices({});
    auto of = [&](uint64_t value) {
        auto total = counted_series("batch", "size=1", "total", 72, {{"instructions", 72}});
        auto cost = counted_series("batch", "size=1", "cost", value, {}, "total / 10");
        return predicted({total, cost}, p, 1).costs.cycles.all;
    };
    expect_estimate(of(5), 2.5, 2.5, 2.5);
    expect_estimate(of(7), 3.6, 3.6, 3.6);
}

TEST(Derivation, HasSharesDifferencesAndStages) {
    CaseKeys keys = CaseKeys::from_text("model=e1000e burst=32");
    auto share = derivation_of("cost / burst", keys);
    ASSERT_TRUE(share);
    EXPECT_EQ(share->first, "cost");
    EXPECT_EQ(share->divisor, 32);
    auto less = derivation_of("(walk-after-switch - walk) / 64", keys);
    ASSERT_TRUE(less);
    EXPECT_EQ(less->first, "walk-after-switch");
    EXPECT_EQ(less->less, "walk");
    EXPECT_EQ(less->divisor, 64);
    auto stage = derivation_of("round-trip:entry", keys);
    ASSERT_TRUE(stage);
    EXPECT_EQ(stage->first, "round-trip");
    EXPECT_EQ(stage->stage, "entry");
    EXPECT_TRUE(derivation_of("share of total", keys)->is_share);
    for (const char* wrong : {"", "cost / pages", "cost / 0", "(a - ) / 2", "share of "})
        EXPECT_FALSE(derivation_of(wrong, keys)) << wrong;
}

TEST(Derivation, OfAShareDividesCountsAndParts) {
    Profile p = profile_of_prices({price_in_cycles("card-write", 60.5, 40.5, 100.5)});
    auto total = counted_series("burst", "burst=32", "first", 320,
                                {{"instructions", 320}, {"path_steps", 1}, {"mmio_writes", 1}});
    auto cost = counted_series("burst", "burst=32", "cost", 10, {}, "first / burst");
    auto s = predicted({total, cost}, p, 1);
    expect_estimate(s.costs.cycles.all, 220.0 / 32, 200.0 / 32, 260.0 / 32);
    EXPECT_NEAR(s.costs.cycles.parts[1].count, 1.0 / 32, 1e-12);
    // A series may be a share of what was counted under its own name.
    auto own =
        counted_series("nic", "op=empty-poll", "cost", 7, {{"instructions", 700}}, "cost / 100");
    expect_estimate(predicted({own}, p).costs.cycles.all, 3.5, 3.5, 3.5);
}

TEST(Derivation, OfADifferenceKnowsThatThePricesAreTheSame) {
    Profile p = profile_of_prices({price_in_cycles("load-chained-memory", 204, 104, 304)});
    auto walk = counted_series("switch", "set=64", "walk", 100,
                               {{"instructions", 100}, {"path_steps", 1}, {"chained_memory", 1}});
    auto after = counted_series("switch", "set=64", "walk-after-switch", 100,
                                {{"instructions", 100}, {"path_steps", 1}, {"chained_memory", 3}});
    auto hidden = counted_series("switch", "set=64", "refill", 0, {}, "walk-after-switch - walk");
    auto s = predicted({walk, after, hidden}, p, 2);
    // Two more misses, whatever a miss costs.
    expect_estimate(s.costs.cycles.all, 400, 200, 600);
    auto nothing = counted_series("switch", "set=64", "refill", 0, {}, "walk - walk-after-switch");
    expect_estimate(predicted({walk, after, nothing}, p, 2).costs.cycles.all, 0, 0, 0);
}

TEST(Derivation, OfAStageIsThatStage) {
    Profile p = profile_of_prices({price_in_cycles("interrupt-entry", 800)});
    Series trip =
        series_of("timer", "source=lapic wait=irq", "round-trip", std::vector<uint64_t>(10, 20));
    trip.stages = {stage_of("entry", std::vector<uint64_t>(10, 4))};
    count(trip, {{"instructions", 4}, {"path_steps", 1}, {"interrupts", 1}}, "entry");
    auto latency =
        counted_series("timer", "source=lapic wait=irq", "latency", 4, {}, "round-trip:entry");
    expect_estimate(predicted({trip, latency}, p, 1).costs.cycles.all, 802, 802, 802);
}

TEST(Derivation, OfWorkIsTheShareOfALongerWhole) {
    Profile p = profile_of_prices({price_in_cycles("load-chained-memory", 104, 54, 154)});
    auto total = counted_series("thrash", "tasks=5", "total", 1000,
                                {{"instructions", 1000}, {"path_steps", 1}, {"chained_memory", 5}});
    auto work = counted_series("thrash", "tasks=5", "work", 800000, {}, "share of total");
    work.unit = "ppm";
    auto s = predicted({total, work}, p, 1);
    ASSERT_TRUE(s.share);
    // 0.8 of 500 cycles' instructions, of 1000 cycles in all (750 to 1250).
    expect_estimate(*s.share, 400000, 320000, 800000.0 * 500 / 750);
    EXPECT_STREQ(s.best_unit(), "ppm");
}

TEST(Derivation, SaysWhatItDoesNotKnow) {
    Profile p = profile_of_prices({});
    auto odd = counted_series("nic", "op=x", "cost", 7, {}, "cost / pages");
    EXPECT_EQ(predicted({odd}, p).why_not,
              "this version does not know what \"cost / pages\" means");
    auto gone = counted_series("nic", "op=x", "cost", 7, {}, "total / 2");
    EXPECT_EQ(predicted({gone}, p).why_not, "the case has no series total");
}

TEST(PriceTable, HasOneLineForEachCount) {
    std::set<std::string> seen;
    for (const PricedCount& line : priced_counts())
        EXPECT_TRUE(seen.insert(line.count).second) << line.count << " is there twice";
}

TEST(Predictions, AreReadBackAsTheyWereWritten) {
    Profile p = profile_of_prices({price_in_cycles("interrupt-entry", 800, 500, 1200)});
    StoredRun stored = run_of({counted_series("timer", "source=lapic wait=irq", "latency", 4,
                                              {{"instructions", 4}, {"interrupts", 1}}),
                               counted_series("timer", "source=lapic wait=poll", "latency", 4,
                                              {{"instructions", 4}, {"cr3_writes", 1}}),
                               series_of("timer", "source=pit wait=irq", "latency", {5})});
    stored.run.claims = {
        {"timer", "x", std::nullopt, "this clock counts", "busy-sooner-than-halted"}};
    Json once = predict(stored, p).json();
    EXPECT_EQ(once.at("schema"), "doorbell-predictions/1");
    EXPECT_EQ(once.at("series").size(), 3u);
    EXPECT_EQ(once.at("series")[0].at("evidence"), "predicted");
    EXPECT_DOUBLE_EQ(once.at("series")[0].at("ns").at("value").get<double>(), 401);
    EXPECT_EQ(once.at("series")[1].at("missing"), Json::parse(R"(["cr3-write"])"));
    EXPECT_TRUE(once.at("rules").empty());
    EXPECT_EQ(Predictions::from(once).json(), once);
    EXPECT_THROW(Predictions::from(Json::parse(R"({"schema":"doorbell/1"})")), std::runtime_error);
}

TEST(Predictions, HoldTheModelsErrorInWhatIsModelledAndNotInEvents) {
    Profile p = profile_of_prices({price_in_cycles("cr3-write", 200.5)});
    StoredRun stored =
        run_of({a_series(9, {{"instructions", 60}, {"path_steps", 1}, {"cr3_writes", 1}})});
    stored.run.series[0].sum = 600;
    Predictions all = predict(stored, p);
    expect_estimate(all.series[0].costs.cycles.all, 230, 30 / model_error + 200,
                    30 * model_error + 200);
}

TEST(Predictions, NameThePricesThatARuleGave) {
    Profile p = profile_of_prices(
        {price_in_cycles("int-iretq-ring0", 300), price_in_cycles("load-chained-l2", 14)});
    StoredRun stored = run_of(
        {a_series(9, {{"instructions", 9}, {"path_steps", 1}, {"iretq", 1}, {"scattered_l2", 1}})});
    Json json = predict(stored, p).json();
    EXPECT_EQ(json.at("rules").at("iretq"), "between nothing and int-iretq-ring0");
    EXPECT_EQ(json.at("rules").at("load-scattered-l2"), "between nothing and load-chained");
    EXPECT_EQ(json.at("rules").size(), 2u);
    EXPECT_EQ(Predictions::from(json).json(), json);
}

TEST(Predictions, ForPeopleHaveThreeDigits) {
    EXPECT_EQ(three_digits(0), "0");
    EXPECT_EQ(three_digits(0.12345), "0.123");
    EXPECT_EQ(three_digits(31.4159), "31.4");
    EXPECT_EQ(three_digits(1234567), "1,230,000");
    EXPECT_EQ(estimate_text({2, 2, 2}, "ns"), "2.00 ns");
    EXPECT_EQ(estimate_text({2, 1, 3}, "ns"), "2.00 ns (1.00 to 3.00)");
}

}  // namespace
}  // namespace doorbell::test
