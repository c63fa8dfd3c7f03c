#include "firmware/wire/json.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <limits>
#include <string>

namespace doorbell::test {
namespace {

using wire::Json;

struct JsonTest : testing::Test {
    std::array<char, 256> buffer{};
    Json json{buffer};
    std::string text() const { return std::string(json.text()); }
};

TEST_F(JsonTest, CommasComeByThemselves) {
    json.object()
        .member("a", 1)
        .key("b")
        .array()
        .value(1)
        .value(2)
        .array()
        .end()
        .object()
        .end()
        .end();
    json.member("c", true).key("d").null().end();
    EXPECT_EQ(text(), R"({"a":1,"b":[1,2,[],{}],"c":true,"d":null})");
}

TEST_F(JsonTest, EmptyContainers) {
    json.object().end();
    EXPECT_EQ(text(), "{}");
    json.clear();
    json.array().end();
    EXPECT_EQ(text(), "[]");
}

TEST_F(JsonTest, NumbersOfEveryWidth) {
    json.array()
        .value(std::numeric_limits<uint64_t>::max())
        .value(std::numeric_limits<int64_t>::min());
    json.value(std::numeric_limits<int64_t>::max())
        .value(int8_t{-1})
        .value(uint8_t{200})
        .value(0)
        .end();
    EXPECT_EQ(text(), "[18446744073709551615,-9223372036854775808,9223372036854775807,-1,200,0]");
}

TEST_F(JsonTest, FractionsHaveThreeDecimals) {
    json.array().fixed3(0).fixed3(7).fixed3(1050).fixed3(123999).end();
    EXPECT_EQ(text(), "[0.000,0.007,1.050,123.999]");
}

TEST_F(JsonTest, HexIsAString) {
    json.array().hex(0).hex(0xF).hex(0xDEADBEEF00).hex(~0ull).end();
    EXPECT_EQ(text(), R"(["0x0","0xf","0xdeadbeef00","0xffffffffffffffff"])");
}

TEST_F(JsonTest, StringsAreEscapedAndPrintable) {
    json.array().value("q\"b\\n\nt\tz").value(std::string_view("\0\x1f\x7f\x80\xff", 5)).end();
    EXPECT_EQ(text(), R"(["q\"b\\n\nt\u0009z","\u0000\u001f???"])");
}

TEST_F(JsonTest, KeysAreEscapedToo) {
    json.object().member("a\"b", "").end();
    EXPECT_EQ(text(), R"({"a\"b":""})");
}

TEST_F(JsonTest, EveryByteGivesPrintableAscii) {
    for (int b = 0; b < 256; ++b) {
        json.clear();
        char c = static_cast<char>(b);
        json.array().value(std::string_view(&c, 1)).end();
        for (char out : json.text()) EXPECT_TRUE(out >= 0x20 && out <= 0x7E) << b;
    }
}

TEST_F(JsonTest, OverflowIsRememberedAndNothingIsWrittenOutside) {
    for (size_t size = 0; size < 24; ++size) {
        std::string memory(64, '#');
        Json small{std::span<char>(memory.data() + 16, size)};
        small.array().value("12345678").value(1234567).end();  // 20 bytes
        EXPECT_EQ(small.overflowed(), size < 20) << size;
        EXPECT_LE(small.text().size(), size);
        EXPECT_EQ(memory.substr(0, 16), std::string(16, '#'));
        EXPECT_EQ(memory.substr(16 + size), std::string(48 - size, '#'));
        small.clear();
        EXPECT_FALSE(small.overflowed());
        EXPECT_EQ(small.room(), size);
    }
}

TEST_F(JsonTest, TooDeepIsAnOverflow) {
    for (int i = 0; i < 16; ++i) json.array();
    EXPECT_FALSE(json.overflowed());
    json.array();
    EXPECT_TRUE(json.overflowed());
    for (int i = 0; i < 40; ++i) json.end();
}

}  // namespace
}  // namespace doorbell::test
