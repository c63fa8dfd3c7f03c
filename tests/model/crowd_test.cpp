// Which misses are in each other's way in a set of L1D.
#include "host/model/crowd.h"

#include <gtest/gtest.h>

namespace doorbell::model {
namespace {

constexpr uint64_t sets = 64;

/// How many of 1,024 misses crowd, `apart` lines from each other; `count` lines again and again.
unsigned crowded(uint64_t apart, uint64_t count) {
    SetCrowd crowd(sets);
    unsigned n = 0;
    for (uint64_t i = 0; i < 1024; ++i) n += crowd.miss(i % count * apart);
    return n;
}

TEST(SetCrowd, LinesAWaysSizeApartAndAHalfAndAQuarter) {
    EXPECT_EQ(crowded(64, 1024), 1024u - 6);
    EXPECT_EQ(crowded(32, 256), 1024u - 12);
    EXPECT_EQ(crowded(16, 256), 1024u - 24);
    EXPECT_EQ(crowded(8, 256), 0u) << "eight sets are enough";
    EXPECT_EQ(crowded(1, 4096), 0u);
    EXPECT_EQ(crowded(65, 1024), 0u) << "a line further each time";
}

TEST(SetCrowd, LinesInRandomOrder) {
    SetCrowd crowd(sets);
    uint64_t random = 1;
    unsigned n = 0;
    for (int i = 0; i < 10000; ++i) {
        random = random * 6364136223846793005 + 1442695040888963407;
        n += crowd.miss(random >> 40);
    }
    EXPECT_LT(n, 100u);
}

TEST(SetCrowd, ASmallCachesFewSetsAreAlwaysFull) {
    SetCrowd crowd(4);
    for (uint64_t i = 0; i < 100; ++i) EXPECT_FALSE(crowd.miss(i));
}

}  // namespace
}  // namespace doorbell::model
