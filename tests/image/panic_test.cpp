// What a user sees when the image itself goes wrong: a panic in each phase, a destroyed stack, a
// triple fault, a hang.
#include <gtest/gtest.h>

#include "tests/image/run.h"

namespace doorbell::test {
namespace {

Outcome fail(const Scratch& scratch, const std::string& how, const std::string& more = "") {
    return doorbell_run(scratch, "timer --samples 10 --machine pc --fault " + how + " " + more);
}

TEST(Panic, BeforeTheMachineIsUpNamesFunctionAndLine) {
    Scratch scratch;
    Outcome run = fail(scratch, "early");
    EXPECT_EQ(run.status, 3);
    EXPECT_NE(run.err.find("#UD"), std::string::npos) << run.err;
    EXPECT_NE(run.err.find("fail_on_purpose"), std::string::npos) << run.err;
    EXPECT_NE(run.err.find("main.cpp:"), std::string::npos) << run.err;
    EXPECT_EQ(results(scratch)["complete"], false);
}

TEST(Panic, InALabNamesLabAndCase) {
    Scratch scratch;
    Outcome run = fail(scratch, "lab");
    EXPECT_EQ(run.status, 3);
    EXPECT_NE(run.err.find("source=lapic wait=poll"), std::string::npos) << run.err;
    Json r = results(scratch);
    EXPECT_EQ(r["complete"], false);
    EXPECT_EQ(r["instrument"]["verdict"], "exact") << "what arrived before is kept";
}

TEST(Panic, DoubleFaultIsReportedWithADestroyedStack) {
    Scratch scratch;
    Outcome run = fail(scratch, "double");
    EXPECT_EQ(run.status, 3);
    EXPECT_NE(run.err.find("#DF"), std::string::npos) << run.err;
}

TEST(Panic, ARunawayStackEndsAtItsGuardPage) {
    Scratch scratch;
    Outcome run = fail(scratch, "stack");
    EXPECT_EQ(run.status, 3);
    EXPECT_NE(run.err.find("#DF"), std::string::npos)
        << "the guard page is not mapped, so the fault cannot be pushed: " << run.err;
}

TEST(Panic, WritingToCodeAndRunningDataAreRefused) {
    for (std::string how : {"write-code", "run-data", "null"}) {
        Scratch scratch;
        Outcome run = fail(scratch, how);
        EXPECT_EQ(run.status, 3) << how;
        EXPECT_NE(run.err.find("#PF"), std::string::npos) << how << ": " << run.err;
    }
}

TEST(Panic, ATripleFaultIsReported) {
    Scratch scratch;
    Outcome run = fail(scratch, "triple");
    EXPECT_EQ(run.status, 3);
    EXPECT_EQ(results(scratch)["complete"], false);
    EXPECT_NE(run.err.find("triple fault"), std::string::npos) << run.err;
}

TEST(Panic, AHangIsEndedByTheWatchdog) {
    Scratch scratch;
    Outcome run = fail(scratch, "hang", "--timeout 3");
    EXPECT_EQ(run.status, 3);
    EXPECT_NE(run.err.find("no record"), std::string::npos) << run.err;
    EXPECT_EQ(results(scratch)["complete"], false);
}

TEST(CommandLine, AWordThatTheImageDoesNotKnowIsAnError) {
    Scratch scratch;
    Outcome run = shell(scratch,
                        "qemu-system-x86_64 -nodefaults -M pc -m 512M -cpu max -accel tcg -display "
                        "none -serial stdio -monitor none -no-reboot "
                        "-device isa-debug-exit,iobase=0xf4,iosize=4 -kernel " DOORBELL_IMAGE
                        " -append 'lab=timer colour=blue exit=debug'"
                        " | " DOORBELL_COMMAND " attach - --out run");
    EXPECT_EQ(run.status, 3);
    EXPECT_NE(run.err.find("colour=blue"), std::string::npos) << run.err;
}

}  // namespace
}  // namespace doorbell::test
