// Rates of packets that follow from planted costs.
#include <gtest/gtest.h>

#include <cmath>

#include "harness/results/predict/corners.h"
#include "harness/results/predict/predict_text.h"
#include "harness/results/predict/rates.h"
#include "harness/results/report/report_tables.h"
#include "tests/results/predict_fixture.h"

namespace doorbell::test {
namespace {

/// What was counted in a region, each of the ten times that it was passed.
using RegionList = std::vector<std::pair<std::string, CountList>>;

Series with_regions(const std::string& lab, const std::string& test_case, const std::string& metric,
                    const std::string& unit, uint64_t value, const RegionList& regions) {
    Series series = series_of(lab, test_case, metric, std::vector<uint64_t>(10, value), unit);
    for (const auto& [name, counts] : regions) count(series, counts, name);
    return series;
}

Series latency_of(const std::string& lab, const std::string& test_case, size_t packets) {
    return series_of(lab, test_case, "latency", std::vector<uint64_t>(packets, 500));
}

/// Instructions of 0.25 ns; an interrupt's entry of 400 ns, or 200 to 800; a line that a device
/// wrote, 100 ns.
Profile packet_profile(double entry_low = 800, double entry_high = 800) {
    return profile_of_prices({price_in_cycles("interrupt-entry", 800, entry_low, entry_high),
                              price_in_cycles("load-chained-llc", 204),
                              price_in_cycles("load-chained-memory", 204)});
}
constexpr double interrupt_ns = 25 + 400, packet_ns = 20 + 200;
constexpr double share_of_looks = 2.0 / 1002;

StoredRun pizza(const CountList& interrupt = {{"instructions", 100}, {"interrupts", 1}}) {
    const std::pair<std::string, CountList> packet{"packet", {{"instructions", 80}}};
    std::vector<Series> series;
    for (const char* rate : {"1000", "1000000"}) {
        std::string irq = std::string("wait=irq rate=") + rate,
                    poll = std::string("wait=poll every=256 rate=") + rate;
        series.push_back(
            with_regions("pizza", irq, "work", "ppm", 999000, {{"interrupt", interrupt}, packet}));
        // At the high rate an interrupt serves ten packets.
        series.push_back(latency_of("pizza", irq, rate == std::string("1000") ? 10 : 100));
        series.push_back(with_regions("pizza", poll, "work", "ppm", 998000,
                                      {packet,
                                       {"look", {{"instructions", 8}}},
                                       {"job", {{"instructions", 4000}}},
                                       {"alone", {{"instructions", 16 * 4000}}}}));
        series.push_back(latency_of("pizza", poll, 10));
    }
    return run_of(series);
}

const RatePrediction& rate_of(const Predictions& p, const std::string& name) {
    for (const RatePrediction& r : p.rates)
        if (r.name == name) return r;
    static const RatePrediction none;
    ADD_FAILURE() << "no rate " << name;
    return none;
}

TEST(Rates, AtTheBreakEvenBothWaysLeaveTheSame) {
    for (double look : {0.0001, 0.002, 0.3})
        for (double by_polling : {50.0, 400.0}) {
            double rate = break_even_rate(2000, by_polling, look);
            EXPECT_NEAR(share_left_by_interrupts(rate, 2000),
                        share_left_by_polling(rate, by_polling, look), 1e-12);
            EXPECT_LT(share_left_by_interrupts(rate * 1.1, 2000),
                      share_left_by_polling(rate * 1.1, by_polling, look));
        }
    EXPECT_NEAR(break_even_rate(1500, 500, 0.01), 1e9 * 0.01 / (1500 - 495), 1e-6);
    EXPECT_TRUE(std::isinf(break_even_rate(100, 200, 0.01)));
    EXPECT_EQ(share_left_by_interrupts(1e6, 2000), 0);
}

TEST(Rates, BreakEvenFollowsFromWhatWasCountedAndItsPrices) {
    Predictions p = predict(pizza(), packet_profile());
    const RatePrediction& r = rate_of(p, "break-even every=256");
    double exact =
        1e9 * share_of_looks / (interrupt_ns + packet_ns - packet_ns * (1 - share_of_looks));
    ASSERT_TRUE(r.value);
    EXPECT_NEAR(r.value->value, exact, 1e-6);
    EXPECT_NEAR(r.value->low, exact, 1e-6);
    EXPECT_NEAR(r.value->high, exact, 1e-6);
    EXPECT_EQ(r.unit, "packets/s");
    // Beside it, where an instruction takes a nanosecond and an interrupt none.
    double looks = 8.0 / 4008;
    ASSERT_TRUE(r.counted);
    EXPECT_NEAR(*r.counted, 1e9 * looks / (180 - 80 * (1 - looks)), 1e-6);
    std::vector<std::string> parts;
    for (const auto& part : r.parts) parts.push_back(part.name);
    EXPECT_EQ(parts, (std::vector<std::string>{
                         "an interrupt", "a packet by interrupt", "a packet by polling", "a look",
                         "the job between two looks", "what a look adds to it"}));
    EXPECT_NEAR(r.parts[0].ns.value, interrupt_ns, 1e-9);
    EXPECT_NEAR(r.parts[1].ns.value, packet_ns, 1e-9);
}

TEST(Rates, AnIntervalIsThatOfThePrices) {
    Predictions p = predict(pizza(), packet_profile(400, 1600));
    const RatePrediction& r = rate_of(p, "break-even every=256");
    ASSERT_TRUE(r.value);
    auto with = [](double entry) {
        return break_even_rate(25 + entry + packet_ns, packet_ns, share_of_looks);
    };
    EXPECT_NEAR(r.value->low, with(800), 1e-6);
    EXPECT_NEAR(r.value->value, with(400), 1e-6);
    EXPECT_NEAR(r.value->high, with(200), 1e-6);
}

TEST(Rates, ALookMayBeHiddenBehindWhatTheJobWaitsFor) {
    StoredRun stored = pizza();
    for (Series& s : stored.run.series)
        for (const auto& [region, steps] :
             {std::pair{"job", 8000}, {"look", 1}, {"alone", 16 * 8000}})
            if (s.test_case["wait"] == "poll" && s.metric == "work")
                count(s, {{"path_steps", steps}}, region);
    Predictions p = predict(stored, packet_profile());
    const RatePrediction& r = rate_of(p, "break-even every=256");
    ASSERT_TRUE(r.value);
    // Of the look's four cycles the dataflow adds one to 8,000.
    double look = 0.5 / 4000.5;
    EXPECT_NEAR(r.value->value, break_even_rate(interrupt_ns + packet_ns, packet_ns, look), 1e-3);
    EXPECT_GT(r.value->high, r.value->value * 3.9);
}

TEST(Rates, AJobThatWorksInMemoryIsKnownUpToAChainOfAllItsInstructions) {
    StoredRun stored = pizza();
    for (Series& s : stored.run.series)
        if (s.test_case["wait"] == "poll" && s.metric == "work")
            for (const auto& [region, each] : {std::pair{"job", 1000}, {"alone", 16000}})
                count(s, {{"path_steps", each}, {"loads", each}, {"stores", each}}, region);
    Predictions p = predict(stored, packet_profile());
    const RatePrediction& r = rate_of(p, "break-even every=256");
    ASSERT_TRUE(r.value);
    const Estimate* job = nullptr;
    for (const auto& part : r.parts)
        if (part.name == "the job between two looks") job = &part.ns;
    ASSERT_NE(job, nullptr);
    // 4,000 instructions in 2,000 cycles; at most 4,000 and 4 for each load and store.
    EXPECT_NEAR(job->low, 1000 / model_error, 1e-6);
    EXPECT_NEAR(job->value, std::sqrt(1000.0 * 6000), 1e-6);
    EXPECT_NEAR(job->high, 6000, 1e-6);
    EXPECT_LT(r.value->low, r.value->value / 2);
}

TEST(Rates, WhatIsLeftToTheJobIsPredictedForEachRate) {
    StoredRun stored = pizza();
    stored.run.claims = {{"pizza", "x", true, "counted", "polling-wins-at-high-rate"}};
    Predictions p = predict(stored, packet_profile());
    auto left = [&](const std::string& test_case) {
        for (const SeriesPrediction& s : p.series)
            if (s.metric == "work" && s.test_case.text() == test_case && s.share)
                return s.share->value;
        ADD_FAILURE() << test_case;
        return 0.0;
    };
    double a_packet = (interrupt_ns + packet_ns) * 1e-9;
    EXPECT_NEAR(left("wait=irq rate=1000"), 1e6 * (1 - 1000 * a_packet), 1e-6);
    EXPECT_NEAR(left("wait=irq rate=1000000"), 1e6 * (1 - 1e6 * a_packet), 1e-6);
    EXPECT_NEAR(left("wait=poll every=256 rate=1000000"),
                1e6 * (1 - 1e6 * packet_ns * 1e-9) * (1 - share_of_looks), 1e-6);
}

TEST(Rates, NameThePriceThatIsMissing) {
    CountList interrupt{{"instructions", 100},
                        {"interrupts", 1},
                        {"mmio_writes", 1},
                        {"apic_writes", 1},
                        {"path_steps", 1}};
    Predictions p = predict(pizza(interrupt), packet_profile());
    const RatePrediction& r = rate_of(p, "break-even every=256");
    EXPECT_FALSE(r.value);
    EXPECT_TRUE(r.counted);
    EXPECT_EQ(r.missing, std::vector<std::string>{"apic-write"});
    EXPECT_EQ(why_rate_unknown(r), "the profile has no price apic-write");
    // A price is at least 0, so the rate is at most that of a price of 0. The model may be off.
    ASSERT_TRUE(r.at_most);
    double least = 25 / model_error + 400;
    EXPECT_NEAR(*r.at_most, break_even_rate(least + packet_ns, packet_ns, share_of_looks), 1e-6);
    EXPECT_TRUE(rate_text(r).starts_with("at most 4,")) << rate_text(r);
    for (const SeriesPrediction& s : p.series)
        if (s.metric == "work" && s.test_case["wait"] == "irq") {
            EXPECT_FALSE(s.known());
            EXPECT_EQ(s.costs.missing(), std::vector<std::string>{"apic-write"});
        }
    Profile no_hz = packet_profile();
    no_hz.machine.erase("core_hz");
    EXPECT_EQ(why_rate_unknown(rate_of(predict(pizza(), no_hz), "break-even every=256")),
              "nothing tells the core's frequency");
}

TEST(Rates, LivelockBeginsAtTheCapacityAndDeliveriesEndWhereReceivingTakesAllTime) {
    const RegionList regions{{"receive", {{"instructions", 400}}},
                             {"input", {{"instructions", 4000}}},
                             {"delivery", {{"instructions", 8000}}}};
    RegionList irq = regions;
    irq.emplace_back("interrupt", CountList{{"instructions", 100}, {"interrupts", 1}});
    Predictions p = predict(
        run_of({with_regions("livelock", "policy=irq load=0.1", "delivered", "ppm", 1, irq),
                with_regions("livelock", "policy=irq load=10", "delivered", "ppm", 1, regions),
                with_regions("livelock", "policy=quota load=0.1", "delivered", "ppm", 1, irq),
                with_regions("livelock", "policy=quota load=10", "delivered", "ppm", 1, regions)}),
        packet_profile());
    double until_queued = 100 + 200 + 1000, delivery = 2000;
    EXPECT_NEAR(rate_of(p, "capacity policy=irq").value->value,
                1e9 / (interrupt_ns + until_queued + delivery), 1e-6);
    EXPECT_NEAR(rate_of(p, "nothing delivered policy=irq").value->value,
                1e9 / (interrupt_ns + until_queued), 1e-6);
    EXPECT_NEAR(rate_of(p, "capacity policy=quota").value->value, 1e9 / (until_queued + delivery),
                1e-6);
    EXPECT_NEAR(*rate_of(p, "capacity policy=irq").counted, 1e9 / (100 + 400 + 4000 + 8000), 1e-6);
    EXPECT_EQ(p.rates.size(), 3u);
}

TEST(Rates, APacketCostsItsShareOfAnInterrupt) {
    auto moderated = [](const char* test_case) {
        return with_regions("moderation", test_case, "interrupts", "per 1000 packets", 250,
                            {{"interrupt", {{"instructions", 100}, {"interrupts", 1}}},
                             {"packets", {{"instructions", 320}}}});
    };
    // Ten interrupts, forty packets: two lines of a packet, or one and a quarter.
    const char *each = "model=e1000e interval=0", *four = "model=e1000e interval=130";
    Predictions p = predict(run_of({moderated(each), latency_of("moderation", each, 40),
                                    moderated(four), latency_of("moderation", four, 40)}),
                            packet_profile());
    EXPECT_NEAR(rate_of(p, std::string("cost ") + each).value->value, 425 + 20 + 200, 1e-6);
    EXPECT_NEAR(rate_of(p, std::string("cost ") + four).value->value, 425.0 / 4 + 20 + 125, 1e-6);
}

/// Lab livelock where a packet costs `input` instructions until it is queued, and a delivery
/// `delivery`, with its claims.
StoredRun livelock(double input, double delivery) {
    const RegionList regions{{"receive", {{"instructions", 400}}},
                             {"input", {{"instructions", input}}},
                             {"delivery", {{"instructions", delivery}}}};
    RegionList irq = regions;
    irq.emplace_back("interrupt", CountList{{"instructions", 100}, {"interrupts", 1}});
    StoredRun stored =
        run_of({with_regions("livelock", "policy=irq load=0.1", "delivered", "ppm", 1, irq),
                with_regions("livelock", "policy=hybrid load=10", "delivered", "ppm", 1, regions)});
    stored.run.claims = {{"livelock", "collapses", true, "counted", "irq-collapses"},
                         {"livelock", "keeps its peak", true, "counted", "hybrid-keeps-peak"}};
    return stored;
}

const ClaimPrediction& claim_of(const Predictions& p, const std::string& id) {
    for (const ClaimPrediction& c : p.claims)
        if (c.id == id) return c;
    static const ClaimPrediction none;
    ADD_FAILURE() << "no prediction of " << id;
    return none;
}

using Verdict = ClaimPrediction::Verdict;

TEST(Rates, DecideWhetherInterruptsLeaveTimeForDeliveries) {
    auto verdict = [](double delivery) {
        return claim_of(predict(livelock(4000, delivery), packet_profile()), "irq-collapses")
            .verdict;
    };
    // Until it is queued: 425 ns of the interrupt, 300 of receive, 1,000 of input.
    constexpr double queued_ns = interrupt_ns + 300 + 1000;
    EXPECT_EQ(verdict(4 * 17.9 * queued_ns), Verdict::holds);
    EXPECT_EQ(verdict(4 * 18.1 * queued_ns), Verdict::does_not_hold);
    // An interrupt may cost 200 to 800 ns.
    Profile vague = packet_profile(400, 1600);
    EXPECT_EQ(claim_of(predict(livelock(4000, 4 * 18 * queued_ns), vague), "irq-collapses").verdict,
              Verdict::open);
}

TEST(Rates, APriceThatIsMissingCanOnlyMakeInterruptsDearer) {
    Profile p = packet_profile();
    std::erase_if(p.prices, [](const Price& price) { return price.name == "interrupt-entry"; });
    const ClaimPrediction holds = claim_of(predict(livelock(4000, 8000), p), "irq-collapses");
    EXPECT_EQ(holds.verdict, Verdict::holds);
    EXPECT_NE(holds.because.find("the profile has no price interrupt-entry, which could only add"),
              std::string::npos)
        << holds.because;
    const ClaimPrediction open = claim_of(predict(livelock(10, 80000), p), "irq-collapses");
    EXPECT_EQ(open.verdict, Verdict::cannot_say);
    EXPECT_EQ(open.because, "the profile has no price interrupt-entry");
}

TEST(Rates, DecideWhetherPollingWithAQuotaKeepsItsPeak) {
    auto verdict = [](const StoredRun& stored) {
        return claim_of(predict(stored, packet_profile()), "hybrid-keeps-peak").verdict;
    };
    // Beside the packet's work 300 ns: two packets of 40 are 2/38 of it.
    EXPECT_EQ(verdict(livelock(4000, 4 * 4701)), Verdict::holds);
    EXPECT_EQ(verdict(livelock(4000, 4 * 4699)), Verdict::open);
    // A verdict needs the counts of a case that polls.
    StoredRun without = livelock(4000, 40000);
    without.run.series.pop_back();
    EXPECT_TRUE(predict(without, packet_profile()).claims.size() == 1);
}

TEST(Rates, DecideWhatAnIntervalSavesAndCosts) {
    // Packets come each 20 us.
    auto claims = [](double interrupt, double packet) {
        auto moderated = [&](const char* test_case, uint64_t a_thousand) {
            return with_regions(
                "moderation", test_case, "interrupts", "per 1000 packets", a_thousand,
                {{"interrupt", {{"instructions", interrupt * 4}, {"interrupts", 1}}},
                 {"packets", {{"instructions", packet * 4}}}});
        };
        const char *shorter = "model=e1000e interval=130", *longer = "model=e1000e interval=1000";
        StoredRun stored = run_of({moderated(shorter, 154), latency_of("moderation", shorter, 10),
                                   moderated(longer, 20), latency_of("moderation", longer, 10)});
        stored.run.claims = {{"moderation", "saves", true, "counted", "interval-saves-interrupts"},
                             {"moderation", "costs", true, "counted", "interval-costs-latency"}};
        return predict(stored, packet_profile());
    };
    Predictions cheap = claims(1000, 100);
    EXPECT_EQ(claim_of(cheap, "interval-saves-interrupts").verdict, Verdict::holds);
    EXPECT_EQ(claim_of(cheap, "interval-costs-latency").verdict, Verdict::holds);
    // One interrupt takes 300 us: the shorter interval is that long, too.
    Predictions dear = claims(300000, 100);
    EXPECT_EQ(claim_of(dear, "interval-saves-interrupts").verdict, Verdict::does_not_hold);
    EXPECT_EQ(claim_of(dear, "interval-costs-latency").verdict, Verdict::does_not_hold);
}

TEST(Rates, AreReadBackAsTheyWereWritten) {
    Predictions p = predict(pizza(), packet_profile(400, 1600));
    p.rates[0].value->high = std::numeric_limits<double>::infinity();
    Json once = p.json();
    EXPECT_EQ(once.at("rates")[0].at("high"), Json());
    Predictions back = Predictions::from(once);
    EXPECT_EQ(back.json(), once);
    EXPECT_TRUE(std::isinf(back.rates[0].value->high));
    EXPECT_NE(rate_text(*back.rates[0].value, "packets/s").find("or never"), std::string::npos);
    EXPECT_EQ(rate_text({18432, 9200, 36000}, "packets/s"), "18,400 packets/s (9,200 to 36,000)");
}

TEST(Rates, StandInTheTableBesideTheExactClocks) {
    std::string text = predictions_text(predict(pizza(), packet_profile()), {}, true);
    EXPECT_NE(text.find("break-even every=256"), std::string::npos) << text;
    EXPECT_NE(text.find("a packet by interrupt 220 ns"), std::string::npos) << text;
}

TEST(Rates, StandInTheReport) {
    std::vector<StoredRun> runs{pizza()};
    std::vector<PredictedRun> predicted{
        {&runs[0], predict(runs[0], packet_profile(400, 1600)), std::nullopt}};
    std::string html = rate_table(runs, predicted, "pizza");
    for (const char* text : {"break-even every=256", "4,690 packets/s (2,420 to 8,850)",
                             "a packet by interrupt 220 ns"})
        EXPECT_NE(html.find(text), std::string::npos) << text << " in " << html;
    EXPECT_EQ(rate_table(runs, predicted, "livelock"), "");
}

TEST(Corners, TakeAPriceAsTheSameInAllCosts) {
    OpenCost a{{}, "a"}, b{{}, "b"};
    a.cost.add("card-read", 1, {100, 50, 200});
    b.cost.add("card-read", 2, {200, 100, 400});
    b.cost.add("instructions", 1, {10, 5, 20});
    auto ratio = [](const std::vector<double>& v) { return v[1] / v[0]; };
    Estimate e = at_corners({a, b}, ratio);
    EXPECT_NEAR(e.value, 2.1, 1e-9);
    EXPECT_NEAR(e.low, 2 + 5.0 / 200, 1e-9);
    EXPECT_NEAR(e.high, 2 + 20.0 / 50, 1e-9);
}

}  // namespace
}  // namespace doorbell::test
