// The labs as Linux programs: every case ends in a series or in a reason.
#include <gtest/gtest.h>
#include <unistd.h>

#include <set>

#include "tests/image/run.h"

namespace doorbell::test {
namespace {

Outcome host(const Scratch& scratch, const std::string& arguments) { return shell(scratch, DOORBELL_COMMAND " host " + arguments + " --out run"); }

std::string text_of(const Json& keys) {
    std::string text;
    for (const auto& [key, value] : keys.items()) text += (text.empty() ? "" : " ") + key + "=" + value.get<std::string>();
    return text;
}

/// Words in any order.
std::set<std::string> words_of(const std::string& text) {
    std::istringstream in(text);
    std::set<std::string> words;
    for (std::string word; in >> word;) words.insert(word);
    return words;
}

uint64_t least(const Json& results, const std::string& lab, const Json& which, const std::string& metric) {
    Json found = series(results, lab, which, metric);
    EXPECT_FALSE(found.is_null()) << lab << " " << which.dump() << " " << metric;
    return found.is_null() ? 0 : found.at("min").get<uint64_t>();
}

class LinuxLab : public testing::TestWithParam<const char*> {};

TEST_P(LinuxLab, EachCaseIsMeasuredOrSkippedWithItsReason) {
    Scratch scratch;
    Outcome list = shell(scratch, DOORBELL_COMMAND " host --list --json");
    ASSERT_EQ(list.status, 0) << list.err;
    std::set<std::set<std::string>> wanted;
    for (const Json& lab : Json::parse(list.out))
        if (lab.at("lab") == GetParam())
            for (const Json& which : lab.at("cases")) wanted.insert(words_of(which.get<std::string>()));
    ASSERT_FALSE(wanted.empty());

    Outcome run = host(scratch, std::string(GetParam()) + " --samples 20 --warm-up 2");
    ASSERT_EQ(run.status, 0) << run.err;
    Json got = results(scratch);
    ASSERT_TRUE(got.at("complete").get<bool>());
    std::set<std::set<std::string>> seen;
    for (const Json& s : got.at("series")) {
        seen.insert(words_of(text_of(s.at("case"))));
        EXPECT_GT(s.at("count").get<uint64_t>(), 0u);
        EXPECT_TRUE(s.at("evidence") == "measured" || s.at("evidence") == "rough") << s.at("evidence");
        // Time comes in ticks and in nanoseconds.
        if (s.at("unit") == "tick") {
            double ratio = s.at("max").get<double>() / got.at("machine").at("tsc_hz").get<double>() * 1e9;
            EXPECT_NEAR(s.at("ns").at("max").get<double>(), ratio, ratio * 1e-6 + 1);
        }
    }
    for (const Json& skip : got.at("skipped")) {
        std::string reason = skip.at("reason");
        EXPECT_NE(reason, "");
        // These would be the lab's own fault.
        for (const char* fault : {"no packet came", "lost on the way"}) EXPECT_EQ(reason.find(fault), std::string::npos) << skip.dump();
        EXPECT_TRUE(seen.insert(words_of(text_of(skip.at("case")))).second) << "both measured and skipped: " << skip.dump();
    }
    EXPECT_EQ(seen, wanted);

    // Google Benchmark's own file has every case too.
    Json benchmark = Json::parse(content(scratch / "run/benchmark.json"));
    std::set<std::string> names;
    for (const Json& one : benchmark.at("benchmarks")) names.insert(one.at("name").get<std::string>());
    EXPECT_EQ(names.size(), wanted.size());
}

INSTANTIATE_TEST_SUITE_P(All, LinuxLab, testing::Values("timer", "nic", "syscall", "batch", "switch", "signals", "thrash"),
                         [](const auto& info) { return std::string(info.param); });

TEST(LinuxLabs, AHandlerDrainsAndSigkillDoesNotAsk) {
    Scratch scratch;
    Outcome run = host(scratch, "signals:drain=handler signals:drain=signalfd --samples 200 --warm-up 1");
    ASSERT_EQ(run.status, 0) << run.err;
    Json got = results(scratch);
    for (const char* drain : {"handler", "signalfd"})
        for (const char* metric : {"torn", "lost"}) {
            Json found = series(got, "signals", {{"signal", "SIGTERM"}, {"drain", drain}}, metric);
            ASSERT_FALSE(found.is_null());
            EXPECT_EQ(found.at("max"), 0) << drain << " " << metric;
            EXPECT_EQ(found.at("count"), 20);
        }
    EXPECT_FALSE(series(got, "signals", {{"signal", "SIGKILL"}, {"drain", "handler"}}, "torn").is_null());
}

TEST(LinuxLabs, OneBagIsCheaperThanAThousandNotes) {
    Scratch scratch;
    Outcome run = host(scratch, "batch:by=write --samples 100");
    ASSERT_EQ(run.status, 0) << run.err;
    Json got = results(scratch);
    uint64_t notes = least(got, "batch", {{"by", "write"}, {"size", "1"}}, "cost");
    uint64_t bag = least(got, "batch", {{"by", "write"}, {"size", "1000"}}, "cost");
    EXPECT_LT(bag * 3, notes);
}

TEST(LinuxLabs, ACallIsCheaperThanASystemCall) {
    Scratch scratch;
    Outcome run = host(scratch, "syscall --samples 200 --raw");
    ASSERT_EQ(run.status, 0) << run.err;
    Json got = results(scratch);
    uint64_t call = least(got, "syscall", {{"gate", "call"}}, "cost");
    uint64_t system_call = least(got, "syscall", {{"gate", "syscall"}, {"call", "getppid"}}, "cost");
    EXPECT_LT(call * 2, system_call);
    // --raw: a line of words, then a line for each sample.
    std::string samples = content(scratch / ("run/" + series(got, "syscall", {{"gate", "call"}}, "cost").at("raw").get<std::string>()));
    EXPECT_EQ(std::count(samples.begin(), samples.end(), '\n'), 201);
}

TEST(LinuxLabs, RepetitionsJoin) {
    Scratch scratch;
    Outcome run = host(scratch, "syscall:gate=call --samples 50 --repetitions 3");
    ASSERT_EQ(run.status, 0) << run.err;
    EXPECT_EQ(series(results(scratch), "syscall", {{"gate", "call"}}, "cost").at("count"), 150);
}

TEST(LinuxLabs, AWrongWordIsAnsweredWithTheNearest) {
    Scratch scratch;
    Outcome lab = host(scratch, "syscal");
    EXPECT_EQ(lab.status, 2);
    EXPECT_NE(lab.err.find("\"syscall\""), std::string::npos) << lab.err;
    Outcome which = host(scratch, "timer:source=timerfx");
    EXPECT_EQ(which.status, 2);
    EXPECT_NE(which.err.find("source=timerfd"), std::string::npos) << which.err;
    EXPECT_FALSE(fs::exists(scratch / "run"));
}

TEST(LinuxLabs, ACpuThatIsNotThereIsWrongUsage) {
    Scratch scratch;
    for (const char* cpus : {"1023", "0,1023", "x", "0,"}) {
        Outcome run = host(scratch, std::string("syscall --cpus ") + cpus);
        EXPECT_EQ(run.status, 2) << cpus << run.err;
        EXPECT_NE(run.err.find("--cpus"), std::string::npos) << run.err;
        EXPECT_EQ(std::count(run.err.begin(), run.err.end(), '\n'), 1) << run.err;
    }
    EXPECT_FALSE(fs::exists(scratch / "run"));
}

TEST(LinuxLabs, WhoeverSharesTheCpuIsNoise) {
    Scratch scratch;
    // On the only CPU of both, a busy neighbour takes about half of the time that the clock is watched.
    Outcome run = shell(scratch, "cpu=$(taskset -cp $$ | sed 's/.*: *//; s/[-,].*//'); taskset -c $cpu sh -c 'while :; do :; done' & busy=$!; " +
                                     std::string(DOORBELL_COMMAND) + " host syscall:gate=call --samples 5 --cpus $cpu --out run; status=$?; kill $busy; exit $status");
    ASSERT_EQ(run.status, 0) << run.err;
    Json got = results(scratch);
    EXPECT_EQ(got.at("instrument").at("verdict"), "medians");
    EXPECT_GT(got.at("instrument").at("gap_share_ppm").get<uint64_t>(), 1000u);
    bool said = false;
    for (const Json& flag : got.at("flags")) said |= flag.get<std::string>().starts_with("noisy host: ");
    EXPECT_TRUE(said) << got.at("flags").dump();
}

TEST(LinuxLabs, WithoutRootWhatNeedsItIsSkippedAndTheRestIsMeasured) {
    if (geteuid() != 0) GTEST_SKIP() << "only root can become somebody else";
    Scratch scratch;
    fs::permissions(scratch / "", fs::perms::all);
    std::string nobody = "setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --bounding-set=-all ";
    if (shell(scratch, nobody + DOORBELL_COMMAND " list").status != 0) GTEST_SKIP() << "the build folder is closed to other users";
    Outcome run = shell(scratch, nobody + DOORBELL_COMMAND " host timer nic switch:by=sched_yield --samples 10 --warm-up 1 --out run");
    ASSERT_EQ(run.status, 0) << run.err;
    Json got = results(scratch);
    for (const char* wait : {"block", "epoll", "spin"})
        EXPECT_FALSE(series(got, "nic", {{"path", "loopback"}, {"wait", wait}}, "latency").is_null()) << wait;
    EXPECT_FALSE(series(got, "timer", {{"source", "nanosleep"}, {"policy", "other"}}, "latency").is_null());
    auto reason = [&](const Json& which) {
        for (const Json& skip : got.at("skipped"))
            if (skip.at("case") == which) return skip.at("reason").get<std::string>();
        return "(measured) " + which.dump();
    };
    EXPECT_NE(reason({{"source", "timerfd"}, {"policy", "fifo"}}).find("CAP_SYS_NICE"), std::string::npos);
    EXPECT_NE(reason({{"by", "sched_yield"}, {"who", "thread"}, {"policy", "fifo"}}).find("CAP_SYS_NICE"), std::string::npos);
    EXPECT_NE(reason({{"path", "veth"}, {"wait", "block"}}).find("CAP_SYS_ADMIN"), std::string::npos);
    EXPECT_NE(reason({{"path", "loopback"}, {"wait", "packet-ring"}}).find("CAP_NET_RAW"), std::string::npos);
    // Google Benchmark's own file has the reasons too.
    Json benchmark = Json::parse(content(scratch / "run/benchmark.json"));
    size_t errors = 0;
    for (const Json& one : benchmark.at("benchmarks")) errors += one.value("error_message", "") != "";
    EXPECT_EQ(errors, got.at("skipped").size());
}

}  // namespace
}  // namespace doorbell::test
