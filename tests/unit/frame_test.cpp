#include "firmware/nic/frame.h"

#include <gtest/gtest.h>

#include <vector>

#include "labs/kit/pi.h"

namespace doorbell::test {
namespace {

using namespace nic;

constexpr MacAddress to{2, 0, 0, 0, 0, 1}, from{2, 0, 0, 0, 0, 2};

/// A buffer of exactly the frame's length, so that the sanitizer sees a read beyond it.
struct Frame {
    std::vector<uint8_t> bytes;
    explicit Frame(uint32_t length, uint64_t sequence = 7) : bytes(length) {
        write_lab_frame(bytes.data(), length, to, from, sequence);
    }
    Received received(uint32_t errors = 0) {
        return {bytes.data(), static_cast<uint32_t>(bytes.size()), errors};
    }
};

TEST(Frame, OursIsOursAtEveryLength) {
    for (uint32_t length = shortest_frame; length <= longest_frame; ++length) {
        Frame f(length, length * 0x123456789ull);
        ASSERT_EQ(classify(f.received()), FrameKind::ours) << length;
        ASSERT_EQ(sequence_of(f.bytes.data()), length * 0x123456789ull);
    }
}

TEST(Frame, ChangingTheSequenceKeepsTheChecksumRight) {
    Frame f(60);
    for (uint64_t n : {0ull, 1ull, 0xFFFFull, 0x10000ull, ~0ull, 0x8000000000000000ull, 42ull}) {
        set_sequence(f.bytes.data(), n);
        EXPECT_EQ(sequence_of(f.bytes.data()), n);
        EXPECT_EQ(classify(f.received()), FrameKind::ours) << n;
    }
}

TEST(Frame, OneThatBeginsAsItWasSentIsToldFromStrangersAndForgeries) {
    Frame sent(60, 3), same(60, 3);
    EXPECT_TRUE(begins_as(same.received(), sent.bytes.data()));
    EXPECT_FALSE(begins_as(same.received(0x80), sent.bytes.data())) << "a broken descriptor";
    EXPECT_FALSE(begins_as(Frame(60, 4).received(), sent.bytes.data())) << "another packet";
    for (uint32_t at = 12; at < 28; ++at) {
        Frame forged(60, 3);
        forged.bytes[at] ^= 1;
        EXPECT_FALSE(begins_as(forged.received(), sent.bytes.data())) << at;
    }
    Frame runt(60, 3);
    runt.bytes.resize(40);
    EXPECT_FALSE(begins_as(runt.received(), sent.bytes.data()));
}

TEST(Frame, EveryDamagedByteShows) {
    for (uint32_t at = 14; at < 60; ++at) {
        Frame f(60);
        f.bytes[at] ^= 0x10;
        EXPECT_NE(classify(f.received()), FrameKind::ours) << at;
    }
}

TEST(Frame, StrangersAreToldApartAndCounted) {
    FrameTally tally;
    Frame runt(60), vlan(60), service(60), ip(60), damaged(61), broken(60), ours(60), other(60);
    runt.bytes.resize(59);
    std::vector<uint8_t> tiny{1, 2, 3};
    vlan.bytes[12] = 0x81, vlan.bytes[13] = 0x00;
    service.bytes[12] = 0x88, service.bytes[13] = 0xA8;
    ip.bytes[12] = 0x08, ip.bytes[13] = 0x00;
    damaged.bytes[60] ^= 1;
    other.bytes[14] = 'X';  // our EtherType, somebody else's experiment
    std::vector<uint8_t> long_bytes(1515);
    write_lab_frame(long_bytes.data(), 1515, to, from, 1);
    EXPECT_EQ(tally.add(runt.received()), FrameKind::runt);
    EXPECT_EQ(tally.add({tiny.data(), 3, 0}), FrameKind::runt);
    EXPECT_EQ(tally.add({nullptr, 0, 0}), FrameKind::runt);
    EXPECT_EQ(tally.add({long_bytes.data(), 1515, 0}), FrameKind::over_long);
    EXPECT_EQ(tally.add(vlan.received()), FrameKind::vlan);
    EXPECT_EQ(tally.add(service.received()), FrameKind::vlan);
    EXPECT_EQ(tally.add(ip.received()), FrameKind::foreign);
    EXPECT_EQ(tally.add(other.received()), FrameKind::foreign);
    EXPECT_EQ(tally.add(damaged.received()), FrameKind::bad_checksum);
    EXPECT_EQ(tally.add(broken.received(1)), FrameKind::broken);
    EXPECT_EQ(tally.add(ours.received()), FrameKind::ours);
    EXPECT_EQ(tally.strangers(), 10u);
    EXPECT_EQ(tally[FrameKind::runt], 3u);
    EXPECT_EQ(tally[FrameKind::ours], 1u);
}

TEST(PiJob, ComputesPi) {
    labs::PiJob job;
    while (job.settled() < labs::PiJob::digits - 1) {
        job.run(1);
        ASSERT_LT(job.steps(), 1000000u);
    }
    std::string digits;
    for (unsigned i = 0; i < labs::PiJob::digits - 1; ++i)
        digits += static_cast<char>('0' + job.digit(i));
    EXPECT_EQ(digits,
              "314159265358979323846264338327950288419716939937510582097494459230781640628620899862"
              "803482534211706");
    uint64_t steps = job.steps();
    job.run(100000);
    EXPECT_EQ(job.steps(), steps + 100000) << "it begins again and goes on";
}

}  // namespace
}  // namespace doorbell::test
