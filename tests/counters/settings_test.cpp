#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "host/counters/perf_group.h"
#include "host/counters/settings.h"

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
            bool done = settings.set(file(), "0").empty() && settings.set(other(), "performance").empty() && content(file()) == "0";
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

TEST_F(HostSettings, ArePutBackOnSignalsWhichThenDoWhatTheyDo) {
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
    std::ofstream(journal()) << getppid() << "\n" << file().string() << "\t7\n";
    EXPECT_THROW(Settings{journal()}, std::runtime_error);
    EXPECT_EQ(content(file()), "1");
}

TEST(Perf, EachCountHasAValueOrAReason) {
    PerfGroup group;
    group.start();
    volatile uint64_t sum = 0;
    for (uint64_t i = 0; i < 100000; ++i) sum = sum + i;
    for (const PerfCount& c : group.stop()) {
        EXPECT_NE(c.value.has_value(), !c.absent.empty()) << c.name << ": " << c.absent;
        if (c.value && c.name == "instructions") EXPECT_GE(*c.value, 100000u);
    }
    EXPECT_EQ(group.has_pmu(), group.why_no_pmu().empty());
}

TEST(Perf, SoftwareEventsCountTheirEvents) {
    PerfGroup group;
    group.start();
    for (int i = 0; i < 20; ++i) {
        usleep(1000);  // gives the processor away
    }
    for (const PerfCount& c : group.stop())
        if (c.name == "context_switches" && c.value) EXPECT_GE(*c.value, 20u);
}

TEST(Perf, ReasonsSayWhatWouldHelp) {
    EXPECT_NE(perf_reason(EACCES, true).find("sysctl kernel.perf_event_paranoid"), std::string::npos);
    EXPECT_NE(perf_reason(ENOENT, true).find("vPMU"), std::string::npos);
}

}  // namespace
}  // namespace doorbell::host
