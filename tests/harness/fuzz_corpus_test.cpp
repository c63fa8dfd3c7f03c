// Runs the fuzz targets' stored corpora as tests: a fault that was found once must not return.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

extern "C" int decode_fuzz(const unsigned char* data, size_t size);
extern "C" int folder_fuzz(const unsigned char* data, size_t size);
extern "C" int stream_fuzz(const unsigned char* data, size_t size);

namespace {

struct Target {
    const char* name;
    int (*run)(const unsigned char* data, size_t size);
};

class FuzzCorpus : public testing::TestWithParam<Target> {};

TEST_P(FuzzCorpus, IsSurvived) {
    size_t files = 0;
    for (const auto& entry : std::filesystem::directory_iterator(
             std::filesystem::path(FUZZ_CORPUS) / GetParam().name)) {
        std::ifstream in(entry.path(), std::ios::binary);
        std::stringstream text;
        text << in.rdbuf();
        std::string bytes = text.str();
        SCOPED_TRACE(entry.path().string());
        EXPECT_EQ(
            GetParam().run(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()), 0);
        ++files;
    }
    EXPECT_GE(files, 5u);
}

INSTANTIATE_TEST_SUITE_P(Targets, FuzzCorpus,
                         testing::Values(Target{"decode", decode_fuzz},
                                         Target{"folder", folder_fuzz},
                                         Target{"stream", stream_fuzz}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
