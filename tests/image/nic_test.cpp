// The network labs on machines with PCI: every card, every figure, and the behaviour without a
// card.
#include <gtest/gtest.h>

#include <set>

#include "tests/image/emulator.h"
#include "tests/image/load.h"
#include "tests/image/run.h"

namespace doorbell::test {
namespace {

class NicOnEveryMachine : public testing::TestWithParam<std::string> {
  protected:
    Json run(const std::string& labs) {
        Outcome outcome = doorbell_run(scratch_, labs + " --machine " + GetParam());
        EXPECT_EQ(outcome.status, 0) << outcome.err;
        Json r = results(scratch_);
        EXPECT_EQ(r["complete"], true);
        return r;
    }
    Scratch scratch_;
};

TEST_P(NicOnEveryMachine, BothCardsKnowOfAPacketByEveryWait) {
    Json r = run("nic --samples 100");
    for (const char* model : {"e1000e", "virtio-net"}) {
        for (const char* wait : {"poll", "irq", "hybrid", "irq-halt"}) {
            Json test_case = {{"model", model}, {"wait", wait}};
            Json latency = series(r, "nic", test_case, "latency");
            ASSERT_TRUE(latency.is_object())
                << model << " " << wait << ": " << reason_of(r, "nic", test_case);
            EXPECT_EQ(latency["count"], 100);
            bool halts = wait == std::string("irq-halt"), polls = wait == std::string("poll");
            bool late = halts && model == std::string("e1000e") && emulator().e1000e_wakes_late;
            ASSERT_EQ(latency["flags"].size(), halts ? 1u : 0u)
                << model << " " << wait << latency["flags"];
            if (late) {
                EXPECT_GE(latency["p50"], 128000);
            } else {
                EXPECT_EQ(latency["p50"], polls ? 6 : 4) << model << " " << wait;
            }
            if (!halts) {
                // The packet comes anywhere in the polling loop.
                EXPECT_EQ(latency["min"], polls ? 5 : 4) << model << " " << wait;
                EXPECT_EQ(latency["max"], polls ? 8 : 4) << model << " " << wait;
            }
            // The flag depends on the observed delay, not on the name of the wait.
            if (halts) {
                EXPECT_EQ(latency["flags"][0].get<std::string>().find("128000 ns late") !=
                              std::string::npos,
                          late)
                    << latency["flags"];
            }
            Json path = series(r, "nic", test_case, "path");
            ASSERT_TRUE(path.is_object());
            EXPECT_EQ(path["stages"].size(), polls ? 4u : wait == std::string("hybrid") ? 7u : 6u);
        }
        EXPECT_NE(reason_of(r, "nic", {{"model", model}, {"wait", "mwait"}}), "");
        EXPECT_EQ(series(r, "nic", {{"model", model}, {"op", "empty-poll"}}, "cost")["p50"], 7)
            << model;
    }
    // The driver's C++ is in this figure: readme_test.cpp has the digits of Debian 12's compiler.
    EXPECT_LE(
        series(r, "nic", {{"model", "e1000e"}, {"op", "receive"}, {"burst", "32"}}, "cost")["p50"],
        30);
    for (auto [model, kind] :
         {std::pair{"e1000e", "msi"}, {"e1000e", "intx"}, {"virtio-net", "intx"}}) {
        Json test_case = {{"model", model}, {"wait", "irq"}, {"kind", kind}};
        Json latency = series(r, "nic", test_case, "latency");
        ASSERT_TRUE(latency.is_object())
            << model << " " << kind << ": " << reason_of(r, "nic", test_case);
        EXPECT_EQ(latency["count"], 100);
        EXPECT_EQ(latency["max"], 4) << model << " " << kind;
    }
}

TEST_P(NicOnEveryMachine, ACardsInterruptIsCutIntoStages) {
    Json r = run("anatomy:source=nic --samples 100");
    for (const char* ring : {"0", "3"}) {
        Json s = series(r, "anatomy", {{"source", "nic"}, {"ring", ring}}, "latency");
        ASSERT_TRUE(s.is_object()) << r["skipped"].dump();
        EXPECT_EQ(s["count"], 100);
        EXPECT_TRUE(s["flags"].empty()) << s["flags"].dump();
        ASSERT_EQ(s["stages"].size(), 7u);
        double sum = 0;
        for (const Json& stage : s["stages"]) sum += stage["p50"].get<double>();
        EXPECT_NEAR(sum, s["p50"].get<double>(), 1) << "stages add up to the whole";
        EXPECT_EQ(series(r, "anatomy", {{"source", "nic"}, {"ring", ring}}, "entry")["max"], 4);
    }
}

TEST_P(NicOnEveryMachine, ABagForTheCardCostsLessThanNotes) {
    Json r = run("batch:to=card --samples 20");
    auto cost = [&](const char* size, const char* metric) {
        Json s = series(r, "batch", {{"to", "card"}, {"size", size}}, metric);
        EXPECT_TRUE(s.is_object()) << r["skipped"].dump();
        return s.is_object() ? s["p50"].get<int>() : 0;
    };
    EXPECT_LT(cost("1000", "cost") * 3, cost("1", "cost"));
    EXPECT_GT(cost("1000", "first"), cost("1", "first") * 100);
}

/// Data that a card wrote is in no cache. The model must know that, or a packet would cost no miss.
TEST_P(NicOnEveryMachine, TheModelMissesWhereTheCardWrote) {
    Json r = run("nic:wait=irq nic:op=receive,burst=32 --samples 50 --model on");
    auto counter = [&](const Json& test_case, const char* metric, const char* stage,
                       const char* name) {
        Json s = series(r, "nic", test_case, metric);
        EXPECT_TRUE(s.is_object()) << r["skipped"].dump();
        if (!s.is_object()) return -1.0;
        for (const Json& c : s["counters"])
            if (c["name"] == name && c.value("stage", "") == stage)
                return c["value"].get<double>() / c["samples"].get<double>();
        ADD_FAILURE() << "no counter " << name << " of " << stage << ": " << s["counters"].dump();
        return -1.0;
    };
    for (const char* model : {"e1000e", "virtio-net"}) {
        Json test_case = {{"model", model}, {"wait", "irq"}};
        EXPECT_GE(counter(test_case, "path", "descriptor", "llc_misses"), 1) << model;
        EXPECT_GE(counter(test_case, "path", "payload", "llc_misses"), 1) << model;
        EXPECT_EQ(counter(test_case, "path", "end-of-interrupt", "mmio_reads"), 0)
            << model << ": MSI-X asks the card nothing";
        test_case["kind"] = "intx";
        EXPECT_EQ(counter(test_case, "path", "end-of-interrupt", "mmio_reads"), 1)
            << model << ": INTx is acknowledged at the card";
        Json burst = {{"model", model}, {"op", "receive"}, {"burst", "32"}};
        EXPECT_GE(counter(burst, "cost", "", "llc_misses"), 4) << model;
    }
}

TEST_P(NicOnEveryMachine, BurstsArriveWholeAndCostLessAPacket) {
    Json r = run("burst --samples 20");
    for (const char* model : {"e1000e", "virtio-net"}) {
        Json one = series(r, "burst", {{"model", model}, {"burst", "1"}}, "cost");
        Json many = series(r, "burst", {{"model", model}, {"burst", "32"}}, "cost");
        ASSERT_TRUE(one.is_object() && many.is_object()) << model;
        EXPECT_LT(many["p50"].get<int>() * 2, one["p50"].get<int>()) << model;
    }
    // The driver's C++ is in this figure, too.
    EXPECT_LE(series(r, "burst", {{"model", "e1000e"}, {"burst", "32"}}, "cost")["p50"], 25);
    EXPECT_TRUE(series(r, "burst", {{"model", "e1000e"}, {"burst", "1024"}}, "cost").is_object());
    for (unsigned burst : {512u, 1024u}) {
        Json test_case = {{"model", "virtio-net"}, {"burst", std::to_string(burst)}};
        bool room = emulator().virtio_transmit_room >= burst;
        EXPECT_EQ(series(r, "burst", test_case, "cost").is_object(), room)
            << reason_of(r, "burst", test_case);
        EXPECT_EQ(reason_of(r, "burst", test_case).empty(), room) << test_case;
    }
}

TEST_P(NicOnEveryMachine, LivelockIsSeenAndAvoided) {
    Json r = run("livelock --samples 100");
    auto delivered = [&](const char* policy, const char* load) {
        Json s = series(r, "livelock", {{"policy", policy}, {"load", load}}, "delivered");
        EXPECT_TRUE(s.is_object()) << policy << " " << load;
        return s.is_object() ? s["p50"].get<int64_t>() : -1;
    };
    for (const char* policy : {"irq", "poll", "quota", "hybrid"}) {
        EXPECT_NEAR(static_cast<double>(delivered(policy, "0.5")), 500000, 5000)
            << policy << ": under load nothing is lost";
        EXPECT_GT(delivered(policy, "1"), 900000) << policy;
    }
    EXPECT_LT(delivered("irq", "10"), 100000);
    EXPECT_LT(delivered("poll", "10"), 100000);
    EXPECT_GT(delivered("quota", "10"), 900000);
    EXPECT_GT(delivered("hybrid", "10"), 900000);
    for (const Json& claim : r["claims"]) EXPECT_EQ(claim["holds"], true) << claim.dump();
}

TEST_P(NicOnEveryMachine, ModerationAndPizzaRunAndTheirClaimsHold) {
    Json r = run("moderation pizza --samples 300");
    EXPECT_TRUE(
        series(r, "moderation", {{"model", "e1000e"}, {"interval", "500"}}, "latency").is_object());
    for (const Json& skip : r["skipped"]) EXPECT_NE(skip["lab"], "pizza") << skip.dump();
    Json poll =
        series(r, "pizza", {{"wait", "poll"}, {"every", "256"}, {"rate", "1000000"}}, "work");
    Json irq = series(r, "pizza", {{"wait", "irq"}, {"rate", "1000000"}}, "work");
    ASSERT_TRUE(poll.is_object() && irq.is_object());
    EXPECT_GT(poll["p50"].get<int64_t>(), irq["p50"].get<int64_t>());
    for (const Json& claim : r["claims"]) EXPECT_EQ(claim["holds"], true) << claim.dump();
}

// A card keeps its settings (QEMU's card keeps its throttle even over a reset): no lab may measure
// the settings of another one.
TEST_P(NicOnEveryMachine, WhatALabLeavesInTheCardIsNotInTheNextOnesFigures) {
    constexpr const char* labs =
        " nic:model=e1000e,wait=irq anatomy:source=nic pizza:wait=irq,rate=100000 --samples 100";
    Json alone = run(labs), after = run(std::string("moderation:interval=2000") + labs);
    size_t compared = 0;
    for (const Json& s : alone["series"]) {
        // The beginning of the next wait, and so the rest of the path, may move by one instruction
        // of the busy loop.
        if (s["metric"] != "latency" && s["metric"] != "entry") continue;
        Json other = series(after, s["lab"], s["case"], s["metric"]);
        ASSERT_TRUE(other.is_object()) << s["lab"] << s["case"];
        EXPECT_EQ(s["histogram"], other["histogram"]) << s["lab"] << s["case"] << s["metric"];
        ++compared;
    }
    EXPECT_GE(compared, 6u);
}

INSTANTIATE_TEST_SUITE_P(Machines, NicOnEveryMachine, testing::Values("q35", "pc"),
                         [](const auto& info) { return info.param; });

TEST(Nic, WithoutACardEveryCaseIsSkippedWithItsReason) {
    for (const char* machine : {"--machine microvm", "--machine pc --nic none"}) {
        Scratch scratch;
        Outcome run = doorbell_run(
            scratch, std::string("nic burst livelock moderation pizza --samples 10 ") + machine);
        ASSERT_EQ(run.status, 0) << run.err;
        Json r = results(scratch);
        EXPECT_TRUE(r["series"].empty()) << machine;
        ASSERT_FALSE(r["skipped"].empty());
        for (const Json& s : r["skipped"])
            EXPECT_EQ(s["reason"], "this machine has no card of this model (or no PCI)")
                << s.dump();
    }
}

TEST(Nic, TwentyRunsOfTheBusyWaitsGiveOneDigest) {
    std::set<std::string> digests;
    for (int i = 0; i < 20; ++i) {
        Load load(i >= 10);
        Scratch scratch;
        Outcome run = doorbell_run(
            scratch, "nic:wait=poll nic:wait=irq nic:wait=hybrid --samples 20 --machine pc");
        ASSERT_EQ(run.status, 0) << run.err;
        digests.insert(results(scratch)["digest"].get<std::string>());
    }
    EXPECT_EQ(digests.size(), 1u);
}

}  // namespace
}  // namespace doorbell::test
