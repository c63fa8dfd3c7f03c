// Lab `prices` against known prices: in the exact clock each price is its number of instructions,
// and on a clock with planted prices (clock_plugin.cpp) it is the planted one, also in ring 0. The
// environment's DOORBELL_PROFILES is the number of random profiles to plant (2).
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <random>

#include "tests/image/run.h"

namespace doorbell::test {
namespace {

using Prices = std::map<std::string, uint64_t>;

/// The parts of one unit of a primitive: its instructions, and its events by the plugin's names.
struct Unit {
    const char* test_case;
    uint64_t instructions;
    std::map<std::string, uint64_t> events;
};
const Unit units[] = {
    {"primitive=yardstick", 1, {{"imul", 1}}},
    {"primitive=instruction", 1, {}},
    {"primitive=call-ret", 2, {{"call", 1}, {"ret", 1}}},
    {"primitive=lfence", 1, {{"lfence", 1}}},
    {"primitive=mfence", 1, {{"mfence", 1}}},
    {"primitive=lock-add", 1, {{"lock", 1}}},
    {"primitive=rdtsc", 1, {{"rdtsc", 1}}},
    {"primitive=lfence-rdtsc", 2, {{"lfence", 1}, {"rdtsc", 1}}},
    {"primitive=rdtscp", 1, {{"rdtscp", 1}}},
    {"primitive=cpuid", 2, {{"cpuid", 1}}},
    {"primitive=clflush", 1, {{"clflush", 1}}},
    {"primitive=int-iretq ring=0", 2, {{"int", 1}, {"iretq", 1}}},
    {"primitive=int-iretq ring=3", 2, {{"int", 1}, {"iretq", 1}}},
    {"primitive=syscall-sysret", 2, {{"syscall", 1}, {"sysret", 1}}},
    // The command, two polls and a store; the handler's two stores and IRETQ.
    {"primitive=self-ipi", 7, {{"interrupt", 1}, {"iretq", 1}, {"apic-write", 2}}},
    {"primitive=cr3-write", 1, {{"cr3-write", 1}}},
    {"primitive=invlpg", 1, {{"invlpg", 1}}},
    {"primitive=rdmsr", 1, {{"rdmsr", 1}}},
    {"primitive=wrmsr", 1, {{"wrmsr", 1}}},
    {"primitive=swapgs", 1, {{"swapgs", 1}}},
    {"primitive=xsave", 1, {{"xsave", 1}}},
    {"primitive=xrstor", 1, {{"xrstor", 1}}},
    {"primitive=apic-read", 1, {{"apic-read", 1}}},
    {"primitive=apic-write", 1, {{"apic-write", 1}}},
    {"primitive=eoi", 1, {{"apic-write", 1}}},
    {"primitive=hpet-read", 1, {{"hpet-read", 1}}},
    {"primitive=hpet-write", 1, {{"hpet-write", 1}}},
    {"primitive=card-read", 1, {{"card-read", 1}}},
    {"primitive=card-write", 1, {{"card-write", 1}}},
    {"primitive=port-read", 1, {{"port-read", 1}}},
    {"primitive=port-write", 1, {{"port-write", 1}}},
};

std::string text_of(const Json& test_case) {
    std::string text;
    for (const char* key : {"primitive", "bytes", "page", "pages", "ring"})
        if (test_case.contains(key))
            text += (text.empty() ? "" : " ") + std::string(key) + "=" +
                    test_case.at(key).get<std::string>();
    return text;
}

uint64_t price_of(const Unit& unit, const Prices& planted) {
    uint64_t price = unit.instructions;
    for (const auto& [event, count] : unit.events)
        if (auto found = planted.find(event); found != planted.end())
            price += count * found->second;
    return price;
}

std::map<std::string, Json> prices_in(const Json& results) {
    std::map<std::string, Json> prices;
    for (const Json& s : results.at("series"))
        if (s.at("metric") == "price") prices[text_of(s.at("case"))] = s;
    return prices;
}

bool is_flagged(const Json& series, const std::string& word) {
    for (const Json& flag : series.at("flags"))
        if (flag.get<std::string>().find(word) != std::string::npos) return true;
    return false;
}

/// Each primitive's price, exactly.
void expect_each(const Json& results, const Prices& planted) {
    auto prices = prices_in(results);
    for (const Unit& unit : units) {
        ASSERT_EQ(prices.count(unit.test_case), 1u) << unit.test_case;
        const Json& s = prices[unit.test_case];
        EXPECT_EQ(s.at("min"), 1000 * price_of(unit, planted)) << unit.test_case;
        EXPECT_EQ(s.at("max"), 1000 * price_of(unit, planted)) << unit.test_case;
        EXPECT_TRUE(s.at("flags").empty()) << unit.test_case << s.at("flags");
    }
}

TEST(Prices, AreInstructionsInTheExactClock) {
    Scratch scratch;
    Outcome run = doorbell_run(scratch, "prices --samples 3 --quiet");
    ASSERT_EQ(run.status, 0) << run.err;
    Json all = results(scratch);
    expect_each(all, {});
    auto prices = prices_in(all);
    EXPECT_EQ(prices["primitive=mispredict"].at("max"), 0);
    unsigned loads = 0;
    for (const auto& [name, s] : prices) {
        EXPECT_EQ(s.at("unit"), "milli-insn") << name;
        EXPECT_EQ(s.at("evidence"), "exact") << name;
        if (name.find("bytes=") == name.npos && name.find("pages=") == name.npos) continue;
        // A scattered access loads its place from a table.
        EXPECT_EQ(s.at("max"), name.find("scattered") != name.npos ? 2000 : 1000) << name;
        ++loads;
    }
    EXPECT_EQ(loads, 25u + 3 * 10 + 13 + 3);
    for (const Json& s : all.at("series"))
        if (s.at("metric") == "yardstick") {
            EXPECT_EQ(s.at("max"), 1000) << s.at("case");
        }
    EXPECT_TRUE(all.at("skipped").empty()) << all.at("skipped");
}

class Planted : public testing::Test {
  protected:
    /// Runs the image with `words` on a clock with these prices and further words for the plugin.
    Json run(Prices prices, const std::string& words, const std::string& plugin = "") {
        // Without these, the image would take the clock for one that counts instructions.
        prices.insert({{"rdtsc", 20}, {"int", 50}});
        std::string clock = DOORBELL_PLANTED_CLOCK;
        for (const auto& [event, price] : prices)
            clock += "," + event + "=" + std::to_string(price);
        if (!plugin.empty()) clock += "," + plugin;
        Outcome out = shell(
            scratch,
            "rm -rf run; timeout 550 qemu-system-x86_64 -nodefaults -no-user-config -M q35 -m 512M "
            "-smp 1 -cpu max,-x2apic -accel tcg,thread=single -icount shift=0,sleep=off -seed 1 "
            "-rtc base=2026-01-01,clock=vm -display none -serial stdio -monitor none -no-reboot "
            "-device isa-debug-exit,iobase=0xf4,iosize=4 -device e1000e -plugin " +
                clock + " -kernel " DOORBELL_PLANTED_IMAGE " -append '" + words +
                " exit=debug' 2>qemu.txt | " DOORBELL_COMMAND " attach - --out run --quiet");
        EXPECT_EQ(out.status, 0) << out.err << content(scratch / "qemu.txt")
                                 << content(scratch / "run/console.log").substr(0, 2000);
        Json all = results(scratch);
        EXPECT_TRUE(all.at("complete").get<bool>());
        EXPECT_EQ(all.at("instrument").at("clock"), "live") << "a planted clock is not exact";
        return all;
    }
    Json profile() {
        Outcome out = shell(scratch, DOORBELL_COMMAND " profile run --json");
        EXPECT_EQ(out.status, 0) << out.err;
        return Json::parse(out.out, nullptr, false);
    }
    Scratch scratch;
};

Json named(const Json& list, const std::string& name) {
    for (const Json& one : list)
        if (one.at("name") == name) return one;
    ADD_FAILURE() << name << " is missing from " << list;
    return {};
}

/// Within the interval that the profile states, and within `per_mille` of the value.
void expect_price(const Json& profile, const std::string& name, double planted, double per_mille) {
    Json price = named(profile.at("prices"), name);
    if (price.is_null()) return;
    const Json& ticks = price.at("ticks");
    EXPECT_LE(ticks.at("low").get<double>(), planted) << name << ticks;
    EXPECT_GE(ticks.at("high").get<double>(), planted) << name << ticks;
    EXPECT_NEAR(ticks.at("value").get<double>(), planted, planted * per_mille / 1000) << name;
}

/// The true capacity lies between what fits and what does not.
void expect_capacity(const Json& profile, const std::string& name, uint64_t planted) {
    Json capacity = named(profile.at("capacities"), name);
    if (capacity.is_null()) return;
    EXPECT_LE(capacity.at("low"), planted) << capacity;
    EXPECT_GE(capacity.at("high"), planted) << capacity;
}

class PlantedProfile : public Planted, public testing::WithParamInterface<unsigned> {};

unsigned profiles() {
    const char* wanted = std::getenv("DOORBELL_PROFILES");
    return wanted == nullptr ? 2 : static_cast<unsigned>(std::strtoul(wanted, nullptr, 10));
}

TEST_P(PlantedProfile, IsRecovered) {
    std::mt19937 random(GetParam());
    auto between = [&](uint64_t low, uint64_t high) { return low + random() % (high - low + 1); };
    Prices planted = {{"imul", 2},
                      {"branch-miss", between(8, 30)},
                      {"l1d-miss", between(6, 16)},
                      {"l2-miss", between(30, 70)},
                      {"llc-miss", between(100, 400)}};
    for (const Unit& unit : units)
        for (const auto& [event, count] : unit.events)
            if (planted.count(event) == 0) planted[event] = between(1, 900);
    Json all = run(planted, "lab=prices samples=5 warmup=2");
    expect_each(all, planted);
    Json made = profile();
    uint64_t level = 1;
    for (const auto& [name, event] : std::map<std::string, std::string>{
             {"1-l1d", ""}, {"2-l2", "l1d-miss"}, {"3-llc", "l2-miss"}, {"4-memory", "llc-miss"}}) {
        level += event.empty() ? 0 : planted[event];
        expect_price(made, "load-chained-" + name.substr(2), static_cast<double>(level), 1);
        expect_price(made, "load-streamed-" + name.substr(2), static_cast<double>(level), 1);
    }
    expect_price(made, "load-scattered-l1d", 2, 0);
    expect_price(made, "mispredict", static_cast<double>(planted["branch-miss"]), 20);
    expect_capacity(made, "l1d", 32 << 10);
    expect_capacity(made, "l2", 256 << 10);
    expect_capacity(made, "llc", 8 << 20);
    EXPECT_TRUE(made.at("refused").empty()) << made.at("refused");
    // Emulation has ticks, and a price in them, but no core cycles.
    EXPECT_TRUE(made.at("yardstick").is_null());
    EXPECT_FALSE(named(made.at("prices"), "lfence").contains("cycles"));
}
INSTANTIATE_TEST_SUITE_P(Random, PlantedProfile, testing::Range(1u, 1 + profiles()));

TEST_F(Planted, MissesOfTheTlbAreFound) {
    run({{"dtlb-miss", 30}, {"l1d-miss", 10}, {"l2-miss", 40}},
        "lab=prices:primitive=load-paged lab=prices:primitive=load-chained samples=3 warmup=2",
        "dtlb=64:4");
    Json made = profile();
    expect_price(made, "dtlb-miss-4k", 30, 5);
    expect_capacity(made, "dtlb-4k", 64);
}

TEST_F(Planted, AHalvedCacheIsSeen) {
    run({{"l1d-miss", 10}, {"l2-miss", 40}, {"llc-miss", 200}},
        "lab=prices:primitive=load-chained samples=3 warmup=2", "llc=4M:16:64");
    Json made = profile();
    expect_capacity(made, "llc", 4 << 20);
    expect_price(made, "load-chained-memory", 251, 1);
}

const std::string a_few = "lab=prices:primitive=lfence lab=prices:primitive=cr3-write samples=40 ";

TEST_F(Planted, ADriftingYardstickIsFlagged) {
    auto prices = prices_in(run({{"imul", 20}}, a_few, "drift=4"));
    ASSERT_EQ(prices.size(), 2u);
    for (const auto& [name, s] : prices)
        EXPECT_TRUE(is_flagged(s, "drifted")) << name << s.at("flags");
    for (const auto& [name, s] : prices_in(run({{"imul", 20}}, a_few)))
        EXPECT_FALSE(is_flagged(s, "drifted")) << name;
}

TEST_F(Planted, NoiseStaysWithinTheInterval) {
    run({{"lfence", 12}, {"cr3-write", 150}}, a_few, "noise=40");
    Json made = profile();
    expect_price(made, "lfence", 13, 20);
    expect_price(made, "cr3-write", 151, 20);
}

TEST_F(Planted, GapsAsOfSmisDoNotMoveAPrice) {
    Json all = run({{"lfence", 12}, {"cr3-write", 150}}, a_few, "smi=20");
    EXPECT_GT(all.at("instrument").at("gap_share_ppm"), 0) << "there was no gap";
    Json made = profile();
    expect_price(made, "lfence", 13, 0);
    expect_price(made, "cr3-write", 151, 0);
}

TEST_F(Planted, AnUnsteadyPriceIsRefused) {
    auto prices = prices_in(run({{"cr3-write", 10}}, a_few, "wobble=400"));
    EXPECT_TRUE(is_flagged(prices["primitive=cr3-write"], "refused"));
    Json made = profile();
    EXPECT_FALSE(named(made.at("refused"), "cr3-write").is_null());
    for (const Json& price : made.at("prices")) EXPECT_NE(price.at("name"), "cr3-write");
}

}  // namespace
}  // namespace doorbell::test
