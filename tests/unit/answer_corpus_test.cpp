// Runs the responder's stored corpus as a test: a fault that was found once must not return.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

// Two fuzzers in one program: this one's entry gets a name of its own.
#define LLVMFuzzerTestOneInput answer_fuzz_entry
#include "tests/fuzz/answer_fuzz.cpp"
#undef LLVMFuzzerTestOneInput

namespace {

TEST(Fuzz, AnswerCorpusIsSurvived) {
    size_t files = 0;
    for (const auto& entry : std::filesystem::directory_iterator(ANSWER_CORPUS)) {
        SCOPED_TRACE(entry.path().string());
        std::ifstream in(entry.path(), std::ios::binary);
        std::string bytes(std::istreambuf_iterator<char>(in), {});
        EXPECT_EQ(answer_fuzz_entry(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()),
                  0);
        ++files;
    }
    EXPECT_GE(files, 19u);
}

}  // namespace
