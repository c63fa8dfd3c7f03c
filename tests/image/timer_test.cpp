// The whole path: boot, measure, send, collect; on every machine type, in the exact clock.
#include <gtest/gtest.h>

#include "tests/image/run.h"

namespace doorbell::test {
namespace {

class EveryMachine : public testing::TestWithParam<std::string> {};

TEST_P(EveryMachine, MeasuresTimersToTheInstruction) {
    Scratch scratch;
    Json r =
        results_of(scratch, doorbell_run(scratch, "timer --samples 200 --machine " + GetParam()));
    ASSERT_TRUE(r.is_object());
    EXPECT_EQ(r["complete"], true);
    EXPECT_EQ(r["instrument"]["verdict"], "exact");
    EXPECT_EQ(r["machine"]["tsc_hz"], 1000000000);

    Json irq = series(r, "timer", {{"source", "lapic"}, {"wait", "irq"}}, "latency");
    ASSERT_TRUE(irq.is_object());
    EXPECT_EQ(irq["unit"], "insn");
    EXPECT_EQ(irq["evidence"], "exact");
    EXPECT_EQ(irq["count"], 200);
    EXPECT_EQ(irq["min"], 5) << "the handler's way to its timestamp: its registers, RDTSC";
    EXPECT_EQ(irq["max"], 5) << "every interrupt takes the same path";

    Json poll = series(r, "timer", {{"source", "lapic"}, {"wait", "poll-tsc"}}, "latency");
    ASSERT_TRUE(poll.is_object());
    // The deadline falls on any of the loop's three instructions.
    EXPECT_EQ(poll["min"], 4);
    EXPECT_EQ(poll["p50"], 5);
    EXPECT_EQ(poll["max"], 6);
}

TEST_P(EveryMachine, StagesAddUpToTheWhole) {
    Scratch scratch;
    Outcome run = doorbell_run(scratch, "timer:wait=irq --samples 100 --machine " + GetParam());
    ASSERT_EQ(run.status, 0) << run.err;
    int seen = 0;
    const Json r = results(scratch);
    for (const Json& s : r["series"]) {
        if (s["stages"].empty()) continue;
        ++seen;
        double sum = 0;
        for (const Json& stage : s["stages"]) sum += stage.at("sum").get<double>();
        EXPECT_NEAR(sum, s.at("mean").get<double>() * s.at("count").get<double>(), 0.5)
            << s["case"];
        EXPECT_TRUE(s["flags"].empty()) << s["flags"];
    }
    EXPECT_GE(seen, 1);
}

TEST(Words, ALabInSeveralWordsRunsEachCaseOnceAndIsJudgedOnce) {
    Scratch scratch;
    ASSERT_EQ(doorbell_run(scratch,
                           "timer:source=lapic,wait=irq timer:source=lapic,wait=irq-halt "
                           "timer:wait=irq --samples 20 --machine pc")
                  .status,
              0);
    Json r = results(scratch);
    int latencies = 0, whole = 0;
    for (const Json& s : r["series"])
        if (s["metric"] == "latency" && s["case"] == Json({{"source", "lapic"}, {"wait", "irq"}}))
            ++latencies;
    EXPECT_EQ(latencies, 1);
    for (const Json& claim : r["claims"])
        if (claim["id"] == "busy-sooner-than-halted") {
            ++whole;
            EXPECT_NE(claim["because"].get<std::string>().find("irq-halt latency: p50"),
                      std::string::npos)
                << claim.dump();
        }
    EXPECT_EQ(whole, 1);
}

INSTANTIATE_TEST_SUITE_P(Boot, EveryMachine, testing::Values("q35", "pc", "microvm"),
                         [](const auto& info) { return info.param; });

TEST(Machines, GiveTheSameDigitsForTheSameTimer) {
    Scratch q35, pc;
    ASSERT_EQ(doorbell_run(q35, "timer:source=lapic --samples 100 --machine q35").status, 0);
    ASSERT_EQ(doorbell_run(pc, "timer:source=lapic --samples 100 --machine pc").status, 0);
    EXPECT_EQ(results(q35)["digest"], results(pc)["digest"]);
    EXPECT_NE(results(q35)["digest"], "");
}

TEST(Machines, ANewSeedGivesOtherPhasesAndTheSameSeedTheSame) {
    Scratch a, b, c;
    ASSERT_EQ(doorbell_run(a, "timer:wait=poll-tsc --samples 100 --seed 7").status, 0);
    ASSERT_EQ(doorbell_run(b, "timer:wait=poll-tsc --samples 100 --seed 7").status, 0);
    ASSERT_EQ(doorbell_run(c, "timer:wait=poll-tsc --samples 100 --seed 8").status, 0);
    EXPECT_EQ(results(a)["digest"], results(b)["digest"]);
    EXPECT_NE(results(a)["digest"], results(c)["digest"]);
}

TEST(Machines, LiveClockIsCalledRoughUnderEmulation) {
    Scratch scratch;
    Json r = results_of(
        scratch,
        doorbell_run(scratch, "timer:source=lapic --samples 20 --clock live --machine pc"));
    EXPECT_EQ(r["instrument"]["clock"], "live");
    EXPECT_FALSE(r["series"].empty());
    for (const Json& s : r["series"]) {
        EXPECT_EQ(s["evidence"], "rough");
        EXPECT_EQ(s["unit"], "tick");
    }
}

TEST(Machines, ASerialPortThatIsMissingDoesNotHangTheImage) {
    Scratch scratch;
    Outcome run = shell(scratch,
                        "timeout 60 qemu-system-x86_64 -nodefaults -M pc -m 512M -cpu max -accel "
                        "tcg,thread=single -icount shift=0,sleep=off "
                        "-display none -no-reboot -device isa-debug-exit,iobase=0xf4,iosize=4 "
                        "-kernel " DOORBELL_IMAGE " -append 'lab=clock samples=10 exit=debug'");
    EXPECT_EQ(run.status, 33) << run.err;
}

}  // namespace
}  // namespace doorbell::test
