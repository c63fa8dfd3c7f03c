// The whole path of a count, from programming a counter to a table: the image boots with a PMU of
// software (soft_pmu/), which counts an instruction for each tick of the exact clock. The counts of
// these passes must equal those of the exact clock without them, in ring 0 and ring 3.
#include <gtest/gtest.h>

#include "tests/image/run.h"

namespace doorbell::test {
namespace {

constexpr uint64_t samples = 20;

/// No hypervisor, or the image would not even look for a PMU.
constexpr const char* machine =
    "timeout 120 qemu-system-x86_64 -nodefaults -no-user-config -M q35 -m 512M -smp 1 -cpu "
    "max,-x2apic,-hypervisor,tcg-cpuid=off,vendor=GenuineIntel,family=6,model=85 "
    "-accel tcg,thread=single -icount shift=0,sleep=off -seed 1 -rtc base=2026-01-01,clock=vm "
    "-display none -serial stdio -monitor none -no-reboot "
    "-device isa-debug-exit,iobase=0xf4,iosize=4 -kernel " DOORBELL_SOFT_PMU_IMAGE " -append ";

/// Counters by stage ("": the whole) and name.
std::map<std::string, std::map<std::string, Json>> counters_of(const Json& series) {
    std::map<std::string, std::map<std::string, Json>> all;
    for (const Json& c : series.at("counters")) all[c.value("stage", "")][c.at("name")] = c;
    return all;
}

/// The software's count for one instruction.
uint64_t each(const std::string& name) {
    return name == "instructions" ? 1 : name == "cycles" ? 2 : 3;
}

class PmuOfSoftware : public testing::Test {
  protected:
    /// Runs the image with `words` and collects from its serial line.
    Json run(const std::string& words) {
        Outcome run = shell(scratch, std::string(machine) + "'" + words +
                                         " samples=" + std::to_string(samples) +
                                         " exit=debug' | " DOORBELL_COMMAND " attach - --out run");
        EXPECT_EQ(run.status, 0) << run.err << content(scratch / "run/console.log").substr(0, 4000);
        table = run.out;
        Json all = results(scratch);
        EXPECT_TRUE(all.at("complete").get<bool>());
        EXPECT_EQ(all.at("instrument").at("counters"), "pmu");
        return all;
    }
    Scratch scratch;
    std::string table;
};

TEST_F(PmuOfSoftware, EveryCountIsTheExactClocks) {
    Json all =
        run("lab=clock:clock=rdtsc lab=syscall:gate=syscall lab=syscall:gate=call "
            "lab=switch:state=registers lab=switch:set=65536");
    EXPECT_EQ(all.at("instrument").at("counters_because"),
              "Skylake, version 4; advertised but does not count: branches");
    std::set<std::string> counted;
    for (const Json& s : all.at("series")) {
        auto counters = counters_of(s);
        if (counters.empty()) continue;
        counted.insert(s.at("lab").get<std::string>() + " " + s.at("metric").get<std::string>());
        for (const char* name :
             {"instructions", "cycles", "reference_cycles", "l1d_misses", "l2_misses",
              "llc_references", "llc_misses", "branch_misses", "dtlb_walks", "interrupts"}) {
            ASSERT_EQ(counters[""].count(name), 1u) << name << " " << s.at("case");
            EXPECT_EQ(counters[""].count("branches"), 0u);
            const Json& c = counters[""][name];
            EXPECT_EQ(c.at("evidence"), "measured");
            EXPECT_EQ(c.at("samples"), samples);
            EXPECT_EQ(c.at("value"), s.at("sum").get<uint64_t>() * each(name))
                << name << " " << s.at("lab") << s.at("case") << s.at("metric");
        }
    }
    EXPECT_EQ(counted, (std::set<std::string>{"clock cost", "switch cost", "switch walk",
                                              "switch walk-after-switch", "syscall after",
                                              "syscall before", "syscall cost"}));
    // The cost of reading is reported, and is higher in ring 3.
    const Json& instrument = all.at("instrument");
    EXPECT_GT(instrument.at("counter_pair_cost").at("instructions"), 10);
    EXPECT_GT(instrument.at("counter_pair_cost_ring3").at("instructions"),
              instrument.at("counter_pair_cost").at("instructions"));
}

TEST_F(PmuOfSoftware, StagesHaveTheirOwnCountsInEitherRing) {
    Json all = run("lab=anatomy:source=int lab=anatomy:source=lapic");
    unsigned compared = 0;
    for (const Json& s : all.at("series")) {
        if (s.at("metric") != "latency") continue;
        auto counters = counters_of(s);
        for (const Json& stage : s.at("stages")) {
            std::string name = stage.at("name");
            // These begin or end at something that is not a timestamp.
            if (name == "jolt" || name == "lookup") continue;
            ASSERT_EQ(counters[name].count("instructions"), 1u) << name << " " << s.at("case");
            // A stage's time includes the timestamp that ends it: LFENCE and RDTSC. Its counts do
            // not.
            EXPECT_EQ(counters[name]["instructions"].at("value"),
                      stage.at("sum").get<uint64_t>() - 2 * samples)
                << name << " " << s.at("case");
            ++compared;
        }
    }
    EXPECT_EQ(compared, 4u * 5);
}

TEST_F(PmuOfSoftware, ClaimsAreJudgedFromTheCountersOfEveryTurn) {
    Json all = run("lab=caches:walk=empty lab=caches:walk=stride lab=caches:walk=chase");
    std::map<std::string, std::string> because;
    for (const Json& claim : all.at("claims")) {
        because[claim.at("id")] = claim.at("because");
        EXPECT_NE(claim.at("because").get<std::string>().find("(measured)"), std::string::npos)
            << claim;
        // The other claims are about cache lines, which this PMU does not count.
        bool of_instructions = claim.at("id") == "empty-walk" || claim.at("id") == "instructions";
        EXPECT_TRUE(!of_instructions || claim.at("holds") == true) << claim;
    }
    EXPECT_EQ(because.size(), 5u);
}

TEST_F(PmuOfSoftware, CountingChangesNoSample) {
    const std::string lab = "anatomy:source=lapic";
    Json counted = run("lab=" + lab);
    Outcome plain =
        shell(scratch, "rm -rf run; " DOORBELL_COMMAND " run " + lab +
                           " --quiet --model off --out run --samples " + std::to_string(samples));
    Json alone = results_of(scratch, plain);
    ASSERT_FALSE(alone.at("series").empty());
    ASSERT_EQ(alone.at("series").size(), counted.at("series").size());
    for (size_t i = 0; i < alone.at("series").size(); ++i)
        for (const char* what : {"case", "metric", "histogram", "stages", "cold"})
            EXPECT_EQ(counted["series"][i][what], alone["series"][i][what]) << what;
}

TEST_F(PmuOfSoftware, TableAndReportShowTheCounts) {
    run("lab=anatomy:source=int,ring=0");
    EXPECT_NE(table.find("counters: pmu, Skylake, version 4"), std::string::npos) << table;
    EXPECT_NE(table.find("counters a sample, measured"), std::string::npos) << table;
    EXPECT_NE(table.find("end-of-interrupt"), std::string::npos) << table;
    Outcome report = shell(scratch, DOORBELL_COMMAND " report run --out page.html");
    ASSERT_EQ(report.status, 0) << report.err;
    std::string page = content(scratch / "page.html");
    size_t at = page.find("counters of anatomy");
    ASSERT_NE(at, std::string::npos);
    std::string counters = page.substr(at, page.find("</table>", at) - at);
    EXPECT_NE(counters.find("l1d_misses"), std::string::npos) << counters.substr(0, 2000);
    EXPECT_NE(counters.find("end-of-interrupt"), std::string::npos) << counters.substr(0, 2000);
    EXPECT_NE(counters.find("measured"), std::string::npos);
}

}  // namespace
}  // namespace doorbell::test
