// Regions of code, interrupts among them.
#include "host/model/regions.h"

#include <gtest/gtest.h>

#include "host/model/operands.h"

namespace doorbell::model {
namespace {

using wire::ModelCount;

/// Code that runs through regions, and interrupts.
struct Passed {
    ModelCounts tally;
    Regions regions;
    void run(uint64_t instructions) { tally[ModelCount::instructions] += instructions; }
    void begins(unsigned region) { regions.pass(region << 1, tally); }
    void ends(unsigned region) { regions.pass(region << 1 | 1, tally); }
    void interrupted(int vector, uint64_t instructions) {
        regions.block(vector, tally);
        run(instructions);
        regions.iretq();
        regions.block(-1, tally);
    }
    /// Passes and instructions of each region.
    std::vector<std::pair<uint64_t, uint64_t>> rows() {
        std::vector<std::pair<uint64_t, uint64_t>> all;
        for (const wire::MailboxRow& row : regions.end())
            all.emplace_back(row.samples, row.counts[0]);
        return all;
    }
};
using Rows = std::vector<std::pair<uint64_t, uint64_t>>;

TEST(Regions, HaveWhatLiesInThemAndInNoRegionInside) {
    Passed p;
    p.regions.begin(3, 0x61);
    for (int i = 0; i < 2; ++i) {
        p.run(1000);  // in none
        p.begins(1);
        p.run(7);
        p.begins(2);
        p.run(50);
        p.ends(2);
        p.run(3);
        p.ends(1);
    }
    EXPECT_EQ(p.rows(), (Rows{{0, 0}, {2, 20}, {2, 100}}));
    EXPECT_FALSE(p.regions.on());
}

TEST(Regions, HandlersAreInNoRegionThatTheyInterrupt) {
    Passed p;
    p.regions.begin(2, 0x61);
    p.begins(1);
    p.run(5);
    p.regions.block(0x61, p.tally);
    p.run(20);
    p.interrupted(0xE1, 400);  // another vector's, inside of it
    p.run(2);
    p.begins(1);  // a region of the handler that it leaves by its IRETQ alone
    p.run(9);
    p.regions.iretq();
    p.regions.block(-1, p.tally);
    p.run(6);
    p.ends(1);
    p.interrupted(0xE1, 400);
    EXPECT_EQ(p.rows(), (Rows{{1, 31}, {1, 11}}));
}

TEST(Regions, AnEndWithoutItsBeginningIsNothingAndALostBeginningIsForgotten) {
    Passed p;
    p.ends(1);  // not counted yet
    p.regions.begin(3, 0x61);
    p.ends(1);
    p.begins(1);
    p.run(1000);  // left by a jump
    p.begins(1);
    p.run(4);
    p.ends(2);  // another region's
    p.run(2);
    p.ends(1);
    p.ends(1);
    p.regions.iretq();  // of no interrupt
    p.regions.block(-1, p.tally);
    EXPECT_EQ(p.rows(), (Rows{{0, 0}, {1, 6}, {0, 0}}));
}

TEST(Regions, GiveThePathInWholeSteps) {
    Passed p;
    p.regions.begin(2, 0x61);
    p.begins(1);
    p.tally[ModelCount::path_steps] += 5 * step + step / 2;
    p.ends(1);
    auto rows = p.regions.end();
    ASSERT_EQ(rows.size(), 2u);
    EXPECT_EQ(rows[1].counts[static_cast<unsigned>(ModelCount::path_steps)], 6u);
}

}  // namespace
}  // namespace doorbell::model
