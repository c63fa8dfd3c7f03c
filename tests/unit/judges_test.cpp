// The judges of every lab's claims, on rows of figures: the verdict for each kind of evidence, with
// a case missing, and with a clock whose steps exceed the difference. A claim without rows fails,
// and so does one with a verdict that no row produces.
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "labs/catalogue.h"
#include "labs/kit/results.h"

namespace doorbell::test {
namespace {

using labs::Figure;
using labs::Results;
using labs::Summary;
using Holds = labs::ClaimVerdict::Holds;

constexpr uint64_t samples = 100;
constexpr uint64_t same = ~0ull;

/// One series: every sample is `value`, except one that is `least`.
struct Given {
    std::string test_case;
    const char* metric;
    uint64_t value;
    uint64_t misses = 0;              ///< of L1D, in each sample
    uint64_t least = same;            ///< same: as `value`
    const char* counter = nullptr;    ///< the counter to use instead of L1D misses
    bool only_misses_matter = false;  ///< not needed in a clock of hardware
};
using Series = std::vector<Given>;

/// What a claim's judge uses.
enum class By {
    time,     ///< time or path length: every clock can tell
    price,    ///< time, whose parts an instruction clock counts as one instruction each
    misses,   ///< the same, but counted misses stand in for it in an instruction clock
    path,     ///< path length: an instruction clock only
    share,    ///< shares of time that an instruction clock cannot tell; no clock's step is in them
    count,    ///< whether something happened, and shares that every clock can tell
    counter,  ///< a counter
};

/// Figures with which a claim holds and others that refute it.
struct Story {
    const char* lab;
    const char* id;
    By by;
    Series holding, refuting;
};

/// All cases of a lab that `fits` accepts.
template <class Fits>
Series each(const char* lab, Fits fits, std::vector<const char*> metrics, uint64_t value) {
    Series all;
    for (const labs::Case& c : labs::find(lab)->cases)
        for (const char* metric : metrics)
            if (fits(c)) all.push_back({std::string(c.text()), metric, value});
    return all;
}
Series but(Series all, const std::string& test_case, const char* metric, uint64_t value,
           uint64_t least = same) {
    bool found = false;
    for (Given& g : all)
        if (g.test_case == test_case && g.metric == std::string(metric))
            g.value = value, g.least = least, found = true;
    EXPECT_TRUE(found) << test_case << " " << metric;
    return all;
}
bool any(const labs::Case&) { return true; }
bool irq(const labs::Case& c) { return c["policy"] == "irq"; }
bool hybrid(const labs::Case& c) { return c["policy"] == "hybrid"; }
bool out_of_ring3(const labs::Case& c) { return c.number("ring") == 3 && c["try"] != "5+5"; }

/// What is left to the job at each rate: polling every 256th step loses `poll`, interrupts `irq`,
/// for each thousand packets a second, and polling 1000 besides.
Series left(uint64_t poll, uint64_t irq) {
    Series all;
    for (const char* rate : {"10", "100", "1000", "10000", "100000", "1000000"}) {
        uint64_t thousands = std::stoull(rate) / 1000;
        all.push_back(
            {std::string("wait=poll every=256 rate=") + rate, "work", 999000 - thousands * poll});
        all.push_back({std::string("wait=irq rate=") + rate, "work", 1000000 - thousands * irq});
    }
    return all;
}

/// Two series, the first of which is to be below a part of the second.
Series pair(const char* a, const char* b, const char* metric, uint64_t of_a, uint64_t of_b) {
    return {{a, metric, of_a}, {b, metric, of_b}};
}

/// A claim that the median of `a` is below that of `b`.
Story lower(const char* lab, const char* id, By by, const char* a, const char* b,
            const char* metric) {
    return {lab, id, by, pair(a, b, metric, 100, 200), pair(a, b, metric, 200, 100)};
}

/// A claim that `a` has fewer cache misses than `b`, and takes less time.
Story fewer(const char* lab, const char* id, labs::Which a, labs::Which b) {
    auto series = [&](uint64_t of_a, uint64_t of_b) {
        return Series{{a.test_case, a.metric, of_a, of_a / 10},
                      {b.test_case, b.metric, of_b, of_b / 10}};
    };
    return {lab, id, By::misses, series(100, 200), series(200, 100)};
}

Given counted(const char* test_case, const char* counter, uint64_t each_sample) {
    return {test_case, "cost", 1000, each_sample, same, counter};
}

Series losses(const char* test_case, uint64_t torn, uint64_t lost) {
    return {{test_case, "torn", torn}, {test_case, "lost", lost}, {test_case, "committed", 3}};
}

/// The hidden cost of two working sets, by time and by the misses of a walk with and without a
/// switch.
Series hidden(uint64_t small, uint64_t large) {
    constexpr const char *a = "set=4096 stride=64", *b = "set=262144 stride=64";
    return {{a, "refill", small},
            {b, "refill", large},
            {a, "walk", 50, 5, same, nullptr, true},
            {a, "walk-after-switch", 50, 5 + small, same, nullptr, true},
            {b, "walk", 500, 7, same, nullptr, true},
            {b, "walk-after-switch", 500, 7 + large, same, nullptr, true}};
}

std::vector<Story> stories_of_cards() {
    constexpr const char *one = "model=e1000e burst=1", *some = "model=e1000e burst=32",
                         *many = "model=e1000e burst=1024";
    constexpr const char *short_interval = "model=e1000e interval=130",
                         *long_interval = "model=e1000e interval=1000";
    constexpr const char *empty = "model=e1000e op=empty-poll",
                         *receive_one = "model=e1000e op=receive burst=1",
                         *receive_some = "model=e1000e op=receive burst=32";
    return {
        {"burst", "burst-halves-cost", By::time, pair(some, one, "cost", 40, 100),
         pair(some, one, "cost", 60, 100)},
        {"burst", "most-won-by-32", By::time, pair(some, many, "cost", 100, 90),
         pair(some, many, "cost", 100, 70)},
        {"livelock", "irq-collapses", By::count,
         but(each("livelock", irq, {"delivered"}, 900000), "policy=irq load=10", "delivered",
             100000),
         but(each("livelock", irq, {"delivered"}, 900000), "policy=irq load=10", "delivered",
             500000)},
        {"livelock", "hybrid-keeps-peak", By::count,
         each("livelock", hybrid, {"delivered"}, 950000),
         but(each("livelock", hybrid, {"delivered"}, 950000), "policy=hybrid load=10", "delivered",
             800000)},
        {"moderation", "interval-saves-interrupts", By::count,
         pair(long_interval, short_interval, "interrupts", 100, 500),
         pair(long_interval, short_interval, "interrupts", 100, 300)},
        {"moderation", "interval-costs-latency", By::time,
         pair(short_interval, long_interval, "latency", 100, 500),
         pair(short_interval, long_interval, "latency", 100, 300)},
        lower("nic", "poll-sooner-than-irq", By::price, "model=e1000e wait=poll",
              "model=e1000e wait=irq", "latency"),
        {"nic", "empty-poll-is-cheap", By::time, pair(empty, receive_one, "cost", 10, 100),
         pair(empty, receive_one, "cost", 30, 100)},
        {"nic", "burst-halves-cost", By::time, pair(receive_some, receive_one, "cost", 40, 100),
         pair(receive_some, receive_one, "cost", 60, 100)},
        {"pizza", "polling-wins-at-high-rate", By::count, left(0, 100), left(200, 100)},
    };
}

std::vector<Story> stories_of_rings() {
    constexpr const char *stop = "signal=SIGTERM handler=stop",
                         *no_handler = "signal=SIGTERM handler=none",
                         *kill = "signal=SIGKILL handler=refused",
                         *wild = "signal=SIGSEGV handler=none";
    Series refused = each("rings", out_of_ring3, {"refused", "kernel-intact"}, 1);
    Series survived = each("hostile", any, {"kernel-intact"}, 1);
    std::string first_attempt = "try=read-kernel-page ring=3",
                first_attack = survived.front().test_case;
    return {
        {"hostile", "kernel-survives", By::count, survived,
         but(survived, first_attack, "kernel-intact", 1, 0)},
        {"rings", "ring3-refused", By::count, refused, but(refused, first_attempt, "refused", 0)},
        {"rings", "ring0-refused-user-pages", By::count,
         pair("try=read-user-page ring=0", "try=run-user-page ring=0", "refused", 1, 1),
         pair("try=read-user-page ring=0", "try=run-user-page ring=0", "refused", 1, 0)},
        {"rings", "no-crossing", By::path, pair("try=5+5 ring=3", "try=5+5 ring=0", "cost", 2, 2),
         pair("try=5+5 ring=3", "try=5+5 ring=0", "cost", 3, 2)},
        {"signals", "handler-saves-all", By::count, losses(stop, 0, 0), losses(stop, 0, 1)},
        {"signals", "default-loses", By::count, losses(no_handler, 1, 1), losses(no_handler, 1, 0)},
        {"signals", "kill-tears", By::count, losses(kill, 1, 0), losses(kill, 0, 1)},
        {"signals",
         "log-taken-over",
         By::count,
         {{kill, "held", 1}, {kill, "recovered", 1}, {kill, "committed", 3}},
         {{kill, "held", 1}, {kill, "recovered", 1, 0, 0}, {kill, "committed", 3}}},
        {"signals",
         "wild-pointer-ends-task",
         By::count,
         {{wild, "ended", 1}, {wild, "kernel-intact", 1}},
         {{wild, "ended", 1}, {wild, "kernel-intact", 1, 0, 0}}},
        lower("syscall", "syscall-below-int", By::price, "gate=syscall space=same",
              "gate=int space=same", "cost"),
        {"syscall", "call-below-syscall", By::price,
         pair("gate=call space=same", "gate=syscall space=same", "cost", 5, 100),
         pair("gate=call space=same", "gate=syscall space=same", "cost", 20, 100)},
        lower("syscall", "other-space-costs", By::price, "gate=syscall space=same",
              "gate=syscall space=other", "cost"),
        fewer("syscall", "caller-pays-later", {"gate=syscall lines=4096", "before"},
              {"gate=syscall lines=4096", "after"}),
    };
}

std::vector<Story> stories_of_tasks() {
    constexpr const char *set = "set=32768 stride=64", *same_space = "state=registers space=same",
                         *other_space = "state=registers space=other",
                         *full = "state=full space=same", *pool = "tasks=5000 policy=pool",
                         *tasks = "tasks=5000 policy=tasks", *few = "tasks=10 policy=pool";
    return {
        {"switch",
         "caches-cold-after-switch",
         By::misses,
         {{set, "walk", 100, 10}, {set, "walk-after-switch", 300, 30}},
         {{set, "walk", 200, 20}, {set, "walk-after-switch", 300, 30}}},
        {"switch",
         "hidden-passes-direct",
         By::price,
         {{other_space, "cost", 100}, {"set=65536 stride=64", "refill", 200}},
         {{other_space, "cost", 200}, {"set=65536 stride=64", "refill", 100}}},
        {"switch", "hidden-small-at-4-kib", By::misses, hidden(10, 200), hidden(30, 200)},
        lower("switch", "other-space-costs", By::price, same_space, other_space, "cost"),
        lower("switch", "full-state-costs", By::price, same_space, full, "cost"),
        {"thrash",
         "pool-keeps-throughput",
         By::share,
         {{tasks, "work", 100000}, {pool, "work", 900000}, {few, "work", 950000}},
         {{tasks, "work", 890000}, {pool, "work", 900000}, {few, "work", 950000}}},
        fewer("thrash", "pool-misses-less", {pool, "total"}, {tasks, "total"}),
        lower("thrash", "half-done-sooner", By::time, pool, tasks, "job"),
        {"thrash", "service-is-short", By::time, pair(pool, tasks, "service", 1, 1000),
         pair(pool, tasks, "service", 20, 1000)},
    };
}

std::vector<Story> stories_of_clocks() {
    constexpr const char* cold64 = "walk=stride step=64 state=cold";
    constexpr const char *irq = "source=lapic wait=irq", *halted = "source=lapic wait=irq-halt",
                         *spin = "source=lapic wait=poll-tsc";
    auto claim = [](const char* id, const char* test_case, const char* counter, uint64_t want,
                    uint64_t wrong) {
        return Story{"caches",
                     id,
                     By::counter,
                     {counted(test_case, counter, want)},
                     {counted(test_case, counter, wrong)}};
    };
    auto bags = [](uint64_t one, uint64_t hundred, uint64_t thousand) {
        return Series{{"size=1", "cost", one},
                      {"size=100", "cost", hundred},
                      {"size=1000", "cost", thousand}};
    };
    return {
        lower("anatomy", "ring3-costs-more", By::price, "source=lapic ring=0",
              "source=lapic ring=3", "latency"),
        {"anatomy",
         "short-entry",
         By::path,
         {{"source=int ring=3", "entry", 12}},
         {{"source=int ring=3", "entry", 13}}},
        {"batch", "one-bag", By::price, pair("size=1000", "size=1", "cost", 5, 60),
         pair("size=1000", "size=1", "cost", 7, 60)},
        {"batch", "first-waits", By::time, pair("size=1", "size=1000", "first", 10, 120),
         pair("size=1", "size=1000", "first", 10, 80)},
        {"batch", "hundred-is-enough", By::time, bags(1000, 120, 100), bags(1000, 200, 100)},
        claim("empty-walk", "walk=empty", "instructions", 0, 11),
        claim("instructions", cold64, "instructions", 16384, 20000),
        claim("each-line-misses", cold64, "l1d_misses", 4096, 3600),
        claim("eight-share-a-line", "walk=stride step=8 state=cold", "l1d_misses", 512, 600),
        claim("small-ring-stays", "walk=chase bytes=16384 state=warm", "l1d_misses", 0, 11),
        lower("timer", "poll-sooner-than-irq", By::price, spin, irq, "latency"),
        lower("timer", "busy-sooner-than-halted", By::price, irq, halted, "latency"),
        {"timer",
         "same-path-every-time",
         By::path,
         {{irq, "latency", 7}},
         {{irq, "latency", 7, 0, 6}}},
    };
}

const std::vector<Story>& stories() {
    static const std::vector<Story> every = [] {
        std::vector<Story> all;
        for (auto part : {stories_of_cards, stories_of_rings, stories_of_tasks, stories_of_clocks})
            for (Story& story : part()) all.push_back(std::move(story));
        return all;
    }();
    return every;
}

/// A kind of evidence.
struct Kind {
    const char* name;
    const char* clock;     ///< evidence of the series
    const char* counters;  ///< evidence of the counters; null: none
};
constexpr Kind kinds[] = {
    {"exact", "exact", nullptr},       {"modelled counters", "exact", "modelled"},
    {"measured", "measured", nullptr}, {"measured, counters too", "measured", "measured"},
    {"rough", "rough", nullptr},       {"exact, hardware counts", "exact", "measured"},
};

bool can_say(By by, const Kind& kind) {
    bool exact = std::string(kind.clock) == "exact";
    switch (by) {
        case By::price:
        case By::share:
            return !exact;
        case By::misses:
            return !exact || kind.counters != nullptr;
        case By::path:
            return exact;
        case By::counter:
            return kind.counters != nullptr;
        case By::time:
        case By::count:
            break;
    }
    return true;
}

bool takes_time(By by) { return by == By::time || by == By::price || by == By::misses; }

/// Results with their memory.
class Memory {
  public:
    Memory(const char* lab, Series all, const Kind& kind, uint64_t resolution = 0)
        : series_(std::move(all)), summaries_(series_.size() + 4), figures_(series_.size()) {
        results = Results(summaries_, {});
        for (size_t i = 0; i < series_.size(); ++i) {
            const Given& g = series_[i];
            Summary s;
            s.lab = lab;
            s.test_case = g.test_case;
            s.metric = g.metric;
            s.unit = std::string(kind.clock) == "exact" ? "insn" : "tick";
            s.evidence = kind.clock;
            s.resolution = resolution;
            s.count = samples;
            s.p50 = s.p99 = s.max = g.value;
            s.min = g.least == same ? g.value : g.least;
            s.sum = (samples - 1) * g.value + s.min;
            if (kind.counters != nullptr) {
                figures_[i] = {g.counter != nullptr ? g.counter : "l1d_misses", "", kind.counters,
                               g.misses * samples, samples};
                s.figures = {&figures_[i], 1};
            }
            if (change != nullptr) change(s);
            results.add(s);
        }
    }
    Results results;
    inline static void (*change)(Summary& s) = nullptr;  ///< of every summary here

  private:
    Series series_;
    std::vector<Summary> summaries_;
    std::vector<Figure> figures_;
};

const labs::Claim* find_claim(const std::string& lab, const std::string& id) {
    const labs::Lab* found = labs::find(lab);
    if (found == nullptr) return nullptr;
    for (const labs::Claim& claim : found->claims)
        if (claim.id == id) return &claim;
    return nullptr;
}

/// Every verdict of a claim, over all rows.
std::map<std::string, std::set<Holds>> given;

Holds judge(const Story& story, const Results& results, std::string* because = nullptr) {
    const labs::Claim* claim = find_claim(story.lab, story.id);
    if (claim == nullptr) {
        ADD_FAILURE() << "there is no claim " << story.lab << " " << story.id;
        return Holds::cannot_say;
    }
    labs::ClaimVerdict verdict = claim->judge(results, story.lab);
    EXPECT_FALSE(verdict.because.empty()) << story.lab << " " << story.id;
    if (because != nullptr) *because = verdict.because;
    given[std::string(story.lab) + " " + story.id].insert(verdict.holds);
    return verdict.holds;
}

// One test, in this order: the rows, then their coverage.
TEST(Judges, EveryClaimGivesEachVerdictThatItCan) {
    for (const Story& story : stories())
        for (const Kind& kind : kinds) {
            SCOPED_TRACE(testing::Message() << story.lab << " " << story.id << ", " << kind.name);
            bool says = can_say(story.by, kind);
            std::string because;
            Memory holding(story.lab, story.holding, kind),
                refuting(story.lab, story.refuting, kind);
            EXPECT_EQ(judge(story, holding.results, &because),
                      says ? Holds::yes : Holds::cannot_say)
                << because;
            if (says && (takes_time(story.by) || story.by == By::counter)) {
                bool by_counter = story.by == By::counter ||
                                  (story.by == By::misses && kind.clock == std::string("exact"));
                std::string word = by_counter ? kind.counters : kind.clock;
                EXPECT_NE(because.find("(" + word + ")"), std::string::npos) << because;
            }
            EXPECT_EQ(judge(story, refuting.results, &because),
                      says ? Holds::no : Holds::cannot_say)
                << because;
        }
    // Every claim of every lab has rows, which together produced all three verdicts.
    for (const labs::Lab* lab : labs::catalogue())
        for (const labs::Claim& claim : lab->claims) {
            std::set<Holds> verdicts = given[std::string(lab->name) + " " + claim.id];
            // Claims that do not depend on the clock are undecided where cases are missing.
            for (const Story& story : stories())
                if (story.lab == std::string(lab->name) && story.id == std::string(claim.id))
                    verdicts.insert(judge(story, Results{}));
            EXPECT_EQ(verdicts.count(Holds::yes), 1u)
                << lab->name << " " << claim.id << ": no row proves it";
            EXPECT_EQ(verdicts.count(Holds::no), 1u)
                << lab->name << " " << claim.id << ": no row refutes it";
            EXPECT_EQ(verdicts.count(Holds::cannot_say), 1u)
                << lab->name << " " << claim.id << ": no row leaves it open";
        }
}

TEST(Judges, AMissingCaseLeavesAClaimUndecided) {
    for (const Story& story : stories())
        for (const Kind& kind : kinds) {
            bool by_misses = story.by == By::misses && kind.clock == std::string("exact");
            for (const Series* all : {&story.holding, &story.refuting})
                for (size_t i = 0; i < all->size(); ++i) {
                    if ((*all)[i].only_misses_matter && !by_misses) continue;
                    Series rest = *all;
                    rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(i));
                    Memory memory(story.lab, rest, kind);
                    Holds holds = judge(story, memory.results);
                    // One attempt that was not refused refutes the claim, whatever the others did.
                    bool refuted = all == &story.refuting && holds == Holds::no;
                    EXPECT_TRUE(holds == Holds::cannot_say || refuted)
                        << story.lab << " " << story.id << ", " << kind.name << ", without "
                        << (*all)[i].test_case << " " << (*all)[i].metric;
                }
        }
}

TEST(Judges, ADifferenceBelowTheClocksResolutionIsUndecided) {
    for (const Story& story : stories())
        for (const char* clock : {"measured", "rough"}) {
            if (!takes_time(story.by)) continue;
            SCOPED_TRACE(testing::Message() << story.lab << " " << story.id << ", " << clock);
            Kind kind{clock, clock, nullptr};
            std::string because;
            Memory coarse(story.lab, story.holding, kind, 1000),
                coarse_refuting(story.lab, story.refuting, kind, 1000),
                fine(story.lab, story.holding, kind, 1),
                fine_refuting(story.lab, story.refuting, kind, 1);
            EXPECT_EQ(judge(story, coarse.results, &because), Holds::cannot_say) << because;
            EXPECT_NE(because.find("steps"), std::string::npos) << because;
            EXPECT_EQ(judge(story, coarse_refuting.results, &because), Holds::cannot_say)
                << because;
            EXPECT_EQ(judge(story, fine.results, &because), Holds::yes) << because;
            EXPECT_EQ(judge(story, fine_refuting.results, &because), Holds::no) << because;
        }
}

TEST(Judges, IdsAreKebabCaseAndUnique) {
    for (const labs::Lab* lab : labs::catalogue()) {
        std::set<std::string> ids;
        for (const labs::Claim& claim : lab->claims) {
            std::string id = claim.id;
            EXPECT_TRUE(ids.insert(id).second) << lab->name << " " << id;
            EXPECT_FALSE(id.empty());
            EXPECT_EQ(id.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-"), id.npos) << id;
        }
    }
}

Story story_of(const std::string& lab, const std::string& id) {
    for (const Story& story : stories())
        if (story.lab == lab && story.id == id) return story;
    ADD_FAILURE() << lab << " " << id;
    return {};
}

TEST(Judges, AnAttemptThatIsRefusedOnceAndAllowedOnceRefutes) {
    Story story = story_of("rings", "ring3-refused");
    Memory memory("rings", but(story.holding, "try=read-kernel-page ring=3", "refused", 1, 0),
                  kinds[0]);
    std::string because;
    EXPECT_EQ(judge(story, memory.results, &because), Holds::no);
    EXPECT_NE(because.find("allowed at least once"), std::string::npos) << because;
}

TEST(Judges, WhatOnlyAnEmulatorAllowsRefutesNothing) {
    Story story = story_of("rings", "ring3-refused");
    Series allowed = but(story.holding, "try=invd ring=3", "refused", 0);
    Memory emulated("rings", allowed, kinds[0]), hardware("rings", allowed, kinds[2]);
    std::string because;
    EXPECT_EQ(judge(story, emulated.results, &because), Holds::cannot_say) << because;
    EXPECT_NE(because.find("invd"), std::string::npos) << because;
    EXPECT_EQ(judge(story, hardware.results, &because), Holds::no) << because;
}

TEST(Judges, AnAttemptThatTheProcessorLacksIsNotOneThatWasNotRun) {
    Story story = story_of("rings", "ring3-refused");
    Series rest(story.holding.begin() + 2, story.holding.end());
    Memory memory("rings", rest, kinds[0]);
    EXPECT_EQ(judge(story, memory.results), Holds::cannot_say) << "not run";
    std::string lacking = story.holding.front().test_case;
    memory.results.add_skip("rings", lacking);
    std::string because;
    EXPECT_EQ(judge(story, memory.results, &because), Holds::yes) << because;
    EXPECT_NE(because.find("1 are about what this processor lacks"), std::string::npos) << because;
}

TEST(Judges, ASignalThatLandedAtSomePointsOnlyProvesWhatItDidAndNotWhatItDidNot) {
    struct {
        const char* id;
        Holds holding, refuting;
    } const rows[] = {{"handler-saves-all", Holds::cannot_say, Holds::no},
                      {"default-loses", Holds::yes, Holds::cannot_say},
                      {"kill-tears", Holds::yes, Holds::cannot_say},
                      {"log-taken-over", Holds::cannot_say, Holds::no}};
    Memory::change = [](Summary& s) { s.partial = s.metric == std::string("committed"); };
    for (const auto& row : rows) {
        Story story = story_of("signals", row.id);
        Memory holding("signals", story.holding, kinds[0]),
            refuting("signals", story.refuting, kinds[0]);
        EXPECT_EQ(judge(story, holding.results), row.holding) << row.id;
        EXPECT_EQ(judge(story, refuting.results), row.refuting) << row.id;
    }
    Memory::change = nullptr;
}

TEST(Judges, AWildPointerThatEndsNoTaskRefutes) {
    Story story = story_of("signals", "wild-pointer-ends-task");
    Memory memory("signals", but(story.holding, story.holding.front().test_case, "ended", 0),
                  kinds[0]);
    EXPECT_EQ(judge(story, memory.results), Holds::no);
}

TEST(Judges, AnArrivalThatIsNotExactLeavesPollingAgainstInterruptsOpen) {
    Story story = story_of("nic", "poll-sooner-than-irq");
    Memory::change = [](Summary& s) { s.unstable = true; };
    Memory memory("nic", story.holding, kinds[2]);
    Memory::change = nullptr;
    EXPECT_EQ(judge(story, memory.results), Holds::cannot_say);
}

TEST(Judges, PollingThatLosesAgainAtAHigherRateDoesNotWin) {
    Story story = story_of("pizza", "polling-wins-at-high-rate");
    Memory memory("pizza", but(story.holding, "wait=poll every=256 rate=1000000", "work", 1),
                  kinds[2]);
    std::string because;
    EXPECT_EQ(judge(story, memory.results, &because), Holds::no) << because;
    // Crossings in between do not matter: it wins from the last one on.
    Memory again("pizza", but(story.holding, "wait=poll every=256 rate=100000", "work", 1),
                 kinds[2]);
    EXPECT_EQ(judge(story, again.results, &because), Holds::yes) << because;
    EXPECT_NE(because.find("at 1000000 polling"), std::string::npos) << because;
}

TEST(Judges, ModelledCountersAreExactAndMeasuredOnesNearly) {
    Story story = story_of("caches", "each-line-misses");
    auto off_by = [&](int64_t each, const Kind& kind) {
        Memory memory("caches",
                      {counted("walk=stride step=64 state=cold", "l1d_misses",
                               static_cast<uint64_t>(4096 + each))},
                      kind);
        return judge(story, memory.results);
    };
    EXPECT_EQ(off_by(1, kinds[1]), Holds::no);
    EXPECT_EQ(off_by(1, kinds[3]), Holds::yes);
    EXPECT_EQ(off_by(-400, kinds[3]), Holds::yes);
    EXPECT_EQ(off_by(-420, kinds[3]), Holds::no);
    EXPECT_EQ(off_by(430, kinds[3]), Holds::no);
}

TEST(Judges, WhatIsEqualIsNotBelow) {
    Story story = story_of("thrash", "half-done-sooner");
    for (const Kind& kind : kinds) {
        Memory memory("thrash",
                      pair("tasks=5000 policy=pool", "tasks=5000 policy=tasks", "job", 100, 100),
                      kind);
        EXPECT_EQ(judge(story, memory.results), Holds::no) << kind.name;
    }
}

}  // namespace
}  // namespace doorbell::test
