// What the model counts in the regions of the packet labs, against what the exact clock measured of
// the same run: each instruction of a region took one nanosecond.
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "tests/image/run.h"

namespace doorbell::test {
namespace {

/// A region's counts in all, and how often it was passed.
struct Region {
    double passes = 0;
    std::map<std::string, double> counts;
    double operator[](const std::string& name) const {
        auto found = counts.find(name);
        return found == counts.end() ? 0 : found->second;
    }
    /// Instructions that the clock counted: a timestamp's two are in no count of the model.
    double ticks() const { return (*this)["instructions"] + 2 * (*this)["timestamps"]; }
};

std::map<std::string, Region> regions_of(const Json& series) {
    std::map<std::string, Region> all;
    for (const Json& c : series.value("counters", Json::array())) {
        Region& r = all[c.value("stage", "")];
        r.passes = c.at("samples").get<double>();
        r.counts[c.at("name")] = c.at("value").get<double>();
    }
    return all;
}

TEST(Regions, OfPizzaExplainWhatTheExactClockMeasured) {
    Scratch scratch;
    Json all = results_of(scratch,
                          doorbell_run(scratch, "pizza:rate=1000 --samples 20 --quiet --model on"));
    for (const char* every : {"", "16", "256", "4096"}) {
        SCOPED_TRACE(every);
        Json test_case = {{"wait", *every == 0 ? "irq" : "poll"}, {"rate", "1000"}};
        if (*every != 0) test_case["every"] = every;
        Json work = series(all, "pizza", test_case, "work");
        double packets = series(all, "pizza", test_case, "latency").at("count").get<double>();
        auto regions = regions_of(work);
        ASSERT_GT(packets, 0);
        EXPECT_GE(regions["packet"].passes, packets);
        // 1,000 packets a second, each a millionth of what it takes.
        double left = 1 - regions["packet"].ticks() / packets / 1e6;
        if (*every == 0) {
            const Region& interrupt = regions["interrupt"];
            EXPECT_GE(interrupt.passes, packets);
            for (const char* once : {"interrupts", "iretq", "apic_writes"})
                EXPECT_EQ(interrupt[once], interrupt.passes) << once;
            EXPECT_EQ(regions.count("look"), 0u);
            left -= interrupt.ticks() / packets / 1e6;
        } else {
            const Region &job = regions["job"], &look = regions["look"];
            EXPECT_EQ(regions.count("interrupt"), 0u);
            EXPECT_EQ(look.passes, job.passes);
            // Seventeen instructions a step, and the ends of rows.
            double steps = std::stod(every) * job.passes;
            EXPECT_GE(job["instructions"], 17 * steps);
            EXPECT_LT(job["instructions"], 17.5 * steps + 20 * job.passes);
            EXPECT_GE(look["loads"], look.passes);
            EXPECT_LT(look["instructions"], 20 * look.passes);
            // Beside the looks, the job's steps are begun anew after each.
            double alone = regions["alone"].ticks() / regions["alone"].passes / 4096;
            EXPECT_GE(alone, 17);
            left *= alone * steps / (job.ticks() + look.ticks());
        }
        // The ends of rows fall differently into either stretch.
        EXPECT_NEAR(work.at("p50").get<double>(), 1e6 * left, 2000);
    }
}

TEST(Regions, OfLivelockAndModerationHoldEachPacketOnce) {
    Scratch scratch;
    Json all = results_of(
        scratch, doorbell_run(scratch,
                              "livelock:policy=irq,load=0.1 moderation:model=e1000e,interval=130 "
                              "--samples 20 --quiet --model on"));
    auto livelock =
        regions_of(series(all, "livelock", {{"policy", "irq"}, {"load", "0.1"}}, "delivered"));
    const Region &input = livelock["input"], &delivery = livelock["delivery"];
    ASSERT_GT(input.passes, 0);
    EXPECT_EQ(livelock["interrupt"].passes, livelock["interrupt"]["interrupts"]);
    // Two instructions a step of work, which no handler of the timer is counted with.
    EXPECT_NEAR(input["instructions"] / input.passes, 2 * 8000, 40);
    EXPECT_NEAR(delivery["instructions"] / delivery.passes, 2 * 12000, 40);
    EXPECT_EQ(input["interrupts"], 0);

    Json test_case = {{"model", "e1000e"}, {"interval", "130"}};
    Json interrupts = series(all, "moderation", test_case, "interrupts");
    double packets = series(all, "moderation", test_case, "latency").at("count").get<double>();
    auto moderated = regions_of(interrupts);
    EXPECT_NEAR(moderated["interrupt"].passes * 1000 / packets, interrupts.at("p50").get<double>(),
                1000 / packets + 1);
    EXPECT_GE(moderated["packets"].passes, moderated["interrupt"].passes);
    EXPECT_GT(moderated["packets"]["instructions"], 10 * packets);
}

}  // namespace
}  // namespace doorbell::test
