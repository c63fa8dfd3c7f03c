// The cache model against another one: valgrind's cachegrind simulates the same walks, as a Linux
// program, with the same geometry. Instructions, loads, stores, and misses of L1 and of the last
// level are exactly equal.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <sstream>

#include "tests/image/load.h"
#include "tests/image/run.h"

namespace doorbell::test {
namespace {

using Counts = std::map<std::string, uint64_t>;

struct Shape {
    const char *model, *cachegrind;
};
// L2 off: cachegrind has two levels.
constexpr Shape shapes[] = {
    {"l1i=32K:8:64,l1d=32K:8:64,l2=off,llc=256K:8:64",
     "--I1=32768,8,64 --D1=32768,8,64 --LL=262144,8,64"},
    {"l1i=16K:4:64,l1d=16K:4:64,l2=off,llc=128K:4:64",
     "--I1=16384,4,64 --D1=16384,4,64 --LL=131072,4,64"},
    {"l1i=64K:2:64,l1d=64K:2:64,l2=off,llc=512K:16:64",
     "--I1=65536,2,64 --D1=65536,2,64 --LL=524288,16,64"},
    {"l1i=8K:1:32,l1d=8K:1:32,l2=off,llc=1M:16:32",
     "--I1=8192,1,32 --D1=8192,1,32 --LL=1048576,16,32"},
};

/// What cachegrind counted in the oracle's `walk`, between its timestamps.
Counts cachegrind(const Scratch& scratch, const Shape& shape, const std::string& walk,
                  const std::string& arguments) {
    fs::remove(scratch / "cachegrind.out");
    Outcome run =
        shell(scratch, std::string("valgrind --tool=cachegrind --cache-sim=yes --branch-sim=yes "
                                   "--cachegrind-out-file=cachegrind.out ") +
                           shape.cachegrind + " " + ORACLE + " " + walk + " " + arguments);
    EXPECT_EQ(run.status, 0) << run.err;
    std::istringstream lines(content(scratch / "cachegrind.out"));
    std::vector<std::string> events;
    bool inside = false;
    Counts counts;
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words(line);
        std::string word;
        if (line.starts_with("events:")) {
            words >> word;
            while (words >> word) events.push_back(word);
        } else if (line.starts_with("fn=")) {
            inside = line == "fn=walk_" + walk + "_body";
        } else if (inside && !line.empty() && line[0] >= '0' && line[0] <= '9') {
            words >> word;
            uint64_t value = 0;
            for (const std::string& event : events)
                if (words >> value) counts[event] += value;
        }
    }
    EXPECT_FALSE(counts.empty()) << "cachegrind saw no walk_" << walk;
    return counts;
}

Counts minus(Counts a, const Counts& b) {
    for (auto& [name, value] : a) value -= b.at(name);
    return a;
}

/// What the model counted, a sample.
Counts modelled(const Json& results, const Json& test_case, const char* lab = "caches") {
    Json s = series(results, lab, test_case, "cost");
    Counts counts;
    if (s.is_null()) return counts;
    for (const Json& c : s.at("counters"))
        counts[c.at("name")] = c.at("value").get<uint64_t>() / c.at("samples").get<uint64_t>();
    return counts;
}

struct Walk {
    const char *name, *arguments;
    Json test_case;
    bool warm = false;
};

class Oracle : public testing::TestWithParam<Shape> {};
INSTANTIATE_TEST_SUITE_P(Geometry, Oracle, testing::ValuesIn(shapes),
                         [](const auto& info) { return "G" + std::to_string(info.index + 1); });

TEST_P(Oracle, EveryCountIsEqual) {
    Scratch scratch;
    Outcome run =
        doorbell_run(scratch, std::string("caches:walk=stride caches:walk=chase caches:walk=random "
                                          "caches:walk=transpose caches:walk=branches "
                                          "--machine pc --samples 1 --quiet --model ") +
                                  GetParam().model);
    ASSERT_EQ(run.status, 0) << run.err;
    Json results = test::results(scratch);
    for (const Walk& walk : {
             Walk{"stride", "8", {{"walk", "stride"}, {"step", "8"}, {"state", "cold"}}},
             Walk{"stride", "16", {{"walk", "stride"}, {"step", "16"}, {"state", "cold"}}},
             Walk{"stride", "32", {{"walk", "stride"}, {"step", "32"}, {"state", "cold"}}},
             Walk{"stride", "64", {{"walk", "stride"}, {"step", "64"}, {"state", "cold"}}},
             Walk{"chase", "65536", {{"walk", "chase"}, {"bytes", "65536"}, {"state", "cold"}}},
             Walk{"chase", "16384", {{"walk", "chase"}, {"bytes", "16384"}, {"state", "cold"}}},
             Walk{"chase",
                  "16384",
                  {{"walk", "chase"}, {"bytes", "16384"}, {"state", "warm"}},
                  true},
             Walk{"chase",
                  "65536",
                  {{"walk", "chase"}, {"bytes", "65536"}, {"state", "warm"}},
                  true},
             Walk{"chase",
                  "524288",
                  {{"walk", "chase"}, {"bytes", "524288"}, {"state", "warm"}},
                  true},
             Walk{"random", "65536", {{"walk", "random"}, {"bytes", "65536"}, {"state", "cold"}}},
             Walk{"random", "524288", {{"walk", "random"}, {"bytes", "524288"}, {"state", "cold"}}},
             Walk{"transpose", "64", {{"walk", "transpose"}, {"n", "64"}, {"state", "cold"}}},
             // Warm: its first walk in the image followed others.
             Walk{"branches", "0", {{"walk", "branches"}}, true},
         }) {
        SCOPED_TRACE(std::string(walk.name) + " " + walk.arguments +
                     (walk.warm ? " warm" : " cold"));
        Counts theirs = cachegrind(scratch, GetParam(), walk.name, walk.arguments);
        // The second of two walks is the warm one.
        if (walk.warm)
            theirs = minus(
                cachegrind(scratch, GetParam(), walk.name, std::string(walk.arguments) + " twice"),
                theirs);
        Counts ours = modelled(results, walk.test_case);
        ASSERT_FALSE(ours.empty());
        EXPECT_EQ(ours["instructions"], theirs["Ir"]);
        EXPECT_EQ(ours["loads"], theirs["Dr"]);
        EXPECT_EQ(ours["stores"], theirs["Dw"]);
        EXPECT_EQ(ours["branches"], theirs["Bc"]);
        EXPECT_EQ(ours["l1i_misses"], theirs["I1mr"]);
        EXPECT_EQ(ours["l1d_misses"], theirs["D1mr"] + theirs["D1mw"]);
        EXPECT_EQ(ours["llc_misses"], theirs["ILmr"] + theirs["DLmr"] + theirs["DLmw"]);
    }
}

/// Bodies whose every count is known from their text (labs/caches.cpp); IRETQ's own loads depend on
/// the emulator.
TEST(Model, EveryEventIsCountedExactly) {
    Scratch scratch;
    constexpr uint64_t samples = 20;
    ASSERT_EQ(doorbell_run(scratch,
                           "caches:walk=memory caches:walk=events syscall:gate=syscall,space=other "
                           "syscall:gate=int,space=same "
                           "--machine pc --samples 20 --quiet --model on")
                  .status,
              0);
    Json run = results(scratch);
    auto expect = [&](const char* lab, const Json& test_case, const Counts& want) {
        SCOPED_TRACE(test_case.dump());
        Json s = series(run, lab, test_case, "cost");
        ASSERT_FALSE(s.is_null());
        Counts counts = modelled(run, test_case, lab);
        for (const Json& c : s["counters"]) EXPECT_EQ(c["samples"], samples);
        EXPECT_EQ(counts["instructions"], s["p50"]);
        for (const auto& [name, value] : want) EXPECT_EQ(counts.at(name), value) << name;
    };
    // The string of 8 counts 9 times: it is checked once more before it ends. The border of 4 KiB
    // that it crosses lies in a larger page.
    expect("caches", {{"walk", "memory"}, {"state", "cold"}},
           {{"instructions", 17}, {"loads", 10},        {"stores", 10},    {"l1i_misses", 1},
            {"l1d_misses", 5},    {"l2_misses", 8},     {"llc_misses", 8}, {"dtlb_misses", 1},
            {"branches", 0},      {"branch_misses", 0}, {"mmio_reads", 0}, {"mmio_writes", 0},
            {"port_reads", 0},    {"port_writes", 0},   {"int", 0},        {"interrupts", 0},
            {"iretq", 0},         {"syscall", 0},       {"sysret", 0},     {"cr3_writes", 0},
            {"serializing", 0}});
    expect("caches", {{"walk", "events"}},
           {{"instructions", 40},
            {"stores", 0},
            {"branches", 0},
            {"mmio_reads", 4},
            {"mmio_writes", 9},
            {"port_reads", 2},
            {"port_writes", 3},
            {"int", 5},
            {"interrupts", 1},
            {"iretq", 6},
            {"syscall", 0},
            {"sysret", 0},
            {"cr3_writes", 2},
            {"serializing", 11}});
    expect("syscall", {{"gate", "syscall"}, {"space", "other"}},
           {{"int", 0},
            {"interrupts", 0},
            {"iretq", 0},
            {"syscall", 1},
            {"sysret", 1},
            {"cr3_writes", 2},
            {"serializing", 2}});
    expect("syscall", {{"gate", "int"}, {"space", "same"}},
           {{"int", 1},
            {"interrupts", 0},
            {"iretq", 1},
            {"syscall", 0},
            {"sysret", 0},
            {"cr3_writes", 0},
            {"serializing", 1}});
}

TEST(Model, AnEmptyWalkCountsNothingAtAll) {
    Scratch scratch;
    Outcome run =
        doorbell_run(scratch, "caches:walk=empty --machine pc --samples 50 --quiet --model on");
    ASSERT_EQ(run.status, 0) << run.err;
    Counts counts = modelled(results(scratch), {{"walk", "empty"}});
    EXPECT_GE(counts.size(), 20u);
    for (const auto& [name, value] : counts) EXPECT_EQ(value, 0u) << name;
}

TEST(Model, TimesAreTheSameWithTheModelAndWithoutAndItsCountsAreInTheDigest) {
    Scratch scratch;
    std::string what = "timer:source=lapic clock:clock=rdtsc --machine pc --samples 50 --quiet";
    ASSERT_EQ(doorbell_run(scratch, what).status, 0);
    Json without = results(scratch);
    ASSERT_EQ(doorbell_run(scratch, what + " --model on").status, 0);
    Json with = results(scratch);
    ASSERT_EQ(doorbell_run(scratch, what + " --model on").status, 0);
    EXPECT_EQ(with["digest"], results(scratch)["digest"]);
    EXPECT_NE(with["digest"], without["digest"]);
    ASSERT_EQ(with["series"].size(), without["series"].size());
    unsigned compared = 0;
    for (size_t i = 0; i < with["series"].size(); ++i) {
        const Json &a = with["series"][i], &b = without["series"][i];
        EXPECT_TRUE(b["counters"].empty());
        if (unstable(a)) continue;
        ++compared;
        EXPECT_EQ(a["histogram"], b["histogram"]) << a["lab"] << a["case"] << a["metric"];
    }
    EXPECT_GE(compared, 5u);
}

TEST(Model, EveryCountIsTheSameInEveryRunWithBothCoresLoadedOrIdle) {
    std::set<std::string> digests;
    Counts first;
    for (int i = 0; i < 6; ++i) {
        Load load(i >= 3);
        Scratch scratch;
        Outcome run = doorbell_run(
            scratch,
            "caches:walk=random timer:source=lapic,wait=irq switch:set=32768 "
            "switch:state=registers,space=other "
            "syscall:gate=syscall,lines=4096 --machine pc --samples 50 --quiet --model on");
        ASSERT_EQ(run.status, 0) << run.err;
        Json all = results(scratch);
        digests.insert(all["digest"].get<std::string>());
        Counts counts;
        for (const Json& s : all["series"])
            for (const Json& c : s["counters"])
                counts[s["lab"].get<std::string>() + s["case"].dump() +
                       s["metric"].get<std::string>() + c.value("stage", "") +
                       c["name"].get<std::string>()] = c["value"];
        EXPECT_GT(counts.size(), 150u);
        if (i == 0) first = counts;
        EXPECT_EQ(counts, first);
        if (i == 5) {
            // The command that promises this agrees.
            Outcome again = shell(scratch, DOORBELL_COMMAND " reproduce run");
            EXPECT_EQ(again.status, 0) << again.out << again.err;
            EXPECT_NE(again.out.find("identical"), std::string::npos) << again.out;
        }
    }
    EXPECT_EQ(digests.size(), 1u);
}

TEST(Model, CountsDoNotDependOnWhatWasRunBefore) {
    Scratch scratch;
    auto counters = [&](const std::string& before) {
        Outcome run = doorbell_run(
            scratch,
            before + " thrash:tasks=10,policy=pool --machine pc --samples 20 --quiet --model on");
        EXPECT_EQ(run.status, 0) << run.err;
        return series(results(scratch), "thrash", {{"tasks", "10"}, {"policy", "pool"}}, "total")
            .at("counters");
    };
    Json alone = counters("");
    EXPECT_FALSE(alone.empty());
    EXPECT_EQ(alone, counters("caches:walk=random syscall:gate=syscall"));
}

/// A lab that writes its timestamps in bytes of its own loses its counters without another sign.
TEST(Model, EverySampleBetweenTwoTimestampsIsCounted) {
    Scratch scratch;
    ASSERT_EQ(doorbell_run(scratch,
                           "timer nic burst anatomy syscall batch switch signals:handler=none "
                           "--samples 20 --quiet --model on")
                  .status,
              0);
    unsigned counted = 0;
    std::map<std::string, bool> has_counters;
    auto name = [](const Json& s, const std::string& metric) {
        return s["lab"].get<std::string>() + s["case"].dump() + " " + metric;
    };
    Json all = results(scratch)["series"];
    for (const Json& s : all) {
        bool has = !s["counters"].empty();
        counted += has;
        has_counters[name(s, s["metric"])] = has;
        // A bag's parts that are added up are not one stretch of time.
        bool sum = s["lab"] == "batch" && s["case"].contains("to") && s["metric"] == "total";
        if (s["overhead_removed"] != 0 && !sum) {
            EXPECT_TRUE(has) << name(s, s["metric"]);
        }
    }
    EXPECT_GE(counted, 80u);
    // What a derived figure is made of is counted.
    for (const Json& s : all) {
        std::string derived = s.value("derived", "");
        if (derived.empty() || unstable(s)) continue;
        std::string first = derived.substr(0, derived.find_first_of(" :"));
        EXPECT_TRUE(has_counters[name(s, first)]) << name(s, s["metric"]) << " = " << derived;
    }
}

TEST(Model, ClaimsThatSpeakOfCachesAreJudged) {
    Scratch scratch;
    std::string what = "switch:set=32768 syscall:lines=4096 --machine pc --samples 20 --quiet";
    auto verdicts = [&](const std::string& model) {
        Outcome run = doorbell_run(scratch, what + model);
        EXPECT_EQ(run.status, 0) << run.err;
        std::map<std::string, Json> holds;
        Json all = results(scratch);
        for (const Json& claim : all["claims"])
            if (claim["text"].get<std::string>().find("cold") != std::string::npos) {
                holds[claim["text"]] = claim["holds"];
                EXPECT_EQ(claim["because"].get<std::string>().find("modelled") != std::string::npos,
                          !model.empty())
                    << claim;
            }
        EXPECT_EQ(holds.size(), 2u);
        return holds;
    };
    for (const auto& [text, holds] : verdicts(" --model on")) EXPECT_EQ(holds, true) << text;
    for (const auto& [text, holds] : verdicts("")) EXPECT_TRUE(holds.is_null()) << text;
    // Caches so large that nothing is evicted: the same walks, another verdict.
    for (const auto& [text, holds] : verdicts(" --model l1d=64M:16:64"))
        EXPECT_EQ(holds, false) << text;
}

TEST(Model, APresetIsChosenShownAndNotComparedWithAnother) {
    Scratch scratch;
    std::string what =
        "caches:walk=chase,bytes=65536,state=warm --machine pc --samples 5 --quiet --model ";
    auto run = [&](const std::string& preset, const std::string& folder) {
        Outcome ran = shell(scratch, DOORBELL_COMMAND " run " + what + preset + " --out " + folder);
        ASSERT_EQ(ran.status, 0) << ran.err;
        Json manifest = Json::parse(content(scratch / (folder + "/manifest.json"))),
             all = Json::parse(content(scratch / (folder + "/results.json")));
        // The whole geometry, so that the run can be repeated where presets have changed.
        EXPECT_EQ(manifest["model"], all["instrument"]["counters_because"]);
        EXPECT_NE(manifest["model"].get<std::string>().find("l1d="), std::string::npos);
    };
    run("sapphire-rapids", "a");
    run("zen4", "b");
    // Where a hypervisor hides the caches, the command reports that; unit tests cover every form.
    Outcome host = shell(scratch, DOORBELL_COMMAND " run " + what + "host --out c");
    if (host.status != 0)
        EXPECT_NE(host.err.find("CPUID does not tell of the caches here"), std::string::npos)
            << host.err;
    else
        run("host", "c");
    Outcome compared = shell(scratch, DOORBELL_COMMAND " compare a b");
    EXPECT_EQ(compared.status, 2);
    EXPECT_NE(compared.err.find("different cache geometries"), std::string::npos) << compared.err;
    EXPECT_EQ(shell(scratch, DOORBELL_COMMAND " compare a a").status, 0);
    // 64 KiB do not fit into 48 or 32 KiB of L1D.
    EXPECT_EQ(modelled(Json::parse(content(scratch / "a/results.json")),
                       {{"walk", "chase"}, {"bytes", "65536"}, {"state", "warm"}})["l1d_misses"],
              1024u);
}

TEST(Model, WrongWordsGetOneLine) {
    Scratch scratch;
    for (const char* words : {"skylak", "l1d=32K", "zen2,l4=1M:16:64", "l1d=33:8:64"}) {
        Outcome run = doorbell_run(scratch, std::string("clock --model ") + words);
        EXPECT_EQ(run.status, 2) << words;
        EXPECT_EQ(std::count(run.err.begin(), run.err.end(), '\n'), 1) << run.err;
        EXPECT_NE(run.err.find("model"), std::string::npos) << run.err;
    }
    EXPECT_NE(doorbell_run(scratch, "clock --model skylak").err.find("skylake"), std::string::npos);
    std::string help = shell(scratch, DOORBELL_COMMAND " run --help").out;
    for (const char* preset :
         {"skylake", "skylake-server", "sapphire-rapids", "zen2", "zen4", "host"})
        EXPECT_NE(help.find(preset), std::string::npos) << preset;
}

TEST(Model, AnInterruptsStagesHaveTheCountsOfTheirInstructions) {
    Scratch scratch;
    ASSERT_EQ(
        doorbell_run(scratch,
                     "timer:source=lapic,wait=irq --machine pc --samples 50 --quiet --model on")
            .status,
        0);
    Json s =
        series(results(scratch), "timer", {{"source", "lapic"}, {"wait", "irq"}}, "round-trip");
    ASSERT_FALSE(s.is_null());
    std::map<std::string, Counts> stages;
    for (const Json& c : s["counters"]) {
        ASSERT_EQ(c["samples"], 50);
        stages[c.value("stage", "")][c["name"]] = c["value"].get<uint64_t>() / 50;
    }
    Counts &entry = stages["entry"], &end = stages["end-of-interrupt"], &resume = stages["resume"];
    // Of the loop's instruction under way when the deadline passes, and the handler's first two.
    EXPECT_EQ(entry["instructions"], 3u);
    EXPECT_EQ(entry["interrupts"], 1u);
    EXPECT_EQ(entry["iretq"], 0u);
    EXPECT_EQ(stages[""]["interrupts"], 1u) << "the whole holds the stage that begins at an event";
    EXPECT_EQ(end["instructions"], 4u);  // two stores of the timestamp, a load, the EOI
    EXPECT_EQ(end["mmio_writes"], 1u);
    EXPECT_EQ(end["apic_writes"], 1u);
    EXPECT_EQ(end["iretq"], 0u);
    EXPECT_EQ(resume["iretq"], 1u);
    EXPECT_EQ(resume["mmio_writes"], 0u);
}

}  // namespace
}  // namespace doorbell::test
