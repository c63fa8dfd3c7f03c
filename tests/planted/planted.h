// The image on a clock with planted prices, and what lab `prices` must find there.
#pragma once
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>

#include "tests/image/run.h"

namespace doorbell::test {

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
    {"primitive=rep-movsb", 1, {}},
    {"primitive=rep-stosb", 1, {}},
    {"primitive=int-iretq ring=0", 2, {{"int", 1}, {"iretq", 1}}},
    {"primitive=int-iretq ring=3", 2, {{"int", 1}, {"iretq", 1}}},
    // Five PUSHes and IRETQ.
    {"primitive=iretq", 6, {{"iretq", 1}}},
    {"primitive=syscall-sysret", 2, {{"syscall", 1}, {"sysret", 1}}},
    // The command, two polls and a store; the handler's two stores and IRETQ.
    {"primitive=self-ipi", 7, {{"interrupt", 1}, {"iretq", 1}, {"apic-write", 2}}},
    // The bodies differ in the interrupt alone.
    {"primitive=interrupt-entry", 0, {{"interrupt", 1}}},
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

inline std::string text_of(const Json& test_case) {
    std::string text;
    for (const char* key : {"primitive", "bytes", "page", "within", "pages", "ring", "hint"})
        if (test_case.contains(key))
            text += (text.empty() ? "" : " ") + std::string(key) + "=" +
                    test_case.at(key).get<std::string>();
    return text;
}

inline uint64_t price_of(const Unit& unit, const Prices& planted) {
    uint64_t price = unit.instructions;
    for (const auto& [event, count] : unit.events)
        if (auto found = planted.find(event); found != planted.end())
            price += count * found->second;
    return price;
}

inline std::map<std::string, Json> prices_in(const Json& results) {
    std::map<std::string, Json> prices;
    for (const Json& s : results.at("series"))
        if (s.at("metric") == "price") prices[text_of(s.at("case"))] = s;
    return prices;
}

inline bool is_flagged(const Json& series, const std::string& word) {
    for (const Json& flag : series.at("flags"))
        if (flag.get<std::string>().find(word) != std::string::npos) return true;
    return false;
}

/// Each primitive's price, exactly.
inline void expect_each(const Json& results, const Prices& planted) {
    auto prices = prices_in(results);
    for (const Unit& unit : units) {
        ASSERT_EQ(prices.count(unit.test_case), 1u) << unit.test_case;
        const Json& s = prices[unit.test_case];
        EXPECT_EQ(s.at("min"), 1000 * price_of(unit, planted)) << unit.test_case;
        EXPECT_EQ(s.at("max"), 1000 * price_of(unit, planted)) << unit.test_case;
        EXPECT_TRUE(s.at("flags").empty()) << unit.test_case << s.at("flags");
    }
}

class Planted : public testing::Test {
  protected:
    /// Runs the image with `words` on a clock with these prices and further words for the plugin;
    /// the run lies in `folder`.
    Json run(Prices prices, const std::string& words, const std::string& plugin = "",
             const std::string& folder = "run") {
        // Without these, the image would take the clock for one that counts instructions.
        prices.insert({{"rdtsc", 20}, {"int", 50}});
        std::string clock = DOORBELL_PLANTED_CLOCK;
        for (const auto& [event, price] : prices)
            clock += "," + event + "=" + std::to_string(price);
        if (!plugin.empty()) clock += "," + plugin;
        Outcome out = shell(
            scratch,
            "rm -rf " + folder +
                "; timeout 550 qemu-system-x86_64 -nodefaults -no-user-config -M q35 -m 512M "
                "-smp 1 -cpu max,-x2apic,-smap -accel tcg,thread=single -icount shift=0,sleep=off "
                "-seed "
                "1 "
                "-rtc base=2026-01-01,clock=vm -display none -serial stdio -monitor none "
                "-no-reboot "
                "-device isa-debug-exit,iobase=0xf4,iosize=4 -device e1000e -plugin " +
                clock + " -kernel " DOORBELL_PLANTED_IMAGE " -append '" + words +
                " exit=debug' 2>qemu.txt | " DOORBELL_COMMAND " attach - --quiet --out " + folder);
        EXPECT_EQ(out.status, 0) << out.err << content(scratch / "qemu.txt")
                                 << content(scratch / folder / "console.log").substr(0, 2000);
        Json all = Json::parse(content(scratch / folder / "results.json"), nullptr, false);
        EXPECT_TRUE(all.at("complete").get<bool>());
        EXPECT_EQ(all.at("instrument").at("clock"), "live") << "a planted clock is not exact";
        return all;
    }
    /// The prices of the run in "run", which are in "run/profile.json", too.
    Json profile() {
        Outcome out = shell(scratch, DOORBELL_COMMAND " profile run --json");
        EXPECT_EQ(out.status, 0) << out.err;
        return Json::parse(out.out, nullptr, false);
    }
    Scratch scratch;
};

inline Json named(const Json& list, const std::string& name) {
    for (const Json& one : list)
        if (one.at("name") == name) return one;
    ADD_FAILURE() << name << " is missing from " << list;
    return {};
}

/// Within `per_mille` of the value.
inline void expect_value(const Json& profile, const std::string& name, double planted,
                         double per_mille) {
    Json price = named(profile.at("prices"), name);
    if (price.is_null()) return;
    EXPECT_NEAR(price.at("ticks").at("value").get<double>(), planted, planted * per_mille / 1000)
        << name;
}

/// Likewise, and within the interval that the profile states.
inline void expect_price(const Json& profile, const std::string& name, double planted,
                         double per_mille) {
    expect_value(profile, name, planted, per_mille);
    Json price = named(profile.at("prices"), name);
    if (price.is_null()) return;
    const Json& ticks = price.at("ticks");
    EXPECT_LE(ticks.at("low").get<double>(), planted) << name << ticks;
    EXPECT_GE(ticks.at("high").get<double>(), planted) << name << ticks;
}

/// The true capacity lies between what fits and what does not.
inline void expect_capacity(const Json& profile, const std::string& name, uint64_t planted) {
    Json capacity = named(profile.at("capacities"), name);
    if (capacity.is_null()) return;
    EXPECT_LE(capacity.at("low"), planted) << capacity;
    EXPECT_GE(capacity.at("high"), planted) << capacity;
}

}  // namespace doorbell::test
