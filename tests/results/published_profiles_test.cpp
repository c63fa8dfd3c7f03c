// The published profiles of host/profiles: each file reads, and each price has its source.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "harness/results/profile/profile.h"

namespace doorbell::test {
namespace {

using harness::Json;
using harness::Price;
using harness::Profile;

/// The prices that lab `prices`, `doorbell profile` and a prediction know.
std::set<std::string> price_names() {
    std::set<std::string> names = {"instruction",
                                   "yardstick",
                                   "dtlb-miss-4k",
                                   "page-walk-4k",
                                   "dtlb-miss-2m",
                                   "page-walk-2m",
                                   "mispredict",
                                   "call-ret",
                                   "lfence",
                                   "mfence",
                                   "lock-add",
                                   "rdtsc",
                                   "lfence-rdtsc",
                                   "rdtscp",
                                   "cpuid",
                                   "clflush",
                                   "int-iretq-ring0",
                                   "int-iretq-ring3",
                                   "syscall-sysret",
                                   "self-ipi",
                                   "iretq",
                                   "cr3-write",
                                   "cr3-write-pcid",
                                   "invlpg",
                                   "rdmsr",
                                   "wrmsr",
                                   "swapgs",
                                   "xsave",
                                   "xrstor",
                                   "apic-read",
                                   "apic-write",
                                   "eoi",
                                   "x2apic-read",
                                   "eoi-msr",
                                   "hpet-read",
                                   "hpet-write",
                                   "card-read",
                                   "card-write",
                                   "port-read",
                                   "port-write",
                                   "interrupt-entry",
                                   "msi-delivery",
                                   "interrupt-entry-hlt",
                                   "line-from-core",
                                   "interrupt-entry-ring3",
                                   "interrupt-entry-mwait",
                                   "hlt-wake",
                                   "mwait-wake-hint0",
                                   "late-branch-l2",
                                   "late-branch-llc",
                                   "late-branch-memory",
                                   "rep-movsb",
                                   "rep-stosb"};
    for (const char* access :
         {"load-chained", "load-scattered", "load-streamed", "store-scattered"})
        for (const char* level : {"l1d", "l2", "llc", "memory"})
            names.insert(fmt::format("{}-{}", access, level));
    return names;
}

std::vector<std::filesystem::path> profile_files() {
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(DOORBELL_PROFILES))
        if (entry.path().extension() == ".json") files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    return files;
}

class PublishedProfiles : public testing::TestWithParam<std::filesystem::path> {
  protected:
    Profile profile_ = [] {
        std::ifstream file(GetParam());
        return Profile::from(Json::parse(file));
    }();
};

TEST(PublishedProfilesFolder, HoldsThreeOrMore) { EXPECT_GE(profile_files().size(), 3u); }

TEST_P(PublishedProfiles, IsNamedAsItsFileAndReadBackAsItWasWritten) {
    EXPECT_EQ(profile_.name, GetParam().stem().string());
    EXPECT_EQ(profile_.evidence, "published");
    EXPECT_FALSE(profile_.sources.empty());
    EXPECT_TRUE(profile_.refused.empty());
    EXPECT_EQ(Profile::from(profile_.json()).json(), profile_.json());
}

TEST_P(PublishedProfiles, HasASourceForEachPrice) {
    for (const Price& price : profile_.prices) {
        EXPECT_EQ(price.evidence, "published") << price.name;
        ASSERT_FALSE(price.from.empty()) << price.name;
        // A source holds the figure, not only a title.
        EXPECT_TRUE(std::any_of(price.from.begin(), price.from.end(), [](const std::string& text) {
            return std::any_of(text.begin(), text.end(),
                               [](char c) { return c >= '0' && c <= '9'; });
        })) << price.name;
    }
}

TEST_P(PublishedProfiles, HasOrderedIntervalsInCyclesOrNanosecondsAlone) {
    for (const Price& price : profile_.prices) {
        EXPECT_TRUE(price.cycles || price.ns) << price.name;
        EXPECT_FALSE(price.insn || price.ticks) << price.name;
        for (const auto& interval : {price.cycles, price.ns})
            if (interval) {
                EXPECT_LT(0, interval->low) << price.name;
                EXPECT_LE(interval->low, interval->value) << price.name;
                EXPECT_LE(interval->value, interval->high) << price.name;
            }
    }
}

TEST_P(PublishedProfiles, HasEachNameOnceEitherPricedOrAbsentWithAReason) {
    std::multiset<std::string> names;
    for (const Price& price : profile_.prices) names.insert(price.name);
    for (const auto& missing : profile_.absent) {
        names.insert(missing.name);
        EXPECT_FALSE(missing.reason.empty()) << missing.name;
    }
    const auto known = price_names();
    EXPECT_TRUE(std::equal(names.begin(), names.end(), known.begin(), known.end()))
        << testing::PrintToString(names);
}

TEST_P(PublishedProfiles, HasTheFrequencyThatTurnsCyclesIntoTime) {
    const Json& hz = profile_.machine.at("core_hz");
    double low = hz.at("low"), value = hz.at("value"), high = hz.at("high");
    EXPECT_LT(0.5e9, low);
    EXPECT_LE(low, value);
    EXPECT_LE(value, high);
    EXPECT_LT(high, 10e9);
}

TEST_P(PublishedProfiles, GrowsDearerFromLevelToLevel) {
    const Price *l1d = profile_.find("load-chained-l1d"), *l2 = profile_.find("load-chained-l2"),
                *llc = profile_.find("load-chained-llc"),
                *memory = profile_.find("load-chained-memory");
    ASSERT_TRUE(l1d && l2 && llc && memory);
    double hz = profile_.machine.at("core_hz").at("value");
    EXPECT_LT(l1d->cycles->high, l2->cycles->low);
    EXPECT_LT(l2->cycles->high, llc->cycles->low);
    EXPECT_LT(llc->cycles->value, memory->ns->value * hz / 1e9);
}

INSTANTIATE_TEST_SUITE_P(HostProfiles, PublishedProfiles, testing::ValuesIn(profile_files()),
                         [](const auto& test) {
                             std::string name = test.param.stem().string();
                             std::replace(name.begin(), name.end(), '-', '_');
                             return name;
                         });

}  // namespace
}  // namespace doorbell::test
