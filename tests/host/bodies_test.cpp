// The bodies of lab `caches`, in the image and under Linux.
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "tests/image/run.h"

namespace doorbell::test {
namespace {

std::map<std::string, uint64_t> checksums_of_image(const Json& results) {
    std::map<std::string, uint64_t> found;
    for (const Json& tally : results.at("tallies"))
        if (tally.at("case").contains("body"))
            found[tally.at("case").at("body")] = tally.at("values").at("checksum");
    return found;
}

std::map<std::string, uint64_t> checksums_of_linux(const Json& results) {
    std::map<std::string, uint64_t> found;
    for (const Json& s : results.at("series"))
        for (const Json& c : s.at("counters"))
            if (c.at("name") == "checksum") found[s.at("case").at("body")] = c.at("value");
    return found;
}

Json image_run(const Scratch& scratch, const std::string& more) {
    Outcome run =
        shell(scratch,
              "rm -rf run; " DOORBELL_COMMAND " run caches --quiet --samples 1 --out run " + more);
    EXPECT_EQ(run.status, 0) << run.err;
    return results(scratch);
}

TEST(Bodies, ComputeTheSameInTheImageAndUnderLinux) {
    Scratch scratch;
    auto image = checksums_of_image(image_run(scratch, "--model off"));
    Outcome host = shell(scratch, "rm -rf run; " DOORBELL_COMMAND
                                  " host caches --quiet --samples 1 --warm-up 1 --out run");
    ASSERT_EQ(host.status, 0) << host.err;
    auto linux_program = checksums_of_linux(results(scratch));
    EXPECT_GE(image.size(), 30u);
    EXPECT_EQ(image, linux_program);
}

TEST(Bodies, CountTheSameInTwoRuns) {
    auto counts = [](const Json& results) {
        std::map<std::string, Json> found;
        for (const Json& s : results.at("series"))
            if (s.at("case").contains("body")) found[s.at("case").at("body")] = s.at("counters");
        return found;
    };
    Scratch scratch;
    auto one = counts(image_run(scratch, "--model on")),
         other = counts(image_run(scratch, "--model on"));
    EXPECT_GE(one.size(), 30u);
    ASSERT_EQ(one.size(), other.size());
    for (const auto& [body, counters] : one) {
        EXPECT_FALSE(counters.empty()) << body;
        EXPECT_EQ(counters, other[body]) << body;
    }
}

}  // namespace
}  // namespace doorbell::test
