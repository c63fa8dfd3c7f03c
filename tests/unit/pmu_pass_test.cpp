// The parts of a PMU pass that need no PMU: timestamps replaced in machine code, and counts from a
// log attributed to samples.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "firmware/measure/pmu_log.h"
#include "firmware/measure/timestamp.h"
#include "firmware/measure/timestamp_bytes.h"
#include "firmware/measure/timestamp_sites.h"

namespace doorbell::test {
namespace {

using measure::PmuEdge;
using measure::PmuLog;
using measure::TimestampSites;

/// The bytes of begin() and end(), as compiled.
extern "C" uint64_t compiled_begin(), compiled_end();
[[gnu::noinline, gnu::used]] uint64_t compiled_begin() { return measure::begin(); }
[[gnu::noinline, gnu::used]] uint64_t compiled_end() { return measure::end(); }

template <unsigned n>
std::string text(const uint8_t (&bytes)[n]) {
    return {bytes, bytes + n};
}
const std::string stamp = text(measure::timestamp_bytes), tail = text(measure::begin_tail_bytes),
                  fence = text(measure::lfence_bytes), rdtsc = "\x0F\x31";
const std::string begin_code = stamp + tail + "\x48\x89\xC3" + fence;

TEST(TimestampBytes, AreThoseOfTheCompiledFunctions) {
    auto code_of = [](uint64_t (*f)()) {
        return std::string(reinterpret_cast<const char*>(f), 64);  // the instructions come early
    };
    std::string code = code_of(compiled_begin);
    size_t at = code.find(stamp + tail);
    ASSERT_NE(at, std::string::npos);
    at += stamp.size() + tail.size();
    EXPECT_EQ(code.substr(at + measure::begin_mov_bytes, fence.size()), fence);
    EXPECT_NE(code_of(compiled_end).find(stamp), std::string::npos);
    EXPECT_EQ(measure::begin_tail_length, begin_code.size() - stamp.size());
}

/// The target of the call at `at`.
const char* target(const std::string& code, size_t at) {
    EXPECT_EQ(static_cast<uint8_t>(code[at]), 0xE8) << "no call at " << at;
    uint32_t distance = 0;
    for (unsigned i = 4; i != 0; --i) distance = distance << 8 | static_cast<uint8_t>(code[at + i]);
    return code.data() + at + 5 + static_cast<int32_t>(distance);
}

TEST(TimestampSites, EachTimestampBecomesACallOfItsKindAndComesBack) {
    std::string code = "\x90" + begin_code + "\x90\x90" + stamp + "\x90" + stamp + begin_code;
    const std::string before = code;
    const char *begins = code.data() + 1000, *ends = code.data() - 1000;
    TimestampSites sites;
    ASSERT_TRUE(sites.replace(code.data(), code.data() + code.size(), begins, ends));
    EXPECT_EQ(sites.count(), 4u);
    EXPECT_EQ(target(code, 1), begins);
    size_t first_end = 1 + begin_code.size() + 2;
    EXPECT_EQ(target(code, first_end), ends);
    EXPECT_EQ(target(code, first_end + 6), ends);
    EXPECT_EQ(target(code, first_end + 11), begins);
    EXPECT_EQ(code.substr(6, begin_code.size() - 5), before.substr(6, begin_code.size() - 5));
    sites.restore();
    EXPECT_EQ(code, before);
    EXPECT_EQ(sites.count(), 0u);
}

TEST(TimestampSites, ARdtscOfMeasuredCodeBehindABeginIsNotATimestamp) {
    std::string code = begin_code + rdtsc + stamp;
    TimestampSites sites;
    ASSERT_TRUE(sites.replace(code.data(), code.data() + code.size(), code.data(), code.data()));
    EXPECT_EQ(sites.count(), 2u);
    EXPECT_EQ(code.substr(begin_code.size() - 3, 5), fence + rdtsc);
}

TEST(TimestampSites, ATimestampAtTheVeryEndIsReplacedAndNothingBehindItIsRead) {
    for (const std::string& last : {stamp, begin_code}) {
        std::vector<char> code(last.begin(),
                               last.end());  // the sanitizer detects a read beyond its end
        TimestampSites sites;
        ASSERT_TRUE(sites.replace(code.data(), code.data() + code.size(), code.data(), nullptr));
        EXPECT_EQ(sites.count(), 1u);
    }
    std::string half = stamp + stamp.substr(0, 4);
    TimestampSites sites;
    ASSERT_TRUE(sites.replace(half.data(), half.data() + half.size(), half.data(), half.data()));
    EXPECT_EQ(sites.count(), 1u);
}

TEST(TimestampSites, MoreThanThereIsRoomForIsAnErrorAndAllComeBack) {
    std::string code;
    for (unsigned i = 0; i <= TimestampSites::most; ++i) code += stamp;
    const std::string before = code;
    TimestampSites sites;
    auto put = sites.replace(code.data(), code.data() + code.size(), code.data(), code.data());
    ASSERT_FALSE(put);
    EXPECT_EQ(put.error().value, TimestampSites::most);
    sites.restore();
    EXPECT_EQ(code, before);
    ASSERT_TRUE(
        sites.replace(code.data(), code.data() + code.size() - 5, code.data(), code.data()));
    EXPECT_EQ(sites.count(), TimestampSites::most);
}

/// A log of one 16-bit counter, which starts near its maximum, so that it wraps.
struct Log {
    cpu::PmuCounter counter{.mask = 0xFFFF};
    PmuLog log;
    std::vector<PmuEdge> edges;
    uint64_t now = 1000, count = 0xFFF0;

    Log() { log.count({&counter, 1}); }
    void edge(uint64_t kind, uint64_t ticks, uint64_t events) {
        now += ticks;
        count += events;
        edges.push_back({now, kind, {count & 0xFFFF}});
    }
    void begins() { edge(PmuEdge::begins, 500, 50); }
    void ends(uint64_t ticks, uint64_t events) { edge(0, ticks, events); }

    /// A pair costs 5 events at best, an end() after an end() 3, a pair in ring 3 9.
    void learn() {
        for (uint64_t noise : {4, 0, 2}) {
            edge(PmuEdge::begins, 50, 100);
            ends(50, 5 + noise);
            ends(50, 3 + noise);
            edge(PmuEdge::user | PmuEdge::begins, 50, 100);
            edge(PmuEdge::user, 50, 9 + noise);
        }
        log.learn_costs(edges);
        edges.clear();
    }
    wire::MailboxRow attribute(const measure::Series& series, bool check) {
        wire::MailboxRow row{};
        log.attribute(edges, series, check, {&row, 1});
        return row;
    }
};

/// A log that knows what timestamps cost.
struct LearntLog : Log {
    LearntLog() { learn(); }
};

/// A series with raw values.
struct Values {
    measure::Histogram cold, warm, stages[2], spare;
    uint64_t raw[16] = {}, paths[32] = {};
    const char* names[2] = {"first", "second"};
    measure::Series series;

    explicit Values(bool with_stages = false, uint64_t overhead = 0)
        : series(parts(with_stages, overhead)) {
        for (measure::Histogram* h : {&cold, &warm, &stages[0], &stages[1], &spare}) h->clear();
        series.begin_warm();
    }
    measure::Series::Parts parts(bool with_stages, uint64_t overhead) {
        measure::Series::Parts p;
        p.overhead_removed = overhead;
        p.cold = &cold, p.warm = &warm, p.spare = &spare;
        p.raw = raw;
        if (with_stages) {
            p.paths = paths;
            p.stages = names;
            p.stage_histograms[0] = &stages[0], p.stage_histograms[1] = &stages[1];
        }
        return p;
    }
};

TEST(PmuLog, APairCostsTheLeastThatItEverDid) {
    LearntLog log;
    EXPECT_EQ(log.log.pair_cost()[0], 5u);
    EXPECT_EQ(log.log.user_pair_cost()[0], 9u);
}

TEST(PmuLog, ASampleHasWhatWasCountedBetweenItsTimestampsLessAPair) {
    LearntLog log;
    Values values(false, 10);
    for (uint64_t events : {100, 200}) {
        log.begins();
        log.ends(40, events + 5);
        values.series.record(40);
    }
    auto row = log.attribute(values.series, true);
    EXPECT_EQ(row.samples, 2u);
    EXPECT_EQ(row.counts[0], 300u);
}

TEST(PmuLog, WhatIsLessThanAPairCountsAsNothing) {
    LearntLog log;
    Values values;
    log.begins();
    log.ends(40, 4);
    values.series.record(40);
    EXPECT_EQ(log.attribute(values.series, true).counts[0], 0u);
}

TEST(PmuLog, ACheckedValueFindsItsOwnTimestamps) {
    LearntLog log;
    Values values;
    log.begins();  // a begin() without a sample
    log.ends(99, 1000);
    log.begins();
    log.ends(
        30, 20);  // a timestamp in between, then the sample's end: 5 and 3 are the timestamps' cost
    log.ends(40, 60);
    values.series.record(70);
    auto row = log.attribute(values.series, true);
    EXPECT_EQ(row.samples, 1u);
    EXPECT_EQ(row.counts[0], 20u + 60 - 5 - 3);
    Values foreign;
    foreign.series.record(71);
    EXPECT_EQ(log.attribute(foreign.series, true).samples, 0u);
}

TEST(PmuLog, AnUncheckedValueGoesToTheLastTimestampBeforeAnotherBegin) {
    LearntLog log;
    Values values;
    log.begins();
    log.ends(30, 20);
    log.ends(40, 60);
    log.begins();
    log.ends(30, 7);
    values.series.record(1), values.series.record(2);
    auto row = log.attribute(values.series, false);
    EXPECT_EQ(row.samples, 2u);
    EXPECT_EQ(row.counts[0], 20u + 60 - 5 - 3 + 7 - 5);
}

TEST(PmuLog, AnEmptyLogAttributesNothing) {
    Log log;
    Values values, staged(true);
    values.series.record(5);
    uint64_t marks[] = {1, 2, 3};
    staged.series.record_path(marks);
    EXPECT_EQ(log.attribute(values.series, true).samples, 0u);
    EXPECT_EQ(log.attribute(values.series, false).samples, 0u);
    wire::MailboxRow rows[3] = {};
    log.log.attribute({}, staged.series, true, rows);
    EXPECT_EQ(rows[0].samples + rows[1].samples + rows[2].samples, 0u);
}

TEST(PmuLog, AStageWhoseMarkIsNotATimestampHasNoCounts) {
    LearntLog log;
    Values values(true);
    log.begins();
    log.ends(30, 20 + 5);
    log.ends(40, 60 + 3);
    uint64_t whole[] = {log.edges[0].tsc, log.edges[1].tsc, log.edges[2].tsc};
    values.series.record_path(whole);
    log.begins();
    log.ends(30, 7 + 5);
    log.ends(40, 8 + 3);
    uint64_t with_deadline[] = {log.edges[3].tsc - 1, log.edges[4].tsc, log.edges[5].tsc};
    values.series.record_path(with_deadline);
    wire::MailboxRow rows[3] = {};
    log.log.attribute(log.edges, values.series, true, rows);
    EXPECT_EQ(rows[0].samples, 1u);
    EXPECT_EQ(rows[0].counts[0], 80u);
    EXPECT_EQ(rows[1].samples, 1u);
    EXPECT_EQ(rows[1].counts[0], 20u);
    EXPECT_EQ(rows[2].samples, 2u);
    EXPECT_EQ(rows[2].counts[0], 68u);
}

}  // namespace
}  // namespace doorbell::test
