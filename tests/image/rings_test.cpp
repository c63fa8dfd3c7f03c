// What ring 3 is denied, what the kernel survives, and the labs anatomy, batch and thrash.
#include <gtest/gtest.h>

#include <set>

#include "tests/image/emulator.h"
#include "tests/image/run.h"

namespace doorbell::test {
namespace {

TEST(Rings, Ring3IsRefusedEveryAttemptAndTheImageGoesOn) {
    Scratch scratch;
    Json r = results_of(scratch, doorbell_run(scratch, "rings --samples 2"));
    EXPECT_EQ(r["complete"], true);
    // A fault of the emulator alone is named and does not refute the claim.
    Json refused = claim(r, "ring3-refused");
    const std::set<std::string>& allowed = emulator().allowed_in_ring_3;
    EXPECT_EQ(refused["holds"], allowed.empty() ? Json(true) : Json()) << refused;
    for (const std::string& attempt : allowed)
        EXPECT_NE(refused["because"].get<std::string>().find(attempt), std::string::npos)
            << refused;
    EXPECT_EQ(refused["because"].get<std::string>().find("QEMU's emulation") != std::string::npos,
              !allowed.empty())
        << refused;
    for (const Json& s : r["series"])
        if (s["metric"] == "refused" && s["case"]["ring"] == "3") {
            bool may = allowed.count(s["case"]["try"]) != 0;
            EXPECT_EQ(s["max"], may ? 0 : 1) << s["case"];
        }
    EXPECT_EQ(claim(r, "ring0-refused-user-pages")["holds"], true);
    EXPECT_EQ(claim(r, "no-crossing")["holds"], true);
    // Which exception and error code: SDM vol. 3A, "Interrupt and Exception Handling".
    auto says = [&](const char* attempt, const char* ring, const char* metric) {
        return series(r, "rings", {{"try", attempt}, {"ring", ring}}, metric)["p50"];
    };
    EXPECT_EQ(says("hlt", "3", "exception"), 13);
    EXPECT_EQ(says("hlt", "0", "refused"), 0) << "ring 0 halts, and wakes up";
    // The gate's index in the IDT, and the IDT bit.
    EXPECT_EQ(says("gate-timer", "3", "error-code"), 0x40 * emulator().bytes_a_gate + 2);
    EXPECT_EQ(says("write-kernel-page", "3", "error-code"), 7) << "present, write, user";
    EXPECT_EQ(says("run-user-page", "0", "error-code"), 0x11) << "present, fetch";
    EXPECT_TRUE(series(r, "rings", {{"try", "hlt"}, {"ring", "0"}}, "exception").is_null())
        << "absent, not zero";
}

TEST(Rings, TheKernelSurvivesHostilePrograms) {
    for (const char* seed : {"1", "2", "3"}) {
        Scratch scratch;
        Outcome run = doorbell_run(scratch, std::string("hostile --samples 10 --seed ") + seed);
        ASSERT_EQ(run.status, 0) << run.err;
        Json r = results(scratch);
        Json survives = claim(r, "kernel-survives");
        EXPECT_EQ(survives["holds"], true) << survives;
        EXPECT_EQ(series(r, "hostile", {{"try", "calls"}}, "kernel-intact")["count"], 10000);
        // The attempts are useful only where they provoke the processor.
        EXPECT_GT(series(r, "hostile", {{"try", "bytes"}}, "ended-by")["mean"], 4);
        EXPECT_GT(series(r, "hostile", {{"try", "jumps"}}, "ended-by")["mean"], 4);
    }
}

/// Random bytes that enter virtual-8086 mode under QEMU 7.2 (126, 136) or would end QEMU itself
/// (148), and attempts to enter other modes and segments.
TEST(Rings, NoModeThatRing3ReachesEndsMoreThanItsTask) {
    for (const char* attempt : {"try=bytes --seed 126", "try=bytes --seed 136",
                                "try=bytes --seed 148", "try=modes --seed 1"}) {
        Scratch scratch;
        Outcome run = doorbell_run(scratch, std::string("hostile:") + attempt + " --samples 10");
        ASSERT_EQ(run.status, 0) << attempt << run.err;
        const Json r = results(scratch);
        for (const Json& s : r.at("series")) {
            if (s.at("metric") == "kernel-intact") {
                EXPECT_EQ(s.at("min"), 1) << attempt << s.at("flags");
                EXPECT_EQ(s.at("count"), 2000);
            } else {
                EXPECT_GT(s.at("mean"), 4) << attempt << ": most of it must provoke something";
            }
        }
    }
}

TEST(Anatomy, StagesOfAnInterruptAddUpInEitherRing) {
    Scratch scratch;
    Json r = results_of(scratch, doorbell_run(scratch, "anatomy --samples 50"));
    std::set<std::string> rings;
    for (const Json& s : r["series"]) {
        if (s["stages"].empty()) continue;
        rings.insert(s["case"]["ring"].get<std::string>());
        uint64_t sum = 0;
        for (const Json& stage : s["stages"]) sum += stage["sum"].get<uint64_t>();
        EXPECT_EQ(sum, s["sum"].get<uint64_t>()) << s["case"];
        EXPECT_TRUE(s["flags"].empty()) << s["flags"];
    }
    EXPECT_EQ(rings, (std::set<std::string>{"0", "3"}));
    // The deadline falls in front of the handler; INT n is the last instruction in front of it.
    for (const auto& [source, entry] : {std::pair{"lapic", 5}, {"int", 4}, {"ipi", 4}})
        for (const char* ring : {"0", "3"}) {
            Json s = series(r, "anatomy", {{"source", source}, {"ring", ring}}, "entry");
            EXPECT_EQ(s["min"], entry) << s["case"];
            EXPECT_EQ(s["max"], entry) << s["case"];
        }
}

TEST(Batch, ARecordInALargeBagCostsLessAndTheFirstWaitsLonger) {
    Scratch scratch;
    Json r = results_of(
        scratch, doorbell_run(scratch, "batch:size=1 batch:size=100 batch:size=1000 --samples 10"));
    auto median = [&](const char* size, const char* metric) {
        return series(r, "batch", {{"size", size}}, metric)["p50"].get<uint64_t>();
    };
    EXPECT_GT(median("1", "cost"), 5 * median("100", "cost"));
    EXPECT_GE(median("100", "cost"), median("1000", "cost"));
    EXPECT_LT(median("1", "first"), median("100", "first"));
}

TEST(Thrash, FiveThousandTasksRunToTheirEnd) {
    Scratch scratch;
    Json r = results_of(scratch, doorbell_run(scratch, "thrash:tasks=5000 --set rounds=4"));
    Json many = series(r, "thrash", {{"tasks", "5000"}, {"policy", "tasks"}}, "job");
    ASSERT_TRUE(many.is_object());
    EXPECT_EQ(many["count"], 5000);
    EXPECT_GT(series(r, "thrash", {{"tasks", "5000"}, {"policy", "tasks"}}, "memory")["p50"],
              5000 * 16384);
}

}  // namespace
}  // namespace doorbell::test
