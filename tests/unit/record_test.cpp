#include "firmware/wire/record.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <string>
#include <vector>

#include "firmware/wire/crc32c.h"

namespace doorbell::test {
namespace {

using wire::Line;
using wire::Sequence;

TEST(Crc32c, KnownVectors) {
    EXPECT_EQ(wire::crc32c("123456789"), 0xE3069283u);
    EXPECT_EQ(wire::crc32c(""), 0u);
    EXPECT_EQ(wire::crc32c(std::string(32, '\0')), 0x8A9136AAu);  // RFC 3720, B.4
    EXPECT_EQ(wire::crc32c(std::string(32, '\xFF')), 0x62A8AB43u);
    std::string rising, falling;
    for (int i = 0; i < 32; ++i) {
        rising += static_cast<char>(i);
        falling += static_cast<char>(31 - i);
    }
    EXPECT_EQ(wire::crc32c(rising), 0x46DD794Eu);
    EXPECT_EQ(wire::crc32c(falling), 0x113FDB5Cu);
}

struct Wire {
    std::vector<std::string> lines;
    wire::Sender sender{[](void* self, std::string_view line) {
                            static_cast<Wire*>(self)->lines.emplace_back(line);
                        },
                        this};
};

std::string frame(const std::string& sequence, const std::string& json) {
    char crc[9];
    std::snprintf(crc, sizeof crc, "%08x", wire::crc32c(sequence + " " + json));
    return "@" + sequence + " " + crc + " " + json;
}

TEST(Sender, WhatIsSentIsDecoded) {
    Wire w;
    for (int i = 0; i < 12; ++i) {
        w.sender.begin("series").member("id", i).member("text", "a \"b\"");
        w.sender.send();
    }
    ASSERT_EQ(w.lines.size(), 12u);
    for (uint64_t i = 0; i < 12; ++i) {
        EXPECT_EQ(w.lines[i],
                  frame(std::to_string(i),
                        R"({"t":"series","id":)" + std::to_string(i) + R"(,"text":"a \"b\""})"));
        Line line = wire::decode(w.lines[i]);
        EXPECT_EQ(line.kind, Line::Kind::record) << line.fault;
        EXPECT_EQ(line.sequence, i);
        EXPECT_TRUE(line.words.empty());
    }
    EXPECT_EQ(w.sender.sent(), 12u);
}

TEST(Sender, ARecordThatDoesNotFitIsReported) {
    Wire w;
    std::string filler(wire::max_record_length, 'x');
    w.sender.begin("series").member("text", filler);
    w.sender.send();
    w.sender.begin("end");
    w.sender.send();
    ASSERT_EQ(w.lines.size(), 2u);
    Line line = wire::decode(w.lines[0]);
    ASSERT_EQ(line.kind, Line::Kind::record);
    EXPECT_NE(line.json.find(R"("t":"error")"), std::string::npos);
    EXPECT_NE(line.json.find(R"("kind":"series")"), std::string::npos);
    EXPECT_EQ(wire::decode(w.lines[1]).json, R"({"t":"end"})");
}

TEST(Sender, EveryLengthUpToTheLongestIsDecoded) {
    for (size_t length = wire::max_record_length - 100; length < wire::max_record_length;
         ++length) {
        Wire w;
        w.sender.begin("raw").member("text", std::string(length, 'x'));
        w.sender.send();
        ASSERT_LE(w.lines[0].size(), wire::max_record_length);
        ASSERT_EQ(wire::decode(w.lines[0]).kind, Line::Kind::record) << length;
    }
}

TEST(Decode, EverySingleBitFlipIsDetected) {
    for (const std::string& good :
         {frame("7", R"({"t":"begin","lab":"timer"})"), frame("1234567890", R"({"t":"x"})")}) {
        ASSERT_EQ(wire::decode(good).kind, Line::Kind::record);
        for (size_t i = 0; i < good.size(); ++i)
            for (int bit = 0; bit < 8; ++bit) {
                std::string bad = good;
                bad[i] = static_cast<char>(bad[i] ^ 1 << bit);
                Line line = wire::decode(bad);
                ASSERT_NE(line.kind, Line::Kind::record)
                    << "byte " << i << " bit " << bit << ": " << bad;
                // Without '@' and a digit it is text for people, and leaves a gap in the sequence.
                if (i > 1) ASSERT_EQ(line.kind, Line::Kind::damaged) << bad;
            }
    }
}

TEST(Decode, EveryCutIsDetected) {
    std::string good = frame("42", R"({"t":"begin","lab":"timer"})");
    for (size_t length = 0; length < good.size(); ++length) {
        Line line = wire::decode(std::string_view(good).substr(0, length));
        EXPECT_EQ(line.kind, length < 2 ? Line::Kind::words : Line::Kind::damaged) << length;
        if (length >= 2) EXPECT_STRNE(line.fault, "");
    }
}

TEST(Decode, TextInFrontIsForPeople) {
    std::string record = frame("3", R"({"t":"x"})");
    Line line = wire::decode("\x1b[2J mail me @ home " + record + "\r\n");
    ASSERT_EQ(line.kind, Line::Kind::record);
    EXPECT_EQ(line.sequence, 3u);
    std::string source = "words @ " + record;
    EXPECT_EQ(wire::decode(source).words, "words @ ");
    EXPECT_EQ(wire::decode("no record here").kind, Line::Kind::words);
    EXPECT_EQ(wire::decode("").kind, Line::Kind::words);
    EXPECT_EQ(wire::decode("@").kind, Line::Kind::words);
    EXPECT_EQ(wire::decode("@x").kind, Line::Kind::words);
}

TEST(Decode, ARecordBehindWordsThatLookLikeOneIsFound) {
    std::string record = frame("3", R"({"t":"x"})");
    // A record that a reset cut off, followed by the next boot's first line.
    std::string line = "@12 0123" + record;
    Line l = wire::decode(line);
    ASSERT_EQ(l.kind, Line::Kind::record) << l.fault;
    EXPECT_EQ(l.sequence, 3u);
    EXPECT_EQ(l.words, "@12 0123");
}

TEST(Decode, AnAtSignInsideARecordDoesNotHideIt) {
    std::string json = R"({"t":"hello","command_line":"@5 x"})";
    Line line = wire::decode(frame("0", json));
    EXPECT_EQ(line.kind, Line::Kind::record);
    EXPECT_EQ(line.json.size(), json.size());
}

TEST(Decode, OddSequenceNumbersAreDamage) {
    EXPECT_EQ(wire::decode(frame("1234567890123456789", "{}")).kind, Line::Kind::damaged);
    EXPECT_EQ(wire::decode(frame("123456789012345678", "{}")).kind, Line::Kind::record);
    EXPECT_EQ(wire::decode("@1 E3069283 {}").kind, Line::Kind::damaged)
        << "upper case is not what a sender sends";
}

TEST(Decode, TooLongIsDamage) {
    std::string json = "{\"t\":\"" + std::string(wire::max_record_length, 'x') + "\"}";
    EXPECT_EQ(wire::decode(frame("1", json)).kind, Line::Kind::damaged);
}

TEST(SequenceTest, CountsGapsAndNamesRepeats) {
    Sequence s;
    EXPECT_EQ(s.take(0), Sequence::Step::next);
    EXPECT_EQ(s.take(1), Sequence::Step::next);
    EXPECT_EQ(s.lost(), 0u);
    EXPECT_EQ(s.take(1), Sequence::Step::repeated);
    EXPECT_EQ(s.take(0), Sequence::Step::repeated);
    EXPECT_EQ(s.lost(), 0u);
    EXPECT_EQ(s.take(5), Sequence::Step::next);
    EXPECT_EQ(s.lost(), 3u);
    EXPECT_EQ(s.expected(), 6u);
    EXPECT_EQ(s.take(6), Sequence::Step::next);
    EXPECT_EQ(s.lost(), 3u);
    Sequence late;
    EXPECT_EQ(late.take(2), Sequence::Step::next);
    EXPECT_EQ(late.lost(), 2u) << "the first ones count as well";
}

}  // namespace
}  // namespace doorbell::test
