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

TEST(PcmCsv, ACellWithoutANumberIsNothingAndNotZero) {
    PcmCsv csv = PcmCsv::parse(pcm_202302);
    EXPECT_EQ(csv.value(1, "System", "L3MISS"), std::nullopt);           // N/A
    EXPECT_EQ(csv.value(1, "Socket 0", "L3HIT"), std::nullopt);          // nan
    EXPECT_EQ(csv.value(1, "Core0 (Socket 0)", "L3HIT"), std::nullopt);  // inf
    EXPECT_EQ(csv.value(0, "System", "Time"), std::nullopt);
    EXPECT_EQ(csv.value(0, "System", "no such column"), std::nullopt);
    EXPECT_EQ(csv.value(9, "System", "EXEC"), std::nullopt);
}

TEST(PcmCsv, RawCountsKeepAllTheirDigits) {
    PcmCsv csv = PcmCsv::parse(
        "System,System,SKT0CORE0,SKT0CORE0,\nDate,Time,LLC_MISS,INST,\n\n2026-01-01,10:00:00,"
        "12345678,9007199254740991,");
    EXPECT_EQ(csv.value(0, "SKT0CORE0", "LLC_MISS"), 12345678.0);
    EXPECT_EQ(csv.value(0, "SKT0CORE0", "INST"), 9007199254740991.0);
}

TEST(PcmCsv, ACutRowIsDroppedAndReported) {
    std::string whole = pcm_202302;
    size_t last_row = whole.rfind('\n') + 1;
    for (size_t length = last_row + 1; length < whole.size(); ++length) {
        PcmCsv csv = PcmCsv::parse(whole.substr(0, length));
        EXPECT_EQ(csv.rows(), 1u) << length;
        EXPECT_TRUE(csv.cut()) << length;
    }
}

TEST(PcmCsv, AFileWithoutATableIsReported) {
    for (const char* text : {"", "\n\n", "System,System,\n", "a,b,c,\nd,\n", "a,\nb,\n1,2,\n",
                             "a,b,\nc,d,\n1,\n1,2,\n"})
        EXPECT_THROW(PcmCsv::parse(text), std::runtime_error) << text;
}

TEST(PcmCsv, TheFuzzCorpusIsSurvived) {
    size_t files = 0;
    for (const auto& entry : std::filesystem::directory_iterator(PCM_CORPUS)) {
        std::ifstream in(entry.path(), std::ios::binary);
        std::stringstream text;
        text << in.rdbuf();
        std::string bytes = text.str();
        EXPECT_EQ(LLVMFuzzerTestOneInput(reinterpret_cast<const unsigned char*>(bytes.data()),
                                         bytes.size()),
                  0);
        ++files;
    }
    EXPECT_GE(files, 5u);
}

}  // namespace
}  // namespace doorbell::host

#include <signal.h>

#include "host/counters/pcm.h"

namespace doorbell::host {
namespace {

namespace fs = std::filesystem;

/// Programs that print what the real ones print (release 202302, from their source), in the same
/// order and with the same newlines. `$1` is the delay, -i=N the number of rows, -csv=F the file.
class FakePcm : public testing::Test {
  protected:
    FakePcm() {
        std::string pattern = (fs::temp_directory_path() / "pcm-XXXXXX").string();
        folder = mkdtemp(pattern.data());
        before = leftovers();
    }
    ~FakePcm() override {
        EXPECT_EQ(leftovers(), before) << "a temporary file stays behind";
        fs::remove_all(folder);
    }
    std::string program(const std::string& script) {
        fs::path file = folder / "pcm-raw";
        std::ofstream(file) << "#!/bin/sh\nfor w; do case $w in -csv=*) out=${w#-csv=};; "
                               "-i=*) rows=${w#-i=};; -f) flush=1;; esac; done\n"
                            << banner << script << "\n";
        fs::permissions(file, fs::perms::owner_all);
        return file.string();
    }
    /// What a pcm-raw of that script gives for a window of one second.
    PcmCsv counted_by(const std::string& script, const std::vector<std::string>& events = {}) {
        PcmState state{true, "", "", program(script)};
        return PcmWindow(core_events(state, events, 0), 1).result();
    }
    static size_t leftovers() {
        size_t count = 0;
        for (const auto& entry : fs::directory_iterator(fs::temp_directory_path()))
            count += entry.path().filename().string().starts_with("doorbell-pcm");
        return count;
    }
    const std::string banner =
        "printf '\\n Intel(r) Performance Counter Monitor: x \\n\\nNumber of physical cores: 2\\n"
        "IBRS and IBPB supported  : yes\\nTrying to use Linux perf events...\\n\\nDetected x "
        "\"Intel(r) microarchitecture codename Icelake-SP\" stepping 6 microcode level 0x1\\n' "
        ">&2\n";
    const std::string cleanup =
        "printf ' Closed perf event handles\\nCleaning up\\n Zeroed uncore PMU registers\\n' >&2\n";
    fs::path folder;
    size_t before = 0;
};

/// pcm-raw: it prints "Update every", then programs the counters, and writes its header rows with
/// the first row, when that row's time is over.
const std::string raw_counts =
    "printf 'Collecting 1 event group(s)\\nUpdate every '$1' seconds\\n' >&2\n"
    "sleep $1\nprintf ',,,SKT0CORE0,SKT0CORE0,\\nDate,Time,ms,LLC_MISS,INST,\\n' >$out\n"
    "i=1; while :; do printf '2026-01-01,10:00:00.001,1000,'$((40 + i))',9,\\n' >>$out\n"
    "[ $i = $rows ] && break; i=$((i + 1)); sleep $1; done\n";
/// pcm: only its banner on standard error; with -f the header rows before the window, the
/// second one without a newline behind it; a newline in front of each row.
const std::string pcm_counts =
    "header='System,System,System,System,System,\\nDate,Time,L3MISS,READ,WRITE,'\n"
    "[ \"$flush\" ] && printf $header >$out\nsleep $1\n"
    "[ \"$flush\" ] || printf $header >$out\n"
    "printf '\\n2026-01-01,10:00:01.001,1.25,0.50,0.25,' >>$out\n";

TEST_F(FakePcm, PcmCountsFromItsHeaderRowsOnWithoutAMessage) {
    PcmState state{true, "", "", "", program(pcm_counts + cleanup)};
    PcmWindow window(system_totals(state), 1);
    PcmCsv csv = window.result();
    EXPECT_EQ(csv.rows(), 1u);
    EXPECT_EQ(csv.value(0, "System", "READ"), 0.5);
}

TEST_F(FakePcm, TheRowThatCameWithPcmRawsHeaderIsNotTheWindows) {
    PcmCsv csv = counted_by(raw_counts + cleanup, {"core/config=0x43412e,name=LLC_MISS"});
    EXPECT_EQ(csv.rows(), 1u);
    EXPECT_EQ(csv.value(0, "SKT0CORE0", "LLC_MISS"), 42.0) << "the first row has 41";
}

TEST_F(FakePcm, AProgramThatWritesItsHeaderFirstAndTwoRowsGivesTheFirst) {
    PcmCsv csv = counted_by(
        "printf 'a,a,\\nb,c,\\n' >$out\nsleep $1\nprintf '1,2,\\n' >>$out\n"
        "sleep $1\nprintf '3,4,\\n' >>$out");
    EXPECT_EQ(csv.value(0, "a", "b"), 1.0);
}

TEST_F(FakePcm, AProgramThatLeavesAfterItsFirstRowIsTrusted) {
    PcmCsv csv = counted_by(
        "printf 'Update every 1 seconds\\n' >&2\nsleep $1\n"
        "printf 'a,a,\\nb,c,\\n1,2,\\n' >$out");
    EXPECT_EQ(csv.value(0, "a", "c"), 2.0);
}

TEST_F(FakePcm, RequestsOneCoreItsEventsAndOneSampleAfterTheFirst) {
    PcmState state{true, "", "",
                   program("echo \"$@\" PCM_KEEP_NMI_WATCHDOG=$PCM_KEEP_NMI_WATCHDOG >" +
                           (folder / "words").string() + "\nexit 1")};
    EXPECT_THROW(
        PcmWindow(
            core_events(state, {"core/config=0x43412e,name=A", "core/config=0x4300c5,name=B"}, 3),
            2),
        std::runtime_error);
    std::ifstream in(folder / "words");
    std::string words;
    std::getline(in, words);
    EXPECT_TRUE(words.starts_with("2 -i=2 -csv=")) << words;
    EXPECT_NE(words.find(" -yc 3 -e core/config=0x43412e,name=A -e core/config=0x4300c5,name=B"),
              std::string::npos)
        << words;
    EXPECT_NE(words.find("PCM_KEEP_NMI_WATCHDOG=1"), std::string::npos) << words;
}

TEST_F(FakePcm, TheReasonIsPcmsComplaintAndNotItsCleanup) {
    try {
        PcmWindow window({program("echo Access to CPU MSRs denied >&2\n" + cleanup + "exit 1"), {}},
                         1);
        FAIL();
    } catch (const std::runtime_error& error) {
        EXPECT_STREQ(error.what(), "PCM does not count: Access to CPU MSRs denied");
    }
}

TEST_F(FakePcm, AnEmptyFileIsAnErrorAndNotZero) {
    EXPECT_THROW(PcmWindow({program(":>$out"), {}}, 1), std::runtime_error);
}

TEST_F(FakePcm, ATableWithoutARowForTheWindowIsAnErrorAndNotZero) {
    PcmWindow window({program("printf 'a,a,\\nb,c,' >$out\nsleep $1"), {}}, 1);
    EXPECT_THROW(window.result(), std::runtime_error);
}

TEST_F(FakePcm, AProgramThatHangsIsKilled) {
    EXPECT_THROW(PcmWindow({program("exec sleep 1000"), {}}, 1, 1), std::runtime_error);
    std::string pid_file = (folder / "pid").string();
    {
        PcmWindow window(
            {program("echo $$ >" + pid_file + "\nprintf 'a,a,\\nb,c,' >$out\nexec sleep 1000"), {}},
            1, 1);
        EXPECT_THROW(window.result(), std::runtime_error);
    }
    std::ifstream in(pid_file);
    pid_t pid = 0;
    in >> pid;
    ASSERT_GT(pid, 0);
    EXPECT_NE(kill(pid, 0), 0);
}

TEST_F(FakePcm, WhatIsMissingIsNamed) {
    EXPECT_NE(look_for_pcm(folder).change.find("apt-get install pcm"), std::string::npos);
    fs::create_directories(folder / "usr/sbin");
    fs::create_directories(folder / "proc");
    std::ofstream(folder / "usr/sbin/pcm-raw") << "";
    std::ofstream(folder / "proc/cpuinfo") << "vendor_id : AuthenticAMD\nflags : fpu\n";
    EXPECT_NE(look_for_pcm(folder).because.find("Intel"), std::string::npos);
    std::ofstream(folder / "proc/cpuinfo") << "vendor_id : GenuineIntel\nflags : fpu\n";
    EXPECT_NE(look_for_pcm(folder).change.find("vPMU"), std::string::npos);
    std::ofstream(folder / "proc/cpuinfo")
        << "vendor_id : GenuineIntel\nflags : fpu arch_perfmon x\n";
    EXPECT_EQ(look_for_pcm(folder).change, "modprobe msr");
    fs::create_directories(folder / "dev/cpu/0");
    std::ofstream(folder / "dev/cpu/0/msr") << "";
    PcmState found = look_for_pcm(folder);
    EXPECT_TRUE(found.usable);
    EXPECT_EQ(found.raw, folder / "usr/sbin/pcm-raw");
    EXPECT_TRUE(found.pcm.empty());
}

}  // namespace
}  // namespace doorbell::host
