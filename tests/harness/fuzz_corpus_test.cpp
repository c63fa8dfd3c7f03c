// The fuzz target's stored corpus, run as a test: what was once found stays found.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, size_t size);

namespace {

TEST(Fuzz, DecodeCorpusIsSurvived) {
    size_t files = 0;
    for (const auto& entry : std::filesystem::directory_iterator(DECODE_CORPUS)) {
        std::ifstream in(entry.path(), std::ios::binary);
        std::stringstream text;
        text << in.rdbuf();
        std::string bytes = text.str();
        SCOPED_TRACE(entry.path().string());
        EXPECT_EQ(LLVMFuzzerTestOneInput(reinterpret_cast<const unsigned char*>(bytes.data()),
                                         bytes.size()),
                  0);
        ++files;
    }
    EXPECT_GE(files, 5u);
}

}  // namespace
