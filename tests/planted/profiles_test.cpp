// Random profiles, each planted whole: lab `prices` recovers it, and with what it recovered
// `doorbell predict` tells what other labs take on that clock, from counts of the exact clock. What
// a profile's error does to a prediction is told, too.
//
//   planted-tests --profiles N     N profiles instead of 3, and a line that sums them up
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <vector>

#include "firmware/measure/histogram.h"
#include "tests/planted/planted.h"

namespace doorbell::test {
namespace {

unsigned profiles = 3, recovered = 0, to_the_tick = 0, to_a_thousandth = 0;

/// So many that a mispredicted end of a loop, which one image has and the other has not, is less
/// than half a tick of a mean.
constexpr unsigned samples = 100;
/// The predictor of both; the planted clock has the model's usual caches.
constexpr const char* predictor = "predictor=4096";
/// What is measured on the planted clock and counted in the exact one. Walks from cold caches are
/// not: the lab empties the model's alone.
constexpr const char* labs[] = {
    "syscall:space=same",     "syscall:space=other",   "syscall:lines=64",
    "switch:state=registers", "switch:state=full",     "batch:size=2",
    "batch:size=5",           "caches:walk=events",    "caches:walk=empty",
    "caches:body=ring-16k",   "caches:body=ring-128k", "caches:body=ring-1m",
    "caches:body=stream-64",  "caches:body=fill",      "caches:body=xorshift"};

class PlantedProfileFixture : public Planted {
  protected:
    /// IMUL, CALL and RET have no count: what they cost is not planted.
    static Prices random_prices(unsigned seed) {
        std::mt19937 random(seed);
        auto between = [&](uint64_t low, uint64_t high) {
            return low + random() % (high - low + 1);
        };
        Prices planted = {{"imul", 0},
                          {"call", 0},
                          {"ret", 0},
                          {"branch-miss", between(8, 30)},
                          // The sweeps are in pages of 4 KiB here, and would hold its misses.
                          {"dtlb-miss", 0},
                          {"l1d-miss", between(6, 16)},
                          {"l2-miss", between(30, 70)},
                          {"llc-miss", between(100, 400)}};
        for (const Unit& unit : units)
            for (const auto& [event, count] : unit.events)
                if (planted.count(event) == 0) planted[event] = between(1, 900);
        return planted;
    }

    Json recover(const Prices& planted) {
        Json all = run(planted, "lab=prices samples=5 warmup=2");
        expect_each(all, planted);
        Json made = profile();
        // When the count ends within a look at it, and when the look ends, depends on the prices.
        const double look = 2 + static_cast<double>(planted.at("apic-read"));
        EXPECT_NEAR(named(made.at("prices"), "timer-entry").at("ticks").at("value").get<double>(),
                    static_cast<double>(planted.at("interrupt")), look);
        uint64_t level = 1;
        for (const auto& [name, event] : {std::pair<const char*, const char*>{"l1d", ""},
                                          {"l2", "l1d-miss"},
                                          {"llc", "l2-miss"},
                                          {"memory", "llc-miss"}}) {
            if (*event != 0) level += planted.at(event);
            auto here = static_cast<double>(level);
            expect_price(made, std::string("load-chained-") + name, here, 1);
            expect_value(made, std::string("load-streamed-") + name, here, 1);
            // These load their place from a table.
            expect_value(made, std::string("load-scattered-") + name, here + 1, 1);
            expect_value(made, std::string("store-scattered-") + name, here + 1, 1);
        }
        // Half of random branches are mispredicted, more or less.
        auto branch = static_cast<double>(planted.at("branch-miss"));
        expect_value(made, "mispredict", branch, 20);
        for (const char* name : {"l2", "llc", "memory"})
            expect_value(made, std::string("late-branch-") + name, branch, 60);
        expect_capacity(made, "l1d", 32 << 10);
        expect_capacity(made, "l2", 256 << 10);
        expect_capacity(made, "llc", 8 << 20);
        for (const Json& one : made.at("refused")) EXPECT_EQ(one.at("name"), "hlt-wake") << one;
        // Emulation has ticks, and a price in them, but no core cycles.
        EXPECT_TRUE(made.at("yardstick").is_null());
        EXPECT_FALSE(named(made.at("prices"), "lfence").contains("cycles"));
        return made;
    }

    /// The labs in the exact clock, with counts, in "counts".
    void count() {
        std::string words;
        for (const char* lab : labs) words += std::string(lab) + " ";
        Outcome out = shell(scratch, DOORBELL_COMMAND " run " + words + "--samples " +
                                         std::to_string(samples) + " --model " + predictor +
                                         " --profile none --quiet --out counts");
        ASSERT_EQ(out.status, 0) << out.err;
    }
    /// The same labs on the planted clock, in "labs".
    Json measure(const Prices& planted) {
        std::string words;
        for (const char* lab : labs) words += std::string("lab=") + lab + " ";
        return run(planted, words + "samples=" + std::to_string(samples), "", "labs");
    }
    /// predictions.json of the counted labs, by a profile.
    Json predictions(const std::string& profile) {
        Outcome out =
            shell(scratch, DOORBELL_COMMAND " predict counts --json --profile " + profile);
        EXPECT_EQ(out.status, 0) << out.err;
        return Json::parse(out.out, nullptr, false);
    }
};

class PlantedProfile : public PlantedProfileFixture,
                       public testing::WithParamInterface<unsigned> {};

/// Whether instructions and events alone make that prediction, without misses.
bool is_of_events(const Json& prediction) {
    for (const Json& part : prediction.at("clock").at("parts")) {
        std::string name = part.at("name");
        bool miss = name == "mispredict" || name == "late-branch";
        for (const char* level : {"-l2", "-llc", "-memory"}) miss |= name.ends_with(level);
        if (miss && part.at("value").get<double>() >= 0.5) return false;
    }
    return true;
}

/// A prediction of ticks beside the series that was measured.
struct Compared {
    Json prediction, measured;
    double value() const { return prediction.at("clock").at("value"); }
    /// How far the prediction is from what the median stands for: all values of its bin.
    double off_the_median() const {
        using measure::Histogram;
        size_t bin = Histogram::bin_of(measured.at("p50"));
        return std::max({0.0, static_cast<double>(Histogram::lowest_of(bin)) - value(),
                         value() - static_cast<double>(Histogram::highest_of(bin))});
    }
    double median() const { return measured.at("p50"); }
    double mean() const { return measured.at("mean"); }
};

std::vector<Compared> compared(const Json& predictions, const Json& measured) {
    std::vector<Compared> both;
    for (const Json& p : predictions.at("series")) {
        Json s = series(measured, p.at("lab"), p.at("case"), p.at("metric"));
        if (s.is_null() || !p.contains("clock")) continue;
        both.push_back({p, s});
    }
    return both;
}

TEST_P(PlantedProfile, IsRecoveredAndPredictsToTheTick) {
    Prices planted = random_prices(GetParam());
    recover(planted);
    ASSERT_NO_FATAL_FAILURE(count());
    Json measured = measure(planted), predicted = predictions("run/profile.json");
    unsigned events = 0, misses = 0;
    for (const Compared& c : compared(predicted, measured)) {
        if (is_of_events(c.prediction)) {
            // A bag's share of its cost is rounded down.
            double rounded = c.prediction.at("lab") == "batch" ? 1 : 0.5;
            EXPECT_LE(c.off_the_median(), rounded) << c.prediction << c.median();
            ++events;
        } else {
            // Counts are means, and the other image has its variables elsewhere.
            EXPECT_NEAR(c.value(), c.mean(), 0.5 + c.mean() / 1000) << c.prediction;
            ++misses;
        }
    }
    EXPECT_GE(events, 12u);
    EXPECT_GE(misses, 5u);
    if (HasFailure()) return;
    ++recovered;
    to_the_tick += events;
    to_a_thousandth += misses;
}
INSTANTIATE_TEST_SUITE_P(Random, PlantedProfile, testing::Range(1u, 1 + profiles));

class WrongProfile : public PlantedProfileFixture {};

/// That price of a profile, `factor` times as much.
void falsify(Json& profile, const std::string& name, double factor) {
    for (Json& price : profile.at("prices"))
        if (price.at("name") == name)
            for (const char* unit : {"ticks", "ns"})
                for (const char* end : {"value", "low", "high"})
                    price.at(unit).at(end) = factor * price.at(unit).at(end).get<double>();
}

TEST_F(WrongProfile, HasTheErrorThatWasPlanted) {
    Prices planted = random_prices(7);
    run(planted, "lab=prices samples=3 warmup=2");
    Json wrong = profile();
    const double pair = static_cast<double>(2 + planted["syscall"] + planted["sysret"]);
    falsify(wrong, "syscall-sysret", 3);
    scratch.write("wrong.json", wrong.dump());
    ASSERT_NO_FATAL_FAILURE(count());
    measure(planted);
    Outcome out = shell(
        scratch, DOORBELL_COMMAND " predict counts --json --profile wrong.json --against labs");
    ASSERT_EQ(out.status, 0) << out.err;
    unsigned calls = 0, others = 0;
    const std::map<std::string, double> pairs = {
        {"gate=syscall space=same", 1}, {"gate=syscall space=other", 1},
        {"state=full space=same", 1},   {"gate=int space=same", 0},
        {"gate=int space=other", 0},    {"gate=call space=same", 0}};
    const Json against = Json::parse(out.out),
               measured = Json::parse(content(scratch / "labs/results.json"), nullptr, false);
    for (const Json& body : against.at("list")) {
        auto found = pairs.find(body.at("case"));
        if (found == pairs.end() || body.at("metric") != "cost") continue;
        double ns = body.at("measured");
        double ticks = ns * measured.at("machine").at("tsc_hz").get<double>() / 1e9;
        double error = found->second * 2 * pair / ticks;
        EXPECT_NEAR(body.at("error").get<double>(), error, 0.5 / ticks) << body;
        ++(found->second != 0 ? calls : others);
    }
    EXPECT_EQ(calls, 3u);
    EXPECT_EQ(others, 3u);
}

TEST_F(WrongProfile, OfNoiseHoldsTheTruthInItsIntervals) {
    Prices planted = random_prices(8);
    constexpr unsigned noise = 40;
    run(planted, "lab=prices samples=20 warmup=2", "noise=" + std::to_string(noise));
    Json made = profile();
    for (const Unit& unit : units) {
        std::string name = std::string(unit.test_case).substr(std::strlen("primitive="));
        if (size_t ring = name.find(" ring="); ring != name.npos) name.replace(ring, 6, "-ring");
        // A reading of the clock is what the noise comes with.
        double readings = unit.events.count("rdtsc") != 0 ? noise / 2.0 : 0;
        auto price = static_cast<double>(price_of(unit, planted)) + readings;
        const Json ticks = named(made.at("prices"), name).at("ticks");
        EXPECT_LE(ticks.at("low").get<double>(), price) << name << ticks;
        EXPECT_GE(ticks.at("high").get<double>(), price) << name << ticks;
    }
    ASSERT_NO_FATAL_FAILURE(count());
    unsigned held = 0;
    for (const Compared& c : compared(predictions("run/profile.json"), measure(planted))) {
        if (!is_of_events(c.prediction)) continue;
        // A value that was divided is rounded down.
        EXPECT_LE(c.prediction.at("clock").at("low").get<double>(), c.median() + 1) << c.prediction;
        EXPECT_GE(c.prediction.at("clock").at("high").get<double>(), c.median()) << c.prediction;
        ++held;
    }
    EXPECT_GE(held, 12u);
}

}  // namespace
}  // namespace doorbell::test

int main(int argc, char** argv) {
    using namespace doorbell::test;
    bool many = argc > 2 && std::strcmp(argv[1], "--profiles") == 0;
    if (many) profiles = static_cast<unsigned>(std::strtoul(argv[2], nullptr, 10));
    testing::InitGoogleTest(&argc, argv);
    int status = RUN_ALL_TESTS();
    if (many)
        std::printf(
            "planted profiles: %u of %u recovered; error of their predictions: 0 in %u series of "
            "events, less than a thousandth in %u with misses\n",
            recovered, profiles, to_the_tick, to_a_thousandth);
    return status;
}
