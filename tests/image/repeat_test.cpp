// The exact clock gives the same digits every time, whatever else the machine is doing.
#include <gtest/gtest.h>

#include <set>

#include "tests/image/load.h"
#include "tests/image/run.h"

namespace doorbell::test {
namespace {

TEST(Repeat, TwentyRunsTenUnderLoadGiveOneDigest) {
    std::set<std::string> digests;
    for (int i = 0; i < 20; ++i) {
        Load load(i >= 10);
        Scratch scratch;
        Outcome run = doorbell_run(scratch, "timer clock --samples 50 --machine pc");
        ASSERT_EQ(run.status, 0) << run.err;
        digests.insert(results(scratch)["digest"].get<std::string>());
    }
    EXPECT_EQ(digests.size(), 1u);
    EXPECT_NE(*digests.begin(), "");
}

TEST(Repeat, AllDefaultLabsGiveOneDigestLoadedOrNot) {
    std::set<std::string> digests;
    for (int i = 0; i < 3; ++i) {
        Load load(i >= 1);
        Scratch scratch;
        Outcome run = doorbell_run(scratch, "--samples 20");
        ASSERT_EQ(run.status, 0) << run.err;
        digests.insert(results(scratch)["digest"].get<std::string>());
    }
    EXPECT_EQ(digests.size(), 1u);
}

TEST(Repeat, EarlierCasesDoNotChangeFigures) {
    Scratch alone, after;
    ASSERT_EQ(doorbell_run(alone, "timer:source=hpet clock:clock=hpet --samples 200").status, 0);
    ASSERT_EQ(doorbell_run(after,
                           "timer:source=lapic timer:source=hpet clock:clock=rdtsc "
                           "clock:clock=hpet syscall:gate=syscall --samples 200")
                  .status,
              0);
    Json r = results(alone), other = results(after);
    int compared = 0;
    for (const Json& s : r["series"]) {
        if (!s["flags"].empty()) continue;
        ++compared;
        EXPECT_EQ(s["histogram"], series(other, s["lab"], s["case"], s["metric"])["histogram"])
            << s["case"] << s["metric"];
    }
    EXPECT_GE(compared, 5);
}

TEST(Repeat, AHaltedWaitIsNotPartOfTheDigest) {
    Scratch scratch;
    ASSERT_EQ(doorbell_run(scratch,
                           "timer:source=lapic,wait=irq-halt timer:source=lapic,wait=mwait "
                           "--samples 20 --machine pc")
                  .status,
              0);
    Json r = results(scratch);
    ASSERT_FALSE(r["series"].empty());
    for (const Json& s : r["series"]) EXPECT_EQ(s["flags"].size(), 1u) << s["case"];
    EXPECT_FALSE(r.contains("digest") && r["digest"] != "") << r["digest"];
}

}  // namespace
}  // namespace doorbell::test
