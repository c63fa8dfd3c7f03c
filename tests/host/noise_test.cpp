// Doorbell reports the host settings that make figures noisy, and no others.
#include <gtest/gtest.h>

#include <fstream>

#include "host/instrument.h"
#include "tests/image/run.h"

namespace doorbell::test {
namespace {

class Settings : public testing::Test {
  protected:
    void set(const std::string& name, const std::string& value) {
        fs::path file = scratch / ("sys/devices/system/cpu/" + name);
        fs::create_directories(file.parent_path());
        std::ofstream(file) << value << "\n";
    }
    std::string noise() {
        std::string all;
        for (const std::string& text : host::noise_of_settings(2, scratch / "")) all += text + "\n";
        return all;
    }
    Scratch scratch;
};

TEST_F(Settings, AQuietHostIsQuiet) {
    set("cpu2/cpufreq/scaling_governor", "performance");
    set("intel_pstate/no_turbo", "1");
    set("cpufreq/boost", "0");
    set("cpu2/topology/thread_siblings_list", "2");
    set("isolated", "2-3");
    EXPECT_EQ(noise(), "");
}

TEST_F(Settings, OnlyItsOwnCpuIsolatedIsQuiet) {
    for (const char* list : {"2", "0-3", "0,2", "1-2,7", "0-1,2"}) {
        set("isolated", list);
        EXPECT_EQ(noise(), "") << list;
    }
    for (const char* list : {"", "3", "0-1,3-4", "12", "20-29"}) {
        set("isolated", list);
        EXPECT_NE(noise(), "") << list;
    }
}

TEST_F(Settings, NoiseIsReported) {
    set("cpu2/cpufreq/scaling_governor", "schedutil");
    set("cpufreq/boost", "1");
    set("cpu2/topology/thread_siblings_list", "2,6");
    set("isolated", "");
    EXPECT_EQ(noise(),
              "frequency governor is schedutil, not performance\n"
              "turbo is on: cycles and ticks differ from moment to moment\n"
              "SMT: CPU 2 shares its core (siblings 2,6)\n"
              "CPU 2 is not isolated: the labs share it with everything else\n");
}

TEST_F(Settings, UnknownSettingsAreNotReported) {
    set("isolated", "2");
    set("cpu0/cpufreq/scaling_governor", "powersave");  // another CPU's
    EXPECT_EQ(noise(), "");
}

TEST_F(Settings, IntelsTurboSettingIsKnown) {
    set("isolated", "2");
    set("intel_pstate/no_turbo", "0");
    EXPECT_EQ(noise(), "turbo is on: cycles and ticks differ from moment to moment\n");
}

}  // namespace
}  // namespace doorbell::test
