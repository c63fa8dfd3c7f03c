// The words of the command line: labs, settings, QEMU's arguments.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>

#include "harness/machine/kvm.h"
#include "harness/machine/machine.h"
#include "harness/run/progress.h"
#include "harness/run/selection.h"
#include "harness/system/escape.h"
#include "harness/system/failure.h"
#include "harness/text/json.h"
#include "harness/text/nearest.h"
#include "harness/text/number.h"
#include "labs/catalogue.h"

namespace doorbell::harness {
namespace {

std::string complaint(const std::vector<std::string>& labs,
                      const std::vector<std::string>& set = {}) {
    try {
        select(labs, set);
    } catch (const UsageError& error) {
        return error.what();
    }
    return "no complaint";
}

TEST(Nearest, CountsInsertionsDeletionsReplacementsAndSwaps) {
    EXPECT_EQ(edit_distance("timer", "timer"), 0u);
    EXPECT_EQ(edit_distance("tmer", "timer"), 1u);
    EXPECT_EQ(edit_distance("tiemr", "timer"), 1u);
    EXPECT_EQ(edit_distance("", "abc"), 3u);
    EXPECT_EQ(nearest("clok", {"timer", "clock"}), "clock");
    EXPECT_EQ(nearest("x", {}), "");
}

TEST(Words, TheWholePartOfANumberFitsWhateverAFileHolds) {
    EXPECT_EQ(whole_part(12.9), 12u);
    for (double nothing : {-1.0, 0.0, 0.9, std::numeric_limits<double>::quiet_NaN()})
        EXPECT_EQ(whole_part(nothing), 0u) << nothing;
    for (double much : {0x1p64, 1e300, std::numeric_limits<double>::infinity()})
        EXPECT_EQ(whole_part(much), ~uint64_t{0}) << much;
    EXPECT_EQ(whole_part(0x1p63), uint64_t{1} << 63);
}

TEST(Number, IsWholeAndInRange) {
    EXPECT_EQ(parse_number("42", "--samples", 1, 100), 42u);
    for (const char* wrong :
         {"", "x", "1x", "-1", "0", "101", "99999999999999999999999", "1.5", " 1"})
        EXPECT_THROW(parse_number(wrong, "--samples", 1, 100), UsageError) << wrong;
    EXPECT_EQ(grouped(0), "0");
    EXPECT_EQ(grouped(1234567), "1,234,567");
    EXPECT_EQ(grouped(123456), "123,456");
}

TEST(Selection, BecomesTheImagesWords) {
    EXPECT_EQ(image_words(select({}, {})), "seed=1");
    Selection selection = select({"clock", "timer:wait=irq,source=lapic"}, {"spacing=20000"});
    selection.samples = 100;
    selection.raw = true;
    EXPECT_EQ(
        image_words(selection),
        "lab=clock lab=timer:wait=irq,source=lapic samples=100 seed=1 raw=1 set.spacing=20000");
}

TEST(Selection, SetNarrowsTheLabsThatHaveTheKey) {
    EXPECT_EQ(image_words(select({"timer"}, {"wait=poll"})), "lab=timer:wait=poll seed=1");
    EXPECT_EQ(image_words(select({"clock", "timer"}, {"source=pit"})),
              "lab=clock lab=timer:source=pit seed=1");
    Selection by_key = select({}, {"source=pit"});
    ASSERT_FALSE(by_key.labs.empty());
    for (const LabChoice& choice : by_key.labs)
        EXPECT_EQ(choice.keys.size(), 1u) << choice.lab->name;
}

TEST(Selection, NamesTheNearestWord) {
    EXPECT_NE(complaint({"tiemr"}).find("did you mean \"timer\""), std::string::npos);
    EXPECT_NE(complaint({"timer:wiat=irq"}).find("did you mean \"wait\""), std::string::npos);
    EXPECT_NE(complaint({"timer:wait=irk"}).find("did you mean \"irq\""), std::string::npos);
    EXPECT_NE(complaint({"timer"}, {"spacng=5000"}).find("did you mean \"spacing\""),
              std::string::npos);
    EXPECT_NE(complaint({"timer"}, {"wait=pol"}).find("did you mean \"poll\""), std::string::npos);
}

TEST(Selection, RefusesWordsThatAreNotAPairANumberOrACase) {
    EXPECT_NE(complaint({"timer:wait"}).find("KEY=VALUE"), std::string::npos);
    EXPECT_NE(complaint({"timer:"}).find("KEY=VALUE"), std::string::npos);
    EXPECT_NE(complaint({"timer"}, {"spacing"}).find("KEY=VALUE"), std::string::npos);
    EXPECT_NE(complaint({"timer"}, {"spacing=soon"}).find("not a whole number"), std::string::npos);
    EXPECT_NE(complaint({"timer"}, {"spacing=1"}).find("not a whole number from"),
              std::string::npos);
    EXPECT_NE(complaint({"timer:source=pit,source=lapic"}).find("no case"), std::string::npos);
}

bool has_pair(const std::vector<std::string>& words, const std::string& first,
              const std::string& second) {
    for (size_t i = 0; i + 1 < words.size(); ++i)
        if (words[i] == first && words[i + 1] == second) return true;
    return false;
}

TEST(Machine, ExactFixesTimeAndRandomness) {
    MachineOptions options;
    options.image = "a.elf";
    options.image_words = "lab=timer exit=debug";
    auto words = qemu_arguments(options);
    EXPECT_EQ(words[0], "qemu-system-x86_64");
    EXPECT_TRUE(has_pair(words, "-M", "q35"));
    EXPECT_TRUE(has_pair(words, "-icount", "shift=0,sleep=off"));
    EXPECT_TRUE(has_pair(words, "-cpu", "max,-x2apic"));
    EXPECT_TRUE(has_pair(words, "-seed", "1"));
    EXPECT_TRUE(has_pair(words, "-rtc", "base=2026-01-01,clock=vm"));
    EXPECT_TRUE(has_pair(words, "-accel", "tcg,thread=single"));
    EXPECT_TRUE(has_pair(words, "-device", "isa-debug-exit,iobase=0xf4,iosize=4"));
    EXPECT_TRUE(has_pair(words, "-kernel", "a.elf"));
    EXPECT_TRUE(has_pair(words, "-append", "lab=timer exit=debug"));
}

TEST(Machine, LiveCountsNothing) {
    auto words = qemu_arguments({.clock = "live", .machine = "pc", .accel = "kvm"});
    EXPECT_EQ(std::count(words.begin(), words.end(), "-icount"), 0);
    EXPECT_TRUE(has_pair(words, "-accel", "kvm"));
    EXPECT_TRUE(has_pair(words, "-cpu", "host"));
    EXPECT_TRUE(has_pair(words, "-M", "pc"));
}

TEST(Machine, PutsInTheCardAndItsWire) {
    MachineOptions options;
    EXPECT_TRUE(nic_arguments(options).empty());
    options.nic = "e1000e";
    EXPECT_TRUE(has_pair(qemu_arguments(options), "-device",
                         "e1000e,romfile=,netdev=card0,mac=02:44:42:00:00:01"));
    for (const std::string& nic : nic_choices()) {
        options.nic = nic;
        EXPECT_EQ(nic_arguments(options).empty(), nic == "none" || nic == "auto") << nic;
    }
    EXPECT_EQ(cards_for("q35", true), "all");
    EXPECT_EQ(cards_for("q35", false), "none");
    EXPECT_EQ(cards_for("microvm", true), "none") << "it has no PCI";
}

TEST(Machine, RefusesWhatExcludesEachOther) {
    MachineOptions exact_kvm;
    exact_kvm.accel = "kvm";
    EXPECT_THROW(check(exact_kvm), UsageError);
    MachineOptions microvm;
    microvm.machine = "microvm";
    microvm.nic = "e1000e";
    EXPECT_THROW(check(microvm), UsageError);
}

TEST(Machine, ShellLineIsReadBackByAShell) {
    EXPECT_EQ(shell_line({"qemu", "-append", "a b", "it's", ""}),
              "qemu -append 'a b' 'it'\\''s' ''");
}

TEST(Machine, ACommaInAPathIsDoubledWhereQemuWouldEndTheValue) {
    auto words = qemu_arguments({.model = "l1d=32K:8:64",
                                 .image = "/a,b/doorbell.elf",
                                 .model_plugin = "/a,b=c/doorbell-model.so"});
    EXPECT_TRUE(has_pair(words, "-plugin", "file=/a,,b=c/doorbell-model.so,l1d=32K:8:64"));
    EXPECT_TRUE(has_pair(words, "-kernel", "/a,b/doorbell.elf")) << "it is taken literally";
}

TEST(Escape, WhatATerminalWouldObeyBecomesVisible) {
    EXPECT_EQ(printable("plain text\nof two lines"), "plain text\nof two lines");
    EXPECT_EQ(one_line("a\nb\r\t\x1b[K\x07\x7f"), "a\\nb\\x0d\\x09\\x1b[K\\x07\\x7f");
    EXPECT_EQ(one_line("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x94\x94"),
              "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x94\x94")
        << "UTF-8 stays";
    EXPECT_EQ(one_line("\xc2\x9b \xe2\x80\xae \xef\xbb\xbf"), "\\u009b \\u202e \\ufeff");
    EXPECT_EQ(one_line("\xe9 \xc0\xaf \xed\xa0\x80 \xf5\x80 \xe2\x82"),
              "\\xe9 \\xc0\\xaf \\xed\\xa0\\x80 \\xf5\\x80 \\xe2\\x82")
        << "overlong forms, surrogates and cut characters are not UTF-8";
    EXPECT_EQ(escaped("<a href=\"x\">&\x1b\xff"), "&lt;a href=&quot;x&quot;&gt;&amp;\\x1b\\xff");
}

TEST(Escape, APathComesBackFromItsText) {
    for (const char* path :
         {"/plain", "/caf\xe9", "/a\\b", "/a\\x41", "/\\", "/\xff\xfe\\\\xgg", "/gr\xc3\xbcn"})
        EXPECT_EQ(path_from_text(text_of_path(path)).native(), path);
    EXPECT_EQ(text_of_path("/caf\xe9"), "/caf\\xe9");
    EXPECT_EQ(path_from_text("C:\\temp"), "C:\\temp") << "as older manifests have it";
    EXPECT_NO_THROW((void)json_document({{"path", "caf\xe9"}}));
}

class KvmTest : public testing::Test {
  protected:
    void SetUp() override {
        std::string name =
            (std::filesystem::temp_directory_path() / "doorbell-kvm-XXXXXX").string();
        root_ = mkdtemp(name.data());
        std::filesystem::create_directories(root_ / "dev");
        std::filesystem::create_directories(root_ / "proc");
    }
    void TearDown() override { std::filesystem::remove_all(root_); }
    void put(const std::string& file, const std::string& text) {
        std::ofstream(root_ / file) << text;
    }
    std::filesystem::path root_;
};

TEST_F(KvmTest, NeedsTheDeviceTheFlagAndTheModule) {
    EXPECT_FALSE(look_for_kvm(root_).usable);
    put("dev/kvm", "");
    put("proc/cpuinfo", "processor : 0\nflags\t\t: fpu tsc svm_lock\n");
    EXPECT_NE(look_for_kvm(root_).because.find("neither vmx nor svm"), std::string::npos);
    put("proc/cpuinfo", "processor : 0\nflags\t\t: fpu vmx tsc\n");
    EXPECT_NE(look_for_kvm(root_).because.find("neither kvm_intel nor kvm_amd"), std::string::npos);
    std::filesystem::create_directories(root_ / "sys/module/kvm_amd");
    EXPECT_FALSE(look_for_kvm(root_).usable) << "the other maker's module";
    std::filesystem::create_directories(root_ / "sys/module/kvm_intel");
    EXPECT_TRUE(look_for_kvm(root_).usable);
}

TEST(Progress, SaysPlaceAndTimeLeft) {
    EXPECT_EQ(progress_line(1, 4, "timer wait=irq", 1000, 0),
              "[1/4] timer wait=irq, 1,000 samples");
    EXPECT_EQ(progress_line(3, 4, "timer wait=irq", 0, 20),
              "[3/4] timer wait=irq, about 20 s left");
    EXPECT_EQ(progress_line(2, 61, "x", 0, 60), "[2/61] x, about 60 min left");
}

}  // namespace
}  // namespace doorbell::harness
