// cpio can read the archive that a guest starts from, and the same content gives the same archive.
#include "harness/peers/initramfs.h"

#include <gtest/gtest.h>

#include "tests/image/run.h"

namespace doorbell::test {
namespace {

std::string archive() {
    harness::Initramfs made;
    made.folder("bin");
    made.file("bin/peer", "program", true);
    made.file("odd", "12345");
    return made.finish();
}

TEST(Initramfs, HasTheFilesWithTheirModesAndPadding) {
    std::string bytes = archive();
    EXPECT_EQ(bytes.size() % 4, 0u);
    // Walked as the kernel walks it: sizes in fixed columns, everything on multiples of four.
    struct Entry {
        std::string name;
        unsigned mode;
        std::string content;
    };
    std::vector<Entry> entries;
    for (size_t at = 0; at < bytes.size();) {
        ASSERT_EQ(bytes.substr(at, 6), "070701");
        auto field = [&](int i) {
            return static_cast<unsigned>(
                std::stoul(bytes.substr(at + 6 + 8 * static_cast<size_t>(i), 8), nullptr, 16));
        };
        unsigned mode = field(1), size = field(6), name_size = field(11);
        size_t name = at + 110, content = (name + name_size + 3) / 4 * 4;
        entries.push_back({bytes.substr(name, name_size - 1), mode, bytes.substr(content, size)});
        at = (content + size + 3) / 4 * 4;
    }
    ASSERT_EQ(entries.size(), 4u);
    EXPECT_EQ(entries[0].name, "bin");
    EXPECT_EQ(entries[0].mode, 0040755u);
    EXPECT_EQ(entries[1].name, "bin/peer");
    EXPECT_EQ(entries[1].mode, 0100755u);
    EXPECT_EQ(entries[1].content, "program");
    EXPECT_EQ(entries[2].mode, 0100644u);
    EXPECT_EQ(entries[2].content, "12345");
    EXPECT_EQ(entries[3].name, "TRAILER!!!");
}

TEST(Initramfs, IsTheSameForTheSameContent) { EXPECT_EQ(archive(), archive()); }

}  // namespace
}  // namespace doorbell::test
