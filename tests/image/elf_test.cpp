// What the loader sees of the image.
#include <elf.h>
#include <gtest/gtest.h>

#include <cstring>

#include "tests/image/run.h"

namespace doorbell::test {
namespace {

std::vector<Elf64_Phdr> loadable() {
    std::string bytes = content(DOORBELL_IMAGE);
    Elf64_Ehdr head;
    std::vector<Elf64_Phdr> found;
    if (bytes.size() < sizeof head) return found;
    std::memcpy(&head, bytes.data(), sizeof head);
    for (unsigned i = 0; i < head.e_phnum; ++i) {
        Elf64_Phdr segment;
        std::memcpy(&segment, bytes.data() + head.e_phoff + i * sizeof segment, sizeof segment);
        if (segment.p_type == PT_LOAD) found.push_back(segment);
    }
    return found;
}

TEST(Elf, LoadsAtMost512KiB) {
    uint64_t bytes = 0;
    for (const Elf64_Phdr& segment : loadable()) bytes += segment.p_filesz;
    EXPECT_GT(bytes, 0u);
    EXPECT_LE(bytes, 512u * 1024);
}

TEST(Elf, HasNoSegmentThatIsBothWritableAndExecutable) {
    ASSERT_GE(loadable().size(), 3u);
    for (const Elf64_Phdr& segment : loadable())
        EXPECT_NE(segment.p_flags & (PF_W | PF_X), unsigned{PF_W | PF_X});
}

}  // namespace
}  // namespace doorbell::test
