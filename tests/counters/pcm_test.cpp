#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "host/counters/pcm_csv.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, size_t size);

namespace doorbell::host {
namespace {

// As 202302 writes it: a newline in front of each row, a comma behind, none at the end.
constexpr const char* pcm_202302 =
    "System,System,System,System,Socket 0,Core0 (Socket 0),Core0 (Socket 0),\n"
    "Date,Time,EXEC,L3MISS,L3HIT,L3HIT,INST,\n"
    "2026-01-01,10:00:00.001,0.41,1.02,0.9,12%,3.05,\n"
    "2026-01-01,10:00:01.001,0.42,N/A,nan,inf,3.06,";
// A newer one: more columns, in another order.
constexpr const char* pcm_newer =
    "System,System,System,Core0 (Socket 0),System,System Core C-States,\n"
    "Date,Time,L3MISS,INST,EXEC,C0res%,\n"
    "2026-01-01,10:00:00.001,1.02,3.05,0.41,99.5,\n";

TEST(PcmCsv, ValuesAreFoundByTheirTwoNamesInEveryLayout) {
    for (const char* text : {pcm_202302, pcm_newer}) {
        PcmCsv csv = PcmCsv::parse(text);
        EXPECT_EQ(csv.value(0, "System", "EXEC"), 0.41);
        EXPECT_EQ(csv.value(0, "System", "L3MISS"), 1.02);
        EXPECT_EQ(csv.value(0, "Core0 (Socket 0)", "INST"), 3.05);
        EXPECT_EQ(csv.text(0, "System", "Date"), "2026-01-01");
        EXPECT_FALSE(csv.cut());
    }
    PcmCsv csv = PcmCsv::parse(pcm_202302);
    EXPECT_EQ(csv.rows(), 2u);
    EXPECT_EQ(csv.value(0, "Socket 0", "L3HIT"), 0.9);
    EXPECT_EQ(csv.value(0, "Core0 (Socket 0)", "L3HIT"), 12.0);
}

TEST(PcmCsv, WhatIsNoNumberIsNothingAndNotZero) {
    PcmCsv csv = PcmCsv::parse(pcm_202302);
    EXPECT_EQ(csv.value(1, "System", "L3MISS"), std::nullopt);            // N/A
    EXPECT_EQ(csv.value(1, "Socket 0", "L3HIT"), std::nullopt);           // nan
    EXPECT_EQ(csv.value(1, "Core0 (Socket 0)", "L3HIT"), std::nullopt);   // inf
    EXPECT_EQ(csv.value(0, "System", "Time"), std::nullopt);
    EXPECT_EQ(csv.value(0, "System", "no such column"), std::nullopt);
    EXPECT_EQ(csv.value(9, "System", "EXEC"), std::nullopt);
}

TEST(PcmCsv, RawCountsKeepAllTheirDigits) {
    PcmCsv csv = PcmCsv::parse("System,System,SKT0CORE0,SKT0CORE0,\nDate,Time,LLC_MISS,INST,\n\n2026-01-01,10:00:00,12345678,9007199254740991,");
    EXPECT_EQ(csv.value(0, "SKT0CORE0", "LLC_MISS"), 12345678.0);
    EXPECT_EQ(csv.value(0, "SKT0CORE0", "INST"), 9007199254740991.0);
}

TEST(PcmCsv, ACutRowIsDroppedAndSaid) {
    std::string whole = pcm_202302;
    size_t last_row = whole.rfind('\n') + 1;
    for (size_t length = last_row + 1; length + 1 < whole.size(); ++length) {
        PcmCsv csv = PcmCsv::parse(whole.substr(0, length));
        // A number may be cut and still be one; then the row's comma is missing, or a cell.
        if (csv.rows() == 1) EXPECT_TRUE(csv.cut()) << length;
        else EXPECT_GE(length, whole.rfind(',', whole.size() - 2)) << length;
    }
}

TEST(PcmCsv, AFileThatIsNoTableIsSaid) {
    for (const char* text : {"", "\n\n", "System,System,\n", "a,b,c,\nd,\n", "a,\nb,\n1,2,\n", "a,b,\nc,d,\n1,\n1,2,\n"})
        EXPECT_THROW(PcmCsv::parse(text), std::runtime_error) << text;
}

TEST(PcmCsv, TheFuzzCorpusIsSurvived) {
    size_t files = 0;
    for (const auto& entry : std::filesystem::directory_iterator(PCM_CORPUS)) {
        std::ifstream in(entry.path(), std::ios::binary);
        std::stringstream text;
        text << in.rdbuf();
        std::string bytes = text.str();
        EXPECT_EQ(LLVMFuzzerTestOneInput(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()), 0);
        ++files;
    }
    EXPECT_GE(files, 5u);
}

}  // namespace
}  // namespace doorbell::host
