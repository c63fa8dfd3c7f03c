// The labs as Linux programs: every case ends in a series or in a reason.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>

#include "tests/image/run.h"

namespace doorbell::test {
namespace {

Outcome host(const Scratch& scratch, const std::string& arguments) {
    return shell(scratch, DOORBELL_COMMAND " host " + arguments + " --out run");
}

std::string text_of(const Json& keys) {
    std::string text;
    for (const auto& [key, value] : keys.items())
        text += (text.empty() ? "" : " ") + key + "=" + value.get<std::string>();
    return text;
}

/// Words in any order.
std::set<std::string> words_of(const std::string& text) {
    std::istringstream in(text);
    std::set<std::string> words;
    for (std::string word; in >> word;) words.insert(word);
    return words;
}

uint64_t least(const Json& results, const std::string& lab, const Json& test_case,
               const std::string& metric) {
    Json found = series(results, lab, test_case, metric);
    EXPECT_FALSE(found.is_null()) << lab << " " << test_case.dump() << " " << metric;
    return found.is_null() ? 0 : found.at("min").get<uint64_t>();
}

/// The cases that `doorbell host --list --json` lists for a lab.
std::set<std::set<std::string>> listed_cases(const std::string& list, const std::string& lab) {
    std::set<std::set<std::string>> cases;
    for (const Json& one : Json::parse(list))
        if (one.at("lab") == lab)
            for (const Json& test_case : one.at("cases"))
                cases.insert(words_of(test_case.get<std::string>()));
    return cases;
}

class LinuxLab : public testing::TestWithParam<const char*> {};

TEST_P(LinuxLab, EachCaseIsMeasuredOrSkippedWithItsReason) {
    Scratch scratch;
    Outcome list = shell(scratch, DOORBELL_COMMAND " host --list --json");
    ASSERT_EQ(list.status, 0) << list.err;
    auto wanted = listed_cases(list.out, GetParam());
    ASSERT_FALSE(wanted.empty());

    Json got =
        results_of(scratch, host(scratch, std::string(GetParam()) + " --samples 20 --warm-up 2"));
    ASSERT_TRUE(got.at("complete").get<bool>());
    std::set<std::set<std::string>> seen;
    for (const Json& s : got.at("series")) {
        seen.insert(words_of(text_of(s.at("case"))));
        EXPECT_GT(s.at("count").get<uint64_t>(), 0u);
        EXPECT_TRUE(s.at("evidence") == "measured" || s.at("evidence") == "rough")
            << s.at("evidence");
        // Time has both units, ticks and nanoseconds.
        if (s.at("unit") == "tick") {
            double ratio =
                s.at("max").get<double>() / got.at("machine").at("tsc_hz").get<double>() * 1e9;
            EXPECT_NEAR(s.at("ns").at("max").get<double>(), ratio, ratio * 1e-6 + 1);
        }
    }
    // A case's first series holds its counters. The instrument record lists them, and why others
    // are missing.
    if (got.at("instrument").at("counters") == "perf") {
        std::set<std::set<std::string>> counted;
        for (const Json& s : got.at("series"))
            for (const Json& c : s.at("counters"))
                if (c.at("name") == "context_switches") {
                    EXPECT_EQ(c.at("evidence"), "measured");
                    EXPECT_LE(c.at("samples").get<uint64_t>(), s.at("count").get<uint64_t>());
                    EXPECT_TRUE(counted.insert(words_of(text_of(s.at("case")))).second)
                        << "counted twice: " << s.at("case");
                }
        EXPECT_EQ(counted, seen);
    }
    EXPECT_NE(got.at("instrument").at("counters_because"), "");
    for (const Json& skip : got.at("skipped")) {
        std::string reason = skip.at("reason");
        EXPECT_NE(reason, "");
        // These would be the lab's own fault.
        for (const char* fault : {"no packet came", "lost on the way"})
            EXPECT_EQ(reason.find(fault), std::string::npos) << skip.dump();
        EXPECT_TRUE(seen.insert(words_of(text_of(skip.at("case")))).second)
            << "both measured and skipped: " << skip.dump();
    }
    EXPECT_EQ(seen, wanted);

    // Google Benchmark's own file has every case too.
    Json benchmark = Json::parse(content(scratch / "run/benchmark.json"));
    std::set<std::string> names;
    for (const Json& one : benchmark.at("benchmarks"))
        names.insert(one.at("name").get<std::string>());
    EXPECT_EQ(names.size(), wanted.size());
}

INSTANTIATE_TEST_SUITE_P(All, LinuxLab,
                         testing::Values("timer", "nic", "syscall", "batch", "switch", "signals",
                                         "thrash", "caches"),
                         [](const auto& info) { return std::string(info.param); });

TEST(LinuxLabs, AHandlerDrainsAndSigkillDoesNotAsk) {
    Scratch scratch;
    Json got = results_of(
        scratch,
        host(scratch, "signals:drain=handler signals:drain=signalfd --samples 200 --warm-up 1"));
    for (const char* drain : {"handler", "signalfd"})
        for (const char* metric : {"torn", "lost"}) {
            Json found = series(got, "signals", {{"signal", "SIGTERM"}, {"drain", drain}}, metric);
            ASSERT_FALSE(found.is_null());
            EXPECT_EQ(found.at("max"), 0) << drain << " " << metric;
            EXPECT_EQ(found.at("count"), 20);
        }
    EXPECT_FALSE(
        series(got, "signals", {{"signal", "SIGKILL"}, {"drain", "handler"}}, "torn").is_null());
}

TEST(LinuxLabs, OneBagIsCheaperThanAThousandNotes) {
    Scratch scratch;
    Json got = results_of(scratch, host(scratch, "batch:by=write --samples 100"));
    uint64_t notes = least(got, "batch", {{"by", "write"}, {"size", "1"}}, "cost");
    uint64_t bag = least(got, "batch", {{"by", "write"}, {"size", "1000"}}, "cost");
    EXPECT_LT(bag * 3, notes);
}

TEST(LinuxLabs, ACallIsCheaperThanASystemCall) {
    Scratch scratch;
    Json got = results_of(scratch, host(scratch, "syscall --samples 200 --raw"));
    uint64_t call = least(got, "syscall", {{"gate", "call"}}, "cost");
    uint64_t system_call =
        least(got, "syscall", {{"gate", "syscall"}, {"call", "getppid"}}, "cost");
    EXPECT_LT(call * 2, system_call);
    // --raw: a line of words, then a line for each sample.
    std::string samples = content(
        scratch /
        ("run/" + series(got, "syscall", {{"gate", "call"}}, "cost").at("raw").get<std::string>()));
    EXPECT_EQ(std::count(samples.begin(), samples.end(), '\n'), 201);
}

/// The counter of a case's first series, or nothing.
Json counter(const Json& results, const std::string& lab, const Json& test_case,
             const std::string& name) {
    for (const Json& s : results.at("series"))
        if (s.at("lab") == lab && s.at("case") == test_case)
            for (const Json& c : s.at("counters"))
                if (c.at("name") == name) return c;
    return nullptr;
}

TEST(LinuxCounters, ShowWhatACaseDidAndRemoveNoSample) {
    Scratch scratch;
    Outcome run = host(scratch, "syscall:gate=call switch:by=eventfd --samples 300");
    Json got = results_of(scratch, run);
    if (got.at("instrument").at("counters") == "none")
        GTEST_SKIP() << got.at("instrument").at("counters_because");
    const Json handed{{"by", "eventfd"}, {"who", "process"}};
    Json switches = counter(got, "switch", handed, "context_switches");
    ASSERT_FALSE(switches.is_null());
    EXPECT_EQ(switches.at("samples"), 256);  // in separate passes, of at most this many
    EXPECT_GE(switches.at("value"), 256);    // each round trip yields the CPU once
    EXPECT_EQ(series(got, "switch", handed, "cost").at("count"), 300);
    Json none = counter(got, "syscall", {{"gate", "call"}}, "context_switches");
    ASSERT_FALSE(none.is_null());
    EXPECT_LT(none.at("value"),
              64);  // a call never yields it, but a busy machine preempts it now and then
    EXPECT_NE(run.out.find("counters a sample, measured"), std::string::npos) << run.out;
    EXPECT_NE(run.out.find("context_switches"), std::string::npos) << run.out;
    EXPECT_NE(run.out.find("counters: perf, perf events of the measured thread"), std::string::npos)
        << run.out;
    // An absent counter is reported with what would make it work.
    std::string because = got.at("instrument").at("counters_because");
    bool counted = !counter(got, "syscall", {{"gate", "call"}}, "instructions").is_null();
    EXPECT_NE(counted, because.find("absent: instructions") != std::string::npos) << because;
    Outcome off = host(scratch, "syscall:gate=call --samples 20 --counters off");
    ASSERT_EQ(off.status, 0) << off.err;
    EXPECT_EQ(results(scratch).at("instrument").at("counters"), "none");
    Outcome wrong = host(scratch, "syscall:gate=call --counters pref");
    EXPECT_EQ(wrong.status, 2);
    EXPECT_NE(wrong.err.find("\"perf\""), std::string::npos) << wrong.err;
}

/// A folder like the root of a machine with a PMU, MSRs, PCM and settings.
class FakeRoot {
  public:
    explicit FakeRoot(const Scratch& scratch) : root(scratch / "root") {
        have("proc/cpuinfo", "vendor_id : GenuineIntel\nflags : fpu arch_perfmon x");
        have("dev/cpu/0/msr", "");
        have("run/.keep", "");
    }
    fs::path have(const std::string& name, const std::string& text) const {
        fs::create_directories((root / name).parent_path());
        std::ofstream(root / name) << text << "\n";
        return root / name;
    }
    /// pcm-raw of release 202302: "Update every", and its header rows with the first row.
    void pcm_raw(const std::string& header, const std::string& row) const {
        program("pcm-raw", "printf 'Update every '$1' seconds\\n' >&2\nsleep $1\nprintf '" +
                               header + "' >$out\nwhile :; do printf '" + row +
                               "\\n' >>$out; rows=$((rows - 1)); [ $rows = 0 ] && break\n"
                               "sleep $1; done");
    }
    /// pcm of that release: only its header rows when it begins.
    void pcm(const std::string& header, const std::string& row) const {
        program("pcm", "printf '" + header + "' >$out\nsleep $1\nprintf '\\n" + row + "' >>$out");
    }
    void program(const std::string& name, const std::string& script) const {
        fs::permissions(have("usr/sbin/" + name,
                             "#!/bin/sh\nfor w; do case $w in -csv=*) out=${w#-csv=};; -i=*) "
                             "rows=${w#-i=};; esac; done\nprintf '\\n Intel(r) Performance Counter "
                             "Monitor\\n\\nDetected x\\n' >&2\n" +
                                 script),
                        fs::perms::owner_all);
    }
    fs::path root;
};

TEST(LinuxCounters, PcmCountsACoreAndTheSystemWhereItIsAskedFor) {
    Scratch scratch;
    FakeRoot fake(scratch);
    fake.pcm_raw(
        ",,,SKT0CORE0,SKT0CORE0,SKT0CORE0,SKT0CORE0,\\nDate,Time,ms,core_instructions,"
        "core_llc_references,core_llc_misses,core_branch_misses,\\n",
        "2026-01-01,10:00:00.000,1000,9007199254740991,5000,700,N/A,");
    fake.pcm("System,System,System,System,System,Socket 0,\\nDate,Time,L3MISS,READ,WRITE,READ,",
             "2026-01-01,10:00:00.000,1.25,0.50,nan,0.50,");
    Json got =
        results_of(scratch, host(scratch, "syscall:gate=call --samples 20 --counters all --root " +
                                              fake.root.string()));
    const Json call{{"gate", "call"}};
    Json misses = counter(got, "syscall", call, "core_llc_misses");
    ASSERT_FALSE(misses.is_null()) << got.at("flags");
    EXPECT_EQ(misses.at("value"), 700);
    EXPECT_GT(misses.at("samples"), 1000);  // for a second, one call after another
    EXPECT_EQ(counter(got, "syscall", call, "core_instructions").at("value"), 9007199254740991u);
    EXPECT_TRUE(counter(got, "syscall", call, "core_branch_misses").is_null());
    // 1.25 million misses and 0.5 GB in a separate pass, scaled to the same number of samples.
    EXPECT_NEAR(
        counter(got, "syscall", call, "system_llc_misses").at("value").get<double>() / 1.25e6,
        counter(got, "syscall", call, "system_memory_read_bytes").at("value").get<double>() / 0.5e9,
        1e-3);
    EXPECT_TRUE(counter(got, "syscall", call, "system_memory_written_bytes").is_null());
    EXPECT_EQ(series(got, "syscall", call, "cost").at("count"), 20);
}

TEST(LinuxCounters, ARefusalOfPcmIsReportedAndTheRunGoesOn) {
    Scratch scratch;
    FakeRoot fake(scratch);
    fs::permissions(
        fake.have("usr/sbin/pcm-raw", "#!/bin/sh\necho Access to CPU MSRs denied >&2; exit 1"),
        fs::perms::owner_all);
    Outcome run =
        host(scratch, "syscall:gate=call syscall:gate=vdso --samples 20 --counters all --root " +
                          fake.root.string());
    ASSERT_EQ(run.status, 0) << run.err;
    EXPECT_NE(run.out.find("PCM does not count: Access to CPU MSRs denied"), std::string::npos)
        << run.out;
    EXPECT_EQ(results(scratch).at("series").size(), 2u);
}

TEST(LinuxCounters, WhatOneOfPcmsProgramsCountedIsKeptWhereTheOtherFails) {
    for (bool raw_fails : {false, true}) {
        Scratch scratch;
        FakeRoot fake(scratch);
        fake.pcm_raw(",,,SKT0CORE0,\\nDate,Time,ms,core_llc_misses,\\n",
                     "2026-01-01,10:00:00.000,1000,700,");
        fake.pcm("System,System,System,\\nDate,Time,L3MISS,", "2026-01-01,10:00:00.000,1.25,");
        fake.program(raw_fails ? "pcm-raw" : "pcm",
                     "echo Access to PCICFG space denied >&2\necho Cleaning up >&2\nexit 1");
        Outcome run = host(scratch,
                           "syscall:gate=call syscall:gate=vdso --samples 20 --counters "
                           "all --root " +
                               fake.root.string());
        ASSERT_EQ(run.status, 0) << run.err;
        Json got = results(scratch);
        for (const Json& test_case :
             {Json{{"gate", "call"}}, Json{{"gate", "vdso"}, {"call", "clock_gettime"}}}) {
            Json core = counter(got, "syscall", test_case, "core_llc_misses"),
                 system = counter(got, "syscall", test_case, "system_llc_misses");
            EXPECT_EQ(core.is_null(), raw_fails) << test_case << core;
            EXPECT_EQ(system.is_null(), !raw_fails) << test_case << system;
        }
        EXPECT_NE(got.at("flags").dump().find("Access to PCICFG space denied"), std::string::npos)
            << got.at("flags");
    }
}

class LinuxSettings : public testing::Test {
  protected:
    LinuxSettings() : fake(scratch) {
        governor = fake.have("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "schedutil");
        watchdog = fake.have("proc/sys/kernel/nmi_watchdog", "1");
    }
    /// Starts a long run with --tune and sends it `signal` once it measures. Returns its outcome.
    Outcome run_until(const char* signal) {
        std::string command = DOORBELL_COMMAND;
        return shell(scratch, command +
                                  " host syscall:gate=call switch:by=eventfd --tune --samples "
                                  "50000000 --root root --out run & pid=$!; "
                                  "for i in $(seq 600); do grep -q '\"t\":\"begin\"' "
                                  "run/console.log 2>/dev/null && break; sleep 0.1; done; "
                                  "paste -sd, " +
                                  governor.string() + " " + watchdog.string() + "; kill -" +
                                  signal + " $pid; wait $pid");
    }
    std::string now() const { return first_line(governor) + ", " + first_line(watchdog); }
    static std::string first_line(const fs::path& file) {
        return content(file).substr(0, content(file).find('\n'));
    }
    Scratch scratch;
    FakeRoot fake;
    fs::path governor, watchdog;
};

TEST_F(LinuxSettings, AreSetWhileItRunsAndPutBackAtItsEnd) {
    Outcome run = shell(scratch, DOORBELL_COMMAND
                        " host syscall:gate=call --samples 20 --tune --root root --out run");
    ASSERT_EQ(run.status, 0) << run.err;
    EXPECT_NE(run.err.find("scaling_governor: schedutil -> performance"), std::string::npos)
        << run.err;
    EXPECT_EQ(Json::parse(content(scratch / "run/manifest.json")).at("settings").size(), 2u);
    EXPECT_EQ(now(), "schedutil, 1");
}

TEST_F(LinuxSettings, ArePutBackAfterSigint) {
    Outcome run = run_until("INT");
    EXPECT_EQ(run.status, 130) << run.err;
    EXPECT_TRUE(run.out.starts_with("performance\n0\n")) << run.out << run.err;
    EXPECT_EQ(now(), "schedutil, 1");
}

TEST_F(LinuxSettings, ArePutBackByTheNextStartAfterAKill) {
    Outcome killed = run_until("KILL");
    EXPECT_EQ(killed.status, 137) << killed.err;
    EXPECT_EQ(now(), "performance, 0");
    Outcome doctor = shell(scratch, DOORBELL_COMMAND " doctor --root root");
    EXPECT_NE(doctor.out.find("left changed by a run that was killed"), std::string::npos)
        << doctor.out;
    Outcome next = shell(
        scratch, DOORBELL_COMMAND " host syscall:gate=call --samples 20 --root root --out again");
    ASSERT_EQ(next.status, 0) << next.err;
    EXPECT_NE(next.err.find("put back 2 host settings that a killed run had left changed"),
              std::string::npos)
        << next.err;
    EXPECT_EQ(now(), "schedutil, 1");
    EXPECT_FALSE(fs::exists(fake.root / "run/doorbell-settings"));
}

TEST(Doctor, NamesWhatIsMissingAndWhatWouldMakeItWork) {
    Scratch scratch;
    FakeRoot fake(scratch);
    auto finding = [&](const std::string& what) -> Json {
        Outcome doctor = shell(scratch, DOORBELL_COMMAND " doctor --json --root root");
        Json all = Json::parse(doctor.out);
        for (const Json& one : all.at("findings"))
            if (one.at("what") == what) return one;
        return nullptr;
    };
    EXPECT_EQ(finding("PMU").at("ok"), true);
    EXPECT_EQ(finding("Intel PCM").at("change"), "apt-get install pcm");
    EXPECT_EQ(finding("perf_event_paranoid").at("ok"), false);
    fake.have("proc/cpuinfo", "vendor_id : GenuineIntel\nflags : fpu hypervisor x");
    EXPECT_NE(finding("PMU").at("change").get<std::string>().find("switch its vPMU on"),
              std::string::npos);
    fake.have("proc/cpuinfo", "vendor_id : GenuineIntel\nflags : fpu x");
    EXPECT_NE(finding("PMU").at("found").get<std::string>().find("CPUID shows no PMU"),
              std::string::npos);
    fs::remove(fake.root / "dev/cpu/0/msr");
    EXPECT_NE(finding("MSRs").at("change").get<std::string>().find("modprobe msr"),
              std::string::npos);
    fake.have("proc/sys/kernel/perf_event_paranoid", "1");
    EXPECT_EQ(finding("perf_event_paranoid").at("ok"), true);
}

TEST(Doctor, ATimeStampCounterThatTheKernelRejectedIsNotOk) {
    Scratch scratch;
    FakeRoot fake(scratch);
    const std::string sources = "sys/devices/system/clocksource/clocksource0/";
    auto finding = [&](const char* current, const char* available) -> Json {
        fake.have("proc/cpuinfo", "flags : fpu constant_tsc nonstop_tsc x");
        fake.have(sources + "current_clocksource", current);
        fake.have(sources + "available_clocksource", available);
        Outcome doctor = shell(scratch, DOORBELL_COMMAND " doctor --json --root root");
        Json all = Json::parse(doctor.out);
        for (const Json& one : all.at("findings"))
            if (one.at("what") == "time stamp counter") return one;
        return nullptr;
    };
    EXPECT_EQ(finding("tsc", "tsc hpet acpi_pm").at("ok"), true);
    EXPECT_EQ(finding("kvm-clock", "kvm-clock acpi_pm").at("ok"), true);
    for (const char* clock : {"acpi_pm", "hpet"}) {
        Json rejected = finding(clock, "hpet acpi_pm");
        EXPECT_EQ(rejected.at("ok"), false);
        EXPECT_NE(rejected.at("found").get<std::string>().find(clock), std::string::npos);
        EXPECT_EQ(finding(clock, "tsc hpet acpi_pm").at("ok"), false);
    }
}

TEST(LinuxLabs, RepetitionsJoin) {
    Scratch scratch;
    Json got = results_of(scratch, host(scratch, "syscall --samples 50 --repetitions 3"));
    EXPECT_EQ(got.at("series").size() + got.at("skipped").size(), 6u);
    for (const Json& s : got.at("series")) EXPECT_EQ(s.at("count"), 150) << s.at("case");
    // Each case has its own samples.
    EXPECT_GT(least(got, "syscall", {{"gate", "syscall"}, {"call", "getppid"}}, "cost"),
              least(got, "syscall", {{"gate", "call"}}, "cost"));
    EXPECT_GT(least(got, "syscall", {{"gate", "syscall"}, {"call", "getppid"}}, "cost"),
              least(got, "syscall", {{"gate", "vdso"}, {"call", "clock_gettime"}}, "cost"));
}

TEST(LinuxLabs, AWrongWordIsAnsweredWithTheNearest) {
    Scratch scratch;
    Outcome lab = host(scratch, "syscal");
    EXPECT_EQ(lab.status, 2);
    EXPECT_NE(lab.err.find("\"syscall\""), std::string::npos) << lab.err;
    Outcome test_case = host(scratch, "timer:source=timerfx");
    EXPECT_EQ(test_case.status, 2);
    EXPECT_NE(test_case.err.find("source=timerfd"), std::string::npos) << test_case.err;
    EXPECT_FALSE(fs::exists(scratch / "run"));
}

TEST(LinuxLabs, AMissingCpuIsWrongUsage) {
    Scratch scratch;
    for (const char* cpus : {"1023", "0,1023", "x", "0,"}) {
        Outcome run = host(scratch, std::string("syscall --cpus ") + cpus);
        EXPECT_EQ(run.status, 2) << cpus << run.err;
        EXPECT_NE(run.err.find("--cpus"), std::string::npos) << run.err;
        EXPECT_EQ(std::count(run.err.begin(), run.err.end(), '\n'), 1) << run.err;
    }
    EXPECT_FALSE(fs::exists(scratch / "run"));
}

TEST(LinuxLabs, ABusyNeighbourOnTheCpuIsNoise) {
    Scratch scratch;
    // On the one CPU that both share, a busy neighbour takes about half of the gap scan's time.
    Outcome run = shell(scratch,
                        "cpu=$(taskset -cp $$ | sed 's/.*: *//; s/[-,].*//'); taskset -c $cpu sh "
                        "-c 'while :; do :; done' & busy=$!; " +
                            std::string(DOORBELL_COMMAND) +
                            " host syscall:gate=call --samples 5 --cpus $cpu --out run; status=$?; "
                            "kill $busy; exit $status");
    Json got = results_of(scratch, run);
    EXPECT_EQ(got.at("instrument").at("verdict"), "medians");
    EXPECT_GT(got.at("instrument").at("gap_share_ppm").get<uint64_t>(), 1000u);
    bool said = false;
    for (const Json& flag : got.at("flags"))
        said |= flag.get<std::string>().starts_with("noisy host: ");
    EXPECT_TRUE(said) << got.at("flags").dump();
}

TEST(LinuxLabs, WithoutRootWhatNeedsItIsSkippedAndTheRestIsMeasured) {
    if (geteuid() != 0) GTEST_SKIP() << "only root can become somebody else";
    Scratch scratch;
    fs::permissions(scratch / "", fs::perms::all);
    std::string nobody =
        "setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --bounding-set=-all ";
    // Use copies: the checkout may be below a folder that other users cannot read. What the command
    // needs is beside it.
    fs::path command = DOORBELL_COMMAND;
    for (const char* name : {"doorbell", "doorbell-linux"}) {
        fs::copy(command.parent_path() / name, scratch / name);
        fs::permissions(scratch / name, fs::perms::others_read | fs::perms::others_exec,
                        fs::perm_options::add);
    }
    Outcome run = shell(scratch, nobody +
                                     "./doorbell host timer nic switch:by=sched_yield --samples 10 "
                                     "--warm-up 1 --out run");
    Json got = results_of(scratch, run);
    for (const char* wait : {"block", "epoll", "spin"})
        EXPECT_FALSE(
            series(got, "nic", {{"path", "loopback"}, {"wait", wait}}, "latency").is_null())
            << wait;
    EXPECT_FALSE(
        series(got, "timer", {{"source", "nanosleep"}, {"policy", "other"}}, "latency").is_null());
    auto reason = [&](const Json& test_case) {
        for (const Json& skip : got.at("skipped"))
            if (skip.at("case") == test_case) return skip.at("reason").get<std::string>();
        return "(measured) " + test_case.dump();
    };
    EXPECT_NE(reason({{"source", "timerfd"}, {"policy", "fifo"}}).find("CAP_SYS_NICE"),
              std::string::npos);
    EXPECT_NE(
        reason({{"by", "sched_yield"}, {"who", "thread"}, {"policy", "fifo"}}).find("CAP_SYS_NICE"),
        std::string::npos);
    EXPECT_NE(reason({{"path", "veth"}, {"wait", "block"}}).find("CAP_SYS_ADMIN"),
              std::string::npos);
    EXPECT_NE(reason({{"path", "loopback"}, {"wait", "packet-ring"}}).find("CAP_NET_RAW"),
              std::string::npos);
    // Google Benchmark's own file has the reasons too.
    Json benchmark = Json::parse(content(scratch / "run/benchmark.json"));
    size_t errors = 0;
    for (const Json& one : benchmark.at("benchmarks"))
        errors += one.value("error_message", "") != "";
    EXPECT_EQ(errors, got.at("skipped").size());
}

}  // namespace
}  // namespace doorbell::test
