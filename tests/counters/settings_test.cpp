#include "host/counters/settings.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "host/counters/perf_group.h"
#include "host/counters/tune.h"

namespace doorbell::host {
namespace {

namespace fs = std::filesystem;

class HostSettings : public testing::Test {
  protected:
    HostSettings() {
        std::string pattern = (fs::temp_directory_path() / "settings-XXXXXX").string();
        folder = mkdtemp(pattern.data());
        std::ofstream(file()) << "1\n";
        std::ofstream(other()) << "powersave\n";
    }
    ~HostSettings() override { fs::remove_all(folder); }
    fs::path file() const { return folder / "watchdog"; }
    fs::path other() const { return folder / "governor"; }
    fs::path journal() const { return folder / "journal"; }
    static std::string content(const fs::path& path) {
        std::ifstream in(path);
        std::string line;
        std::getline(in, line);
        return line;
    }
    /// A process that changes both and then does `last`.
    template <class F>
    int child(F last) {
        pid_t pid = fork();
        if (pid == 0) {
            Settings settings(journal());
            bool done = settings.set(file(), "0").empty() &&
                        settings.set(other(), "performance").empty() && content(file()) == "0";
            if (!done) _exit(9);
            last();
            _exit(8);
        }
        int status = 0;
        waitpid(pid, &status, 0);
        return status;
    }
    fs::path folder;
};

TEST_F(HostSettings, ArePutBackAtTheEnd) {
    {
        Settings settings(journal());
        EXPECT_EQ(settings.set(file(), "0"), "");
        EXPECT_EQ(settings.set(file(), "2"), "");
        EXPECT_EQ(content(file()), "2");
    }
    EXPECT_EQ(content(file()), "1");
    EXPECT_FALSE(fs::exists(journal()));
}

TEST_F(HostSettings, ArePutBackOnSignalsWhichThenTakeTheirDefaultAction) {
    for (int number : {SIGINT, SIGTERM, SIGHUP}) {
        int status = child([&] { raise(number); });
        EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == number);
        EXPECT_EQ(content(file()), "1");
        EXPECT_EQ(content(other()), "powersave");
        EXPECT_FALSE(fs::exists(journal()));
    }
}

TEST_F(HostSettings, ArePutBackAtTheNextStartAfterAKill) {
    int status = child([] { raise(SIGKILL); });
    ASSERT_TRUE(WIFSIGNALED(status));
    EXPECT_EQ(content(file()), "0");
    Settings next(journal());
    EXPECT_EQ(next.leftovers(), 2u);
    EXPECT_EQ(content(file()), "1");
    EXPECT_EQ(content(other()), "powersave");
    EXPECT_FALSE(fs::exists(journal()));
}

TEST_F(HostSettings, WithoutAJournalNothingIsChanged) {
    Settings settings(folder / "no/such/folder/journal");
    EXPECT_NE(settings.set(file(), "0"), "");
    EXPECT_EQ(content(file()), "1");
    EXPECT_NE(settings.set(folder / "missing", "0"), "");
}

TEST_F(HostSettings, AnotherThatStillRunsIsLeftAlone) {
    // A child has written its journal and waits.
    int ready[2], go[2];
    ASSERT_EQ(pipe(ready), 0);
    ASSERT_EQ(pipe(go), 0);
    pid_t pid = fork();
    if (pid == 0) {
        Settings settings(journal());
        char byte = settings.set(file(), "0").empty() ? 'y' : 'n';
        (void)!write(ready[1], &byte, 1);
        (void)!read(go[0], &byte, 1);
        settings.put_back();
        _exit(0);
    }
    char byte = 0;
    ASSERT_EQ(read(ready[0], &byte, 1), 1);
    ASSERT_EQ(byte, 'y');
    EXPECT_THROW(Settings{journal()}, std::runtime_error);
    EXPECT_EQ(content(file()), "0");
    ASSERT_EQ(write(go[1], &byte, 1), 1);
    waitpid(pid, nullptr, 0);
    EXPECT_EQ(content(file()), "1");
    for (int end : {ready[0], ready[1], go[0], go[1]}) close(end);
}

TEST_F(HostSettings, AProcessThatOnlyHasTheNumberOfTheOwnerDoesNotHoldThem) {
    std::ofstream(journal()) << getppid() << " 1\n"
                             << file().string() << "\t7\n";  // started at another time
    Settings settings(journal());
    EXPECT_EQ(settings.leftovers(), 1u);
    EXPECT_EQ(content(file()), "7");
}

class HostTuning : public HostSettings {
  protected:
    /// A file below the fake root, with its folders.
    fs::path have(const std::string& name, const std::string& value) {
        fs::create_directories((folder / name).parent_path());
        std::ofstream(folder / name) << value << "\n";
        return folder / name;
    }
};

TEST_F(HostTuning, SetsWhatTheHostOffersAndPutsItBack) {
    fs::path governor = have("sys/devices/system/cpu/cpu1/cpufreq/scaling_governor", "schedutil");
    fs::path set_already =
        have("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "performance");
    fs::path no_turbo = have("sys/devices/system/cpu/intel_pstate/no_turbo", "0");
    fs::path watchdog = have("proc/sys/kernel/nmi_watchdog", "1");
    fs::path elsewhere = have("sys/devices/system/cpu/cpu7/cpufreq/scaling_governor", "powersave");
    {
        Settings settings(journal());
        Tuned tuned = tune(settings, {0, 1}, folder);
        EXPECT_EQ(
            tuned.changed,
            (std::vector<std::string>{
                "/sys/devices/system/cpu/cpu1/cpufreq/scaling_governor: schedutil -> performance",
                "/sys/devices/system/cpu/intel_pstate/no_turbo: 0 -> 1",
                "/proc/sys/kernel/nmi_watchdog: 1 -> 0"}));
        EXPECT_TRUE(tuned.refused.empty());
        EXPECT_EQ(content(governor), "performance");
        EXPECT_EQ(content(no_turbo), "1");
        EXPECT_EQ(content(watchdog), "0");
        EXPECT_EQ(content(elsewhere), "powersave");
    }
    EXPECT_EQ(content(governor), "schedutil");
    EXPECT_EQ(content(set_already), "performance");
    EXPECT_EQ(content(no_turbo), "0");
    EXPECT_EQ(content(watchdog), "1");
}

TEST_F(HostTuning, AHostThatOffersNothingIsLeftAlone) {
    Settings settings(journal());
    Tuned tuned = tune(settings, {0, 1}, folder);
    EXPECT_TRUE(tuned.changed.empty() && tuned.refused.empty());
    EXPECT_FALSE(fs::exists(journal()));
}

TEST(Perf, EachCountHasAValueOrAReason) {
    PerfGroup group;
    group.start();
    volatile uint64_t sum = 0;
    for (uint64_t i = 0; i < 100000; ++i) sum = sum + i;
    std::vector<PerfCount> counts = group.stop();
    EXPECT_FALSE(counts.empty());
    for (const PerfCount& c : counts) {
        EXPECT_NE(c.value.has_value(), !c.absent.empty()) << c.name << ": " << c.absent;
        if (c.value && c.name == "instructions") EXPECT_GE(*c.value, 100000u);
    }
    EXPECT_EQ(group.has_pmu(), group.why_no_pmu().empty());
}

TEST(Perf, SoftwareEventsCountTheirEvents) {
    PerfGroup group;
    group.start();
    for (int i = 0; i < 20; ++i) {
        usleep(1000);  // yields the processor
    }
    std::vector<PerfCount> counts = group.stop();
    auto c = std::find_if(counts.begin(), counts.end(),
                          [](const PerfCount& one) { return one.name == "context_switches"; });
    ASSERT_NE(c, counts.end());
    if (!c->value) GTEST_SKIP() << c->absent;
    EXPECT_GE(*c->value, 20u);
}

TEST(Perf, ChildrenAreCountedOnRequest) {
    auto switches = [](bool children) -> std::optional<uint64_t> {
        PerfGroup group(0, children);
        group.start();
        if (fork() == 0) {
            for (int i = 0; i < 50; ++i) usleep(1000);
            _exit(0);
        }
        wait(nullptr);
        for (const PerfCount& c : group.stop())
            if (c.name == "context_switches") return c.value;
        return std::nullopt;
    };
    std::optional<uint64_t> with = switches(true), without = switches(false);
    if (!with || !without) GTEST_SKIP() << "no software events for this user";
    EXPECT_GE(*with, 50u);
    EXPECT_LT(*without, 50u);
}

TEST_F(HostTuning, TheReasonForNoPmuComesWithItsRemedy) {
    auto reason = [&](const char* flags) {
        have("proc/cpuinfo", std::string("processor : 0\nflags : fpu ") + flags);
        return perf_reason(ENOENT, true, folder);
    };
    EXPECT_NE(reason("hypervisor").find("switch its vPMU on"), std::string::npos);
    EXPECT_NE(reason("vme").find("the firmware hides it"), std::string::npos);
    EXPECT_NE(reason("hypervisor arch_perfmon").find("no driver"), std::string::npos);
    EXPECT_NE(reason("perfctr_core").find("no driver"), std::string::npos);
    have("proc/sys/kernel/perf_event_paranoid", "3");
    EXPECT_EQ(
        perf_reason(EACCES, true, folder),
        "not allowed (perf_event_paranoid = 3): sysctl kernel.perf_event_paranoid=1, or be root");
}

}  // namespace
}  // namespace doorbell::host
