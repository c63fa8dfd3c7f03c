// Which counts belong to which sample.
#include "host/model/attribution.h"

#include <gtest/gtest.h>

namespace doorbell::model {
namespace {

using wire::ModelCount;

/// The image's side of the mailbox, in this process's memory.
struct SampleCounts : testing::Test {
    wire::Mailbox box;
    wire::MailboxRow rows[4] = {};
    uint64_t value = 0, marks[4] = {};
    ModelCounts tally;
    Attribution attribution;
    Guest guest{0};

    void watch(uint64_t stages, uint64_t overhead, bool check, bool since_event = false) {
        auto at = [](const void* p) { return reinterpret_cast<uint64_t>(p); };
        box.series[0] = {at(&value), 8,     8,        at(marks),  stages,
                         overhead,   check, at(rows), since_event};
        box.series_count = 1;
        attribution.begin(box);
    }
    void run(uint64_t instructions, uint64_t misses = 0) {
        tally[ModelCount::instructions] += instructions;
        tally[ModelCount::l1d_misses] += misses;
    }
    uint64_t stamp(bool begins) {
        tally.silent += 2;
        ++tally[ModelCount::timestamps];
        attribution.history.note(ModelCount::timestamps, tally);
        attribution.edge(tally, begins);
        return tally.ticks();
    }
    /// No more samples come: how many had counts, and how many of an event were counted.
    uint64_t samples(unsigned row = 0) { return (end_once(), rows[row].samples); }
    uint64_t counted(ModelCount what, unsigned row = 0) {
        return (end_once(), rows[row].counts[static_cast<unsigned>(what)]);
    }
    uint64_t instructions(unsigned row = 0) { return counted(ModelCount::instructions, row); }
    void store(uint64_t v) {
        value = v;
        attribution.stored(guest, reinterpret_cast<uint64_t>(&value));
    }

  private:
    void end_once() {
        if (!ended_) attribution.end(guest);
        ended_ = true;
    }
    bool ended_ = false;
};

TEST_F(SampleCounts, ASampleGetsWhatLiesBetweenItsTimestamps) {
    watch(0, 2, true);
    for (int i = 0; i < 3; ++i) {
        run(100, 9);  // not measured
        uint64_t from = stamp(true);
        run(7, 1);
        uint64_t to = stamp(false);
        run(50, 5);  // nor this
        store(to - from - 2);
    }
    EXPECT_EQ(samples(), 3u);
    EXPECT_EQ(instructions(), 21u);
    EXPECT_EQ(counted(ModelCount::l1d_misses), 3u);
}

TEST_F(SampleCounts, AValueThatIsNotADistanceOfTimestampsGetsNothing) {
    watch(0, 2, true);
    stamp(true);
    run(7);
    stamp(false);
    store(1000);
    EXPECT_EQ(samples(), 0u);
}

TEST_F(SampleCounts, WhatWasMeasuredOnceIsCountedOnce) {
    watch(0, 2, true);
    for (int i = 0; i < 3; ++i) {
        stamp(true);
        run(7, 1);
        stamp(false);
    }
    // All are handed over later, when the first two are forgotten.
    for (int i = 0; i < 3; ++i) store(7);
    EXPECT_EQ(samples(), 1u);
    EXPECT_EQ(instructions(), 7u);
}

TEST_F(SampleCounts, AnyNumberOfTimestampsMayLieInASample) {
    watch(0, 0, false);
    stamp(true);
    for (int i = 0; i < 1000; ++i) {
        run(1, 1);
        stamp(false);
    }
    store(42);
    EXPECT_EQ(samples(), 1u);
    EXPECT_EQ(instructions(), 1000u);
    EXPECT_EQ(counted(ModelCount::timestamps), 999u);
}

TEST_F(SampleCounts, ValuesOfATaskLieAStrideApart) {
    struct {
        uint64_t warm, after;
    } walks[3] = {};
    auto at = [](const void* p) { return reinterpret_cast<uint64_t>(p); };
    box.series[0] = {at(&walks[0].warm), sizeof walks, sizeof walks[0], 0, 0, 2, 1, at(rows)};
    box.series[1] = {at(&walks[0].after), sizeof walks, sizeof walks[0], 0, 0, 2, 1, at(rows + 1)};
    box.series_count = 2;
    attribution.begin(box);
    for (auto& walk : walks)
        for (uint64_t* value : {&walk.warm, &walk.after}) {
            stamp(true);
            run(7, value == &walk.after ? 5 : 0);
            stamp(false);
            *value = 7;
            attribution.stored(guest, at(value));
        }
    EXPECT_EQ(samples(), 3u);
    EXPECT_EQ(samples(1), 3u);
    EXPECT_EQ(counted(ModelCount::l1d_misses), 0u);
    EXPECT_EQ(counted(ModelCount::l1d_misses, 1), 15u);
}

TEST_F(SampleCounts, AStageMayEndBeforeTheNextBegins) {
    watch(2, 0, true);
    marks[0] = stamp(true);
    run(30, 3);
    marks[1] = stamp(false);
    run(1);
    uint64_t shift = stamp(false) - marks[1];  // the lab subtracts this
    run(4, 2);
    marks[2] = stamp(false) - shift;
    store(marks[2] - marks[0]);
    EXPECT_EQ(instructions(2), 4u);
    EXPECT_EQ(samples(1), 0u) << "the first stage is not looked for";
}

/// An event at `back` ticks before the end of `run_to`, in the middle of twelve instructions of
/// which every third loads.
struct EventCounts : SampleCounts {
    void loop(unsigned instructions) {
        for (unsigned i = 1; i <= instructions; ++i) {
            run(1);
            if (i % 3 == 0) {
                ++tally[ModelCount::loads];
                attribution.history.note(ModelCount::loads, tally);
            }
        }
    }
};

TEST_F(EventCounts, AStageThatBeginsAtAnEventIsCountedFromItsInstantOn) {
    watch(2, 0, true, true);
    stamp(true);
    loop(30);
    marks[0] = tally.ticks() - 10;  // a deadline: no timestamp stands there
    marks[1] = stamp(false);
    run(4, 2);
    marks[2] = stamp(false);
    store(marks[2] - marks[0]);
    EXPECT_EQ(samples(1), 1u);
    EXPECT_EQ(instructions(1), 10u);
    EXPECT_EQ(counted(ModelCount::loads, 1), 4u);  // of the 21st, 24th, 27th and 30th instruction
    EXPECT_EQ(instructions(2), 4u);
    EXPECT_EQ(samples(), 1u);
    EXPECT_EQ(instructions(), 14u);
}

TEST_F(EventCounts, AMarkThatIsCountedFromTheEventNeedsNoTimestamp) {
    watch(3, 0, true, true);
    stamp(true);
    loop(30);
    marks[2] = stamp(false);
    marks[0] = marks[2] - 14;
    marks[1] = marks[2] - 8;
    run(4, 2);
    marks[3] = stamp(false);
    store(marks[3] - marks[0]);
    EXPECT_EQ(instructions(1), 6u);
    EXPECT_EQ(instructions(2), 6u);
    EXPECT_EQ(instructions(3), 4u);
    EXPECT_EQ(counted(ModelCount::loads, 1), 2u);
    EXPECT_EQ(counted(ModelCount::loads, 2), 2u);  // of the 27th and 30th instruction
    EXPECT_EQ(samples(), 1u);
    EXPECT_EQ(instructions(), 16u);
}

TEST_F(EventCounts, ASampleMayBeginAtAnEvent) {
    watch(0, 0, true, true);
    for (uint64_t length : {5, 8, 11}) {
        loop(30);
        uint64_t event = tally.ticks() - length;
        store(stamp(false) - event);
    }
    // Further back than anything that is remembered: not attributed, rather than guessed.
    store(stamp(false) - 2);
    EXPECT_EQ(samples(), 3u);
    EXPECT_EQ(instructions(), 24u);
    EXPECT_EQ(counted(ModelCount::loads), 2u + 3u + 4u);
    EXPECT_EQ(counted(ModelCount::timestamps), 0u);
}

TEST_F(EventCounts, WhatTheNextInstructionBringsComesAfterAnEventOfNow) {
    watch(0, 0, true, true);
    loop(30);
    uint64_t event = tally.ticks();
    ++tally[ModelCount::interrupts];
    attribution.history.note_next(ModelCount::interrupts, tally);
    loop(2);
    store(stamp(false) - event);
    EXPECT_EQ(counted(ModelCount::interrupts), 1u);
    EXPECT_EQ(instructions(), 2u);
}

}  // namespace
}  // namespace doorbell::model
