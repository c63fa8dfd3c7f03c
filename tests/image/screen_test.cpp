// What a person in front of the machine sees, read off the screen at the end of a run.
#include <gtest/gtest.h>

#include <cstring>

#include "tests/image/run.h"
#include "tests/pixels.h"

namespace doorbell::test {
namespace {

/// Boots doorbell.iso with a screen; once the image has sent its last record, QEMU obeys `at_end`
/// and ends. UEFI takes minutes in the exact clock.
Outcome boot(const Scratch& scratch, const std::string& more, const std::string& at_end) {
    return shell(
        scratch,
        "rm -f monitor.*; mkfifo monitor.in monitor.out; cat monitor.out >/dev/null & "
        "timeout 400 qemu-system-x86_64 -nodefaults -M q35 -m 512M -smp 1 -cpu max -accel "
        "tcg,thread=single -display none -serial stdio -no-reboot -cdrom doorbell.iso -chardev "
        "pipe,id=monitor,path=monitor -mon chardev=monitor " +
            more +
            " | while read -r line; do printf '%s\\n' \"$line\"; case $line in *'\"t\":\"end\"'*) "
            "printf '%s\\n' " +
            at_end + " quit >monitor.in;; esac; done; wait");
}

class Screen : public testing::Test {
  protected:
    void SetUp() override {
        Outcome made = shell(scratch, DOORBELL_COMMAND
                             " image --labs syscall:gate=int --samples 20 --exit halt --out "
                             "doorbell.iso");
        ASSERT_EQ(made.status, 0) << made.err;
    }
    /// Whether one of the rows begins like that.
    static bool shows(const std::vector<std::string>& rows, const std::string& beginning) {
        for (const std::string& row : rows)
            if (row.starts_with(beginning)) return true;
        return false;
    }
    static void expect_the_run(const std::vector<std::string>& rows) {
        std::string all;
        for (const std::string& row : rows) all += row + "\n";
        EXPECT_TRUE(shows(rows, "evidence: rough, fit for: ")) << all;
        EXPECT_TRUE(shows(rows, "syscall gate=int space=other-pcid")) << all;
        EXPECT_TRUE(shows(rows, "    skipped: this processor has no PCID")) << all;
        EXPECT_TRUE(shows(rows, "cannot say: SYSCALL is cheaper than INT (")) << all;
        EXPECT_TRUE(shows(rows, "done: ")) << all;
        EXPECT_NE(all.find(" records went to serial port 0x3f8"), all.npos) << all;
    }
    Scratch scratch;
};

TEST_F(Screen, IsTextUnderBios) {
    Outcome run = boot(scratch, "-device VGA", "'pmemsave 0xb8000 4000 text.bin'");
    std::string cells = content(scratch / "text.bin");
    ASSERT_EQ(cells.size(), 4000u) << run.out << run.err;
    std::vector<std::string> rows(25);
    for (size_t i = 0; i < 2000; ++i) rows[i / 80] += cells[2 * i];
    for (std::string& row : rows) row.resize(row.find_last_not_of(' ') + 1);
    expect_the_run(rows);
}

TEST_F(Screen, IsNotNeeded) {
    Outcome run = boot(scratch, "", "");
    EXPECT_NE(run.out.find("\"t\":\"end\""), run.out.npos) << run.out << run.err;
}

/// A picture as QEMU's screendump writes it (PPM, 8 bits a colour).
struct Picture {
    unsigned width = 0, height = 0;
    std::string pixels;

    explicit Picture(const std::string& file) {
        int begin = 0;
        if (std::sscanf(file.c_str(), "P6 %u %u 255%n", &width, &height, &begin) == 2)
            pixels = file.substr(static_cast<size_t>(begin) + 1);
    }
    bool is_lit(unsigned x, unsigned y) const {
        return pixels.at(3 * (size_t{y} * width + x)) != 0;
    }
};

class UefiScreen : public Screen, public testing::WithParamInterface<const char*> {};

/// Of another size where the loader's configuration in the ISO names one, at the same length.
TEST_P(UefiScreen, IsTheFrameBuffer) {
    std::string wanted = GetParam();
    std::string iso = content(scratch / "doorbell.iso");
    const std::string as_it_is = "    insmod all_video\n    set screen=auto\n";
    size_t at = iso.find(as_it_is);
    ASSERT_NE(at, iso.npos);
    std::string chosen = "insmod all_video\nset screen=" + wanted;
    iso.replace(at, as_it_is.size(),
                chosen + std::string(as_it_is.size() - 1 - chosen.size(), ' ') + "\n");
    scratch.write("doorbell.iso", iso);
    Outcome run = boot(scratch,
                       "-device VGA,vgamem_mb=64 -drive if=pflash,format=raw,readonly=on,"
                       "file=/usr/share/OVMF/OVMF_CODE_4M.fd -drive if=pflash,format=raw,"
                       "snapshot=on,file=/usr/share/OVMF/OVMF_VARS_4M.fd",
                       "'screendump screen.ppm'");
    Picture picture(content(scratch / "screen.ppm"));
    ASSERT_NE(picture.width, 0u) << run.out << run.err;
    if (wanted != "auto") {
        EXPECT_EQ(std::to_string(picture.width) + "x" + std::to_string(picture.height), wanted);
    }
    cpu::PixelMemory mode{1, 4 * picture.width, picture.width, picture.height, 32, {}, {}, {}};
    unsigned scale = platform::FrameBuffer::scale_of(mode);
    expect_the_run(read_off(picture.width / (platform::FrameBuffer::cell_width * scale),
                            picture.height / (platform::FrameBuffer::cell_height * scale), scale,
                            [&](unsigned x, unsigned y) { return picture.is_lit(x, y); }));
}
INSTANTIATE_TEST_SUITE_P(At, UefiScreen, testing::Values("auto", "640x480", "3840x2160"),
                         [](const auto& info) {
                             std::string name = info.param;
                             return name == "auto" ? "TheLoadersChoice" : "Mode" + name;
                         });

}  // namespace
}  // namespace doorbell::test
