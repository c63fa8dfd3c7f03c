// The exact counts of every load, loop and measured path do not depend on the compiler. Every other
// compiler on this machine builds the image too (see CMakeLists.txt), and the test compares the
// series.
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "tests/image/run.h"

namespace doorbell::test {
namespace {

/// The other images: name of the compiler, path.
std::map<std::string, std::string> other_images() {
    std::map<std::string, std::string> images;
    std::istringstream words(DOORBELL_OTHER_IMAGES);
    for (std::string word; words >> word;) {
        size_t equals = word.find('=');
        images[word.substr(0, equals)] = word.substr(equals + 1);
    }
    return images;
}

TEST(Compilers, AnotherOneIsHere) {
    EXPECT_EQ(other_images().count("clang++"), 1u)
        << "clang++ is missing: install the package clang (TEST_PACKAGES), and configure again";
}

/// Series that contain a driver's or the kernel's C++, and so may differ: receiving and sending
/// packets, and signals that come from a fault or a system call, or that end the task.
bool may_differ(const Json& series) {
    const Json& lab = series["lab"];
    const Json& test_case = series["case"];
    if (lab == "batch") return test_case.contains("to");
    if (lab == "signals")
        return test_case.contains("target") && test_case["signal"] != "SIGTERM" &&
               test_case["signal"] != "SIGINT";
    if (lab != "nic") return false;
    return test_case.value("op", "") == "receive" || series["metric"] == "path" ||
           series["metric"] == "payload";
}

Json stage(const Json& series, const std::string& name) {
    for (const Json& s : series["stages"])
        if (s["name"] == name) return s;
    return nullptr;
}

/// The names of the series of A that differ in B and must not; `compared` counts the comparisons.
std::vector<std::string> differing(const Json& a, const Json& b, unsigned& compared) {
    std::vector<std::string> names;
    for (const Json& s : a["series"]) {
        std::string name = s["lab"].get<std::string>() + " " + s["case"].dump() + " " +
                           s["metric"].get<std::string>();
        Json other = series(b, s["lab"], s["case"], s["metric"]);
        bool same = !other.is_null();
        if (same && s["metric"] == "path") same = stage(s, "payload") == stage(other, "payload");
        if (same && (may_differ(s) || unstable(s))) continue;
        ++compared;
        for (const char* member : {"count", "min", "max", "mean", "histogram"})
            same = same && (s["metric"] == "path" || s[member] == other[member]);
        if (!same) names.push_back(name);
    }
    if (a["series"].size() != b["series"].size()) names.push_back("the number of series");
    return names;
}

void expect_equal(const std::string& arguments, unsigned at_least) {
    Scratch scratch;
    ASSERT_EQ(doorbell_run(scratch, arguments).status, 0);
    Json here = results(scratch);
    for (const auto& [name, image] : other_images()) {
        Outcome run = doorbell_run(scratch, arguments + " --image " + image);
        ASSERT_EQ(run.status, 0) << name << ": " << run.err;
        Json there = results(scratch);
        EXPECT_NE(here["machine"]["compiler"], there["machine"]["compiler"]);
        unsigned compared = 0;
        for (const std::string& series : differing(here, there, compared))
            ADD_FAILURE() << here["machine"]["compiler"] << " and " << there["machine"]["compiler"]
                          << " differ in " << series;
        EXPECT_GE(compared, at_least);
    }
}

TEST(Compilers, TheCoreLabsCountTheSame) {
    expect_equal(
        "timer clock anatomy syscall switch batch rings nic thrash:tasks=1 thrash:tasks=10 "
        "thrash:tasks=100 --samples 200",
        500);
}

TEST(Compilers, SignalsLandTheSame) {
    // As many samples as the committer's path has instructions, and more.
    expect_equal("signals --samples 1000", 30);
}

}  // namespace
}  // namespace doorbell::test
