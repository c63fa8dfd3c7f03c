// Which pointers the kernel accepts from ring 3.
#include <gtest/gtest.h>

#include "firmware/kernel/user_memory.h"

namespace doorbell::kernel {
namespace {

constexpr uint64_t window = 0x6000'0000'0000, bytes = 0x10000, kernel_side = 0x0120'0000;
constexpr uint64_t text = 0x0011'F000, text_bytes = 0x2000;

struct UserMemoryTest : testing::Test {
    UserMemory memory;
    void SetUp() override {
        ASSERT_TRUE(memory.add({window, bytes, kernel_side, true}));
        ASSERT_TRUE(memory.add({text, text_bytes, text, false}));
    }
    bool may(uint64_t address, uint64_t length, Access access) {
        return memory.at(address, length, access) != 0;
    }
};

TEST_F(UserMemoryTest, TheTasksOwnMemoryIsFoundOnTheKernelsSide) {
    EXPECT_EQ(memory.at(window, 8, Access::write), kernel_side);
    EXPECT_EQ(memory.at(window + 0x123, 1, Access::read), kernel_side + 0x123);
    EXPECT_EQ(memory.at(window, bytes, Access::write), kernel_side);
    EXPECT_EQ(memory.at(window + bytes - 8, 8, Access::write), kernel_side + bytes - 8);
}

TEST_F(UserMemoryTest, NotOneByteOutside) {
    EXPECT_FALSE(may(window - 1, 1, Access::read));
    EXPECT_FALSE(may(window - 1, 2, Access::read));
    EXPECT_FALSE(may(window + bytes, 1, Access::read));
    EXPECT_FALSE(may(window + bytes - 7, 8, Access::read));
    EXPECT_FALSE(may(window, bytes + 1, Access::read));
}

TEST_F(UserMemoryTest, SumsThatWrapAroundAreRefused) {
    EXPECT_FALSE(may(window + 16, ~0ull, Access::read));
    EXPECT_FALSE(may(window + 16, ~0ull - window - 15, Access::read));
    EXPECT_FALSE(may(~0ull, 1, Access::read));
    EXPECT_FALSE(may(~0ull - 7, 16, Access::read));
    EXPECT_FALSE(may(window + 1, ~0ull - window, Access::write));
}

TEST_F(UserMemoryTest, TheKernelsAndNobodysAddressesAreRefused) {
    EXPECT_FALSE(may(0, 1, Access::read));
    EXPECT_FALSE(may(kernel_side, 8, Access::read));   // the kernel's address of the same memory
    EXPECT_FALSE(may(0xFEE0'00B0, 4, Access::write));  // the local APIC
    EXPECT_FALSE(may(0xFFFF'8000'0000'0000, 8, Access::read));
    EXPECT_FALSE(may(0x0000'8000'0000'0000, 8, Access::read));  // not canonical
}

TEST_F(UserMemoryTest, ProgramTextIsForReading) {
    EXPECT_EQ(memory.at(text + 8, 8, Access::read), text + 8);
    EXPECT_FALSE(may(text + 8, 8, Access::write));
}

TEST_F(UserMemoryTest, NoBytesAreCheckedLikeOne) {
    EXPECT_TRUE(may(window, 0, Access::write));
    EXPECT_FALSE(may(window + bytes, 0, Access::write));
    EXPECT_FALSE(may(kernel_side, 0, Access::write));
}

TEST_F(UserMemoryTest, TwoStretchesSideBySideAreNotOne) {
    ASSERT_TRUE(memory.add({window + bytes, 4096, 0x0900'0000, true}));
    EXPECT_FALSE(may(window + bytes - 4, 8, Access::read))
        << "the kernel's sides of them do not touch";
    EXPECT_EQ(memory.at(window + bytes, 8, Access::read), 0x0900'0000u);
}

TEST_F(UserMemoryTest, AFullTableIsReported) {
    for (unsigned i = 2; i < UserMemory::most; ++i)
        EXPECT_TRUE(memory.add({i * (1ull << 32), 1, 4096, true}));
    EXPECT_FALSE(memory.add({1ull << 40, 1, 4096, true}));
}

}  // namespace
}  // namespace doorbell::kernel
