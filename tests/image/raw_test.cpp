// --raw keeps every sample, even of series with more samples than requested: one a packet, one a
// job.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/image/run.h"

namespace doorbell::test {
namespace {

TEST(Raw, SeriesOfPacketsAndJobsAreKeptWhole) {
    Scratch scratch;
    Outcome run = doorbell_run(
        scratch,
        "pizza:wait=irq,rate=1000000 thrash:tasks=1000,policy=pool --samples 20 --raw --quiet");
    ASSERT_EQ(run.status, 0) << run.err;
    unsigned more = 0;
    const Json all = results(scratch);
    for (const Json& s : all.at("series")) {
        std::string lines = content(scratch / ("run/" + s.at("raw").get<std::string>()));
        EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), s.at("count").get<int>() + 1)
            << s.at("metric");  // a line of words
        more += s.at("count").get<int>() > 20;
    }
    EXPECT_GE(more, 3u);
}

}  // namespace
}  // namespace doorbell::test
