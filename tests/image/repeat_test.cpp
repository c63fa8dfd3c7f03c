// The promise of the exact clock: the same digits every time, whatever else the machine is doing.
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

}  // namespace
}  // namespace doorbell::test
