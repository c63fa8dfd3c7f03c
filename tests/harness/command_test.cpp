// The command with a fake QEMU that fails in every known way.
#include <algorithm>
#include <sstream>

#include "tests/harness/command_fixture.h"

namespace doorbell::harness {
namespace {

TEST_F(CommandTest, AGoodRunIsSavedAndShown) {
    EXPECT_EQ(run(fake_run("good")), 0) << err_;
    EXPECT_TRUE(says(out_, "source=lapic")) << out_;
    EXPECT_TRUE(says(out_, "holds: polling is sooner")) << out_;
    EXPECT_EQ(err_, "");
    harness::Run run = saved();
    EXPECT_TRUE(run.complete);
    EXPECT_EQ(run.series.size(), 2u);
    EXPECT_EQ(run.machine["qemu_version"], "7.2.22");
    Json manifest = read_manifest(folder_ / "out");
    EXPECT_EQ(manifest["status"], "complete");
    EXPECT_EQ(manifest["image"]["sha256"].get<std::string>().size(), 64u);
    EXPECT_TRUE(says(content(folder_ / "out/console.log"), "firmware says hi"));
    for (const auto& entry : fs::directory_iterator(folder_ / "out"))
        EXPECT_FALSE(says(entry.path(), ".part"));
}

TEST_F(CommandTest, WithoutOutTheLatestRunIsPointedAt) {
    environment_["FAKE"] = "good";
    ASSERT_EQ(run({"run", "--qemu", FAKE_QEMU}), 0) << err_;
    ASSERT_EQ(run({"run", "--qemu", FAKE_QEMU, "--clock", "live", "--machine", "pc"}), 0) << err_;
    EXPECT_TRUE(says(fs::read_symlink(folder_ / "results/latest"), "-live-pc"));
    EXPECT_TRUE(read_run(folder_ / "results/latest").complete);
}

TEST_F(CommandTest, OnlyJsonIsOnStdout) {
    EXPECT_EQ(run(fake_run("good", {"--json"})), 0);
    Json json = Json::parse(out_);
    EXPECT_EQ(json["schema"], "doorbell/1");
    EXPECT_EQ(json, Json::parse(content(folder_ / "out/results.json")));
}

TEST_F(CommandTest, QuietPrintsNothing) {
    EXPECT_EQ(run(fake_run("good", {"--quiet"})), 0);
    EXPECT_EQ(out_ + err_, "");
}

TEST_F(CommandTest, ARefutedClaimCountsUnderStrictOnly) {
    EXPECT_EQ(run(fake_run("claim-fails")), 0);
    EXPECT_EQ(run(fake_run("claim-fails", {"--strict"})), 1);
    EXPECT_TRUE(says(err_, "refuted"));
}

TEST_F(CommandTest, AFailedCaseMakesStatusOneAndTheRunIsComplete) {
    environment_["FAKE_FAILED"] = "source=lapic wait=irq";
    EXPECT_EQ(run(fake_run("case-fails")), 1);
    EXPECT_TRUE(says(err_, "failed: timer source=lapic wait=irq: it hangs")) << err_;
    EXPECT_TRUE(says(out_, "FAILED: source=lapic wait=irq: it hangs")) << out_;
    harness::Run stored = read_run(folder_ / "out");
    EXPECT_TRUE(stored.complete) << stored.failure;
    ASSERT_EQ(stored.failed.size(), 1u);
    EXPECT_EQ(stored.skipped.size(), 1u);
    EXPECT_EQ(Json::parse(content(folder_ / "out/manifest.json"))["exit_status"], 1);
    // A failure takes the place of a skip that the other end reported.
    environment_["FAKE_FAILED"] = "source=hpet wait=irq";
    EXPECT_EQ(run(fake_run("case-fails")), 1);
    stored = read_run(folder_ / "out");
    EXPECT_EQ(stored.failed.size(), 1u);
    EXPECT_TRUE(stored.skipped.empty());
}

TEST_F(CommandTest, StrictDoesNotPassWhereNoClaimCouldBeJudged) {
    EXPECT_EQ(run(fake_run("claim-open")), 0) << err_;
    EXPECT_EQ(run(fake_run("claim-open", {"--strict"})), 1);
    EXPECT_TRUE(says(err_, "--strict: no claim could be judged")) << err_;
}

TEST_F(CommandTest, NoQemu) {
    EXPECT_EQ(run({"run", "--qemu", "/nowhere/qemu", "--out", "out"}), 3);
    EXPECT_TRUE(says(err_, "install the package qemu-system-x86")) << err_;
    EXPECT_FALSE(fs::exists(folder_ / "out")) << "nothing was started";
}

TEST_F(CommandTest, QemuTooOldOrNoQemuAtAll) {
    environment_["FAKE_VERSION"] = "6.2.0";
    EXPECT_EQ(run(fake_run("good")), 3);
    EXPECT_TRUE(says(err_, "is QEMU 6.2.0; at least 7.2")) << err_;
    EXPECT_EQ(run({"run", "--qemu", "/bin/true"}), 3);
    EXPECT_TRUE(says(err_, "does not say that it is QEMU")) << err_;
    environment_["FAKE_VERSION"] = "10.0.2";
    EXPECT_EQ(run(fake_run("good")), 0) << err_;
}

TEST_F(CommandTest, TheExactClockHasTheModelOfTheProfileUnlessAskedOtherwise) {
    auto model_of = [&](std::initializer_list<std::string> more) {
        EXPECT_EQ(run(fake_run("good", more)), 0) << err_;
        Json manifest = Json::parse(content(folder_ / "out/manifest.json"));
        bool loaded =
            manifest["qemu"]["command"].dump().find("doorbell-model.so") != std::string::npos;
        EXPECT_EQ(loaded, manifest["model"] != "off");
        return manifest["model"].get<std::string>();
    };
    EXPECT_TRUE(says(model_of({}), "l2=1M:16:64")) << "intel-skylake-server";
    EXPECT_TRUE(says(model_of({"--profile", "intel-skylake-client"}), "l2=256K:4:64"));
    EXPECT_TRUE(says(model_of({"--profile", "none"}), "l2=256K:4:64"));
    EXPECT_TRUE(says(model_of({"--model", "zen4"}), "llc=32M:16:64"));
    EXPECT_EQ(model_of({"--model", "off"}), "off");
    EXPECT_EQ(model_of({"--clock", "live"}), "off");
}

TEST_F(CommandTest, GoesOnWithoutAModelThatNobodyAskedFor) {
    environment_["FAKE_PLUGIN"] = "-plugin: invalid option";
    EXPECT_EQ(run(fake_run("good")), 0) << err_;
    EXPECT_TRUE(says(err_, "the run goes on without the cache model")) << err_;
    EXPECT_TRUE(says(err_, "-plugin: invalid option")) << err_;
    Json manifest = Json::parse(content(folder_ / "out/manifest.json"));
    EXPECT_EQ(manifest["model"], "off");
    EXPECT_EQ(manifest["model_missing"], "fake QEMU: -plugin: invalid option");
    EXPECT_EQ(run(fake_run("good", {"--model", "on"})), 3) << "it was asked for";
}

TEST_F(CommandTest, NoImage) {
    EXPECT_EQ(run({"run", "--qemu", FAKE_QEMU, "--image", "gone.elf"}), 3);
    EXPECT_TRUE(says(err_, "there is no image at gone.elf"));
}

struct Fault {
    const char* fake;
    int status;
    const char* words;  ///< on stderr
    size_t series;      ///< that are kept
};

class FaultTest : public CommandTest, public testing::WithParamInterface<Fault> {};

TEST_P(FaultTest, IsReportedAndWhatArrivedIsKept) {
    EXPECT_EQ(run(fake_run(GetParam().fake, {"--timeout", "1"})), GetParam().status) << err_;
    EXPECT_TRUE(says(err_, GetParam().words)) << err_;
    harness::Run run = saved();
    EXPECT_FALSE(run.complete);
    EXPECT_EQ(run.series.size(), GetParam().series);
    EXPECT_EQ(run.failure.empty(), GetParam().status == 4);
    EXPECT_TRUE(says(out_, "INCOMPLETE")) << out_;
    EXPECT_NE(read_manifest(folder_ / "out")["status"], "complete");
}

INSTANTIATE_TEST_SUITE_P(Faults, FaultTest,
                         testing::Values(Fault{"lost", 4, "records lost: 1", 1},
                                         Fault{"cut", 4, "records lost: 1, damaged: 1", 2},
                                         Fault{"wrong-crc", 4, "records lost: 1, damaged: 1", 1},
                                         Fault{"no-end", 4, "records lost: 1", 2},
                                         Fault{"panic", 3, "#PF page fault", 1},
                                         Fault{"silent-end", 3, "could not load the kernel", 0},
                                         Fault{"killed", 3, "killed by signal 11", 1},
                                         Fault{"triple", 3, "triple fault", 1},
                                         Fault{"restart", 3, "started again", 1},
                                         Fault{"hang", 3, "no record for 1 s", 1},
                                         Fault{"nothing", 3, "before the first record", 0},
                                         Fault{"flood", 3, "no record for 1 s", 1},
                                         Fault{"endless-line", 3, "no record for 1 s", 1}),
                         [](const auto& info) {
                             std::string name = info.param.fake;
                             std::replace(name.begin(), name.end(), '-', '_');
                             return name;
                         });

TEST_F(CommandTest, ARepeatedRecordIsTakenOnce) {
    EXPECT_EQ(run(fake_run("repeated")), 0) << err_;
    EXPECT_TRUE(says(out_, "came twice"));
    EXPECT_EQ(saved().wire.repeated, 1u);
}

TEST_F(CommandTest, AMachineThatDoesNotExitIsKilled) {
    start(fake_run("stays-after-end"));
    pid_t machine = std::stoi(event().substr(8));
    EXPECT_EQ(finish(), 0) << err_;
    EXPECT_TRUE(gone(machine));
    EXPECT_TRUE(saved().complete);
}

TEST_F(CommandTest, AFloodDoesNotFillTheDisk) {
    EXPECT_EQ(run(fake_run("endless-line", {"--timeout", "2"})), 3);
    EXPECT_LT(fs::file_size(folder_ / "out/console.log"), 80u << 20);
}

TEST_F(CommandTest, APanicsAddressesGetNames) {
    // Any ELF with a symbol table works: use the command itself, and an address of its code.
    environment_["DOORBELL_IMAGE"] = FAKE_QEMU;
    FILE* nm = popen("nm " FAKE_QEMU " | grep ' T main$'", "r");
    char line[100] = {};
    ASSERT_NE(fgets(line, sizeof line, nm), nullptr) << "needs nm, of binutils";
    pclose(nm);
    environment_["FAKE_RIP"] = "0x" + std::string(line, 16);
    EXPECT_EQ(run(fake_run("panic")), 3);
    EXPECT_TRUE(says(err_, environment_["FAKE_RIP"] + " main at fake_qemu.cpp:")) << err_;
    EXPECT_TRUE(says(saved().panic["backtrace_lines"].dump(), "main"));
}

class SignalTest : public CommandTest, public testing::WithParamInterface<int> {};

TEST_P(SignalTest, SavesWhatArrivedAndEndsTheMachine) {
    start(fake_run("hang"));
    pid_t machine = std::stoi(event().substr(8));
    kill(pid_, GetParam());
    EXPECT_EQ(finish(), 128 + GetParam()) << err_;
    EXPECT_TRUE(gone(machine));
    harness::Run run = saved();
    EXPECT_FALSE(run.complete);
    EXPECT_TRUE(says(run.failure, "interrupted by SIG"));
    EXPECT_EQ(run.series.size(), 1u);
}

INSTANTIATE_TEST_SUITE_P(Signals, SignalTest,
                         testing::Values(SIGHUP, SIGINT, SIGPIPE, SIGQUIT, SIGTERM));

TEST_F(CommandTest, ASecondInterruptEndsAtOnce) {
    start(fake_run("deaf"));  // and so the first one takes its time
    pid_t machine = std::stoi(event().substr(8));
    kill(pid_, SIGINT);
    EXPECT_EQ(event(), "term");
    // A signal within a second of the first is not a second request: send it until one is.
    siginfo_t ended{};
    for (int i = 0; i < 300 && ended.si_pid == 0; ++i) {
        kill(pid_, SIGINT);
        usleep(20'000);
        waitid(P_PID, static_cast<id_t>(pid_), &ended, WEXITED | WNOHANG | WNOWAIT);
    }
    EXPECT_EQ(finish(), -SIGINT);
    EXPECT_TRUE(gone(machine));
}

TEST_F(CommandTest, ASignalThatTimeoutSendsTwiceLosesNothing) {
    start(fake_run("deaf"));
    pid_t machine = std::stoi(event().substr(8));
    kill(pid_, SIGTERM);
    EXPECT_EQ(event(), "term");
    kill(pid_, SIGTERM);
    EXPECT_EQ(finish(), 128 + SIGTERM);
    EXPECT_TRUE(gone(machine));
    EXPECT_EQ(saved().series.size(), 1u);
}

TEST_F(CommandTest, AMachineThatIgnoresSigtermIsKilled) {
    start(fake_run("deaf"));
    pid_t machine = std::stoi(event().substr(8));
    kill(pid_, SIGTERM);
    EXPECT_EQ(finish(), 128 + SIGTERM);
    EXPECT_TRUE(gone(machine));
    EXPECT_EQ(saved().series.size(), 1u);
}

TEST_F(CommandTest, TheMachineDiesWithAKilledCommand) {
    start(fake_run("hang"));
    pid_t machine = std::stoi(event().substr(8));
    kill(pid_, SIGKILL);
    EXPECT_EQ(finish(), -SIGKILL);
    EXPECT_TRUE(gone(machine));
    EXPECT_EQ(read_manifest(folder_ / "out")["status"], "running");
}

TEST_F(CommandTest, AFolderThatCannotBeMadeIsReportedBeforeTheStart) {
    EXPECT_EQ(run({"run", "--qemu", FAKE_QEMU, "--out", "image.elf/below"}), 2);
    EXPECT_TRUE(says(err_, "cannot make the run's folder image.elf/below: Not a directory"))
        << err_;
    EXPECT_EQ(run({"run", "--qemu", FAKE_QEMU, "--out", "image.elf"}), 2);
}

TEST_F(CommandTest, AFolderOfOtherFilesIsLeftAlone) {
    EXPECT_EQ(run({"run", "--qemu", FAKE_QEMU, "--out", "."}), 2);
    EXPECT_TRUE(says(err_, "holds files that are not a run's")) << err_;
    EXPECT_TRUE(fs::exists(folder_ / "image.elf"));
}

TEST_F(CommandTest, ARunFolderIsUsedAgain) {
    EXPECT_EQ(run(fake_run("good")), 0);
    EXPECT_EQ(run(fake_run("nothing", {"--timeout", "1"})), 3);
    EXPECT_TRUE(saved().series.empty()) << "no old series under a new run";
}

TEST_F(CommandTest, AFullDiskIsReportedAndTheTableStillPrinted) {
    // Files end at 8,000 bytes: the manifest fits, the results do not, here or elsewhere.
    largest_file_ = 8000;
    environment_["TMPDIR"] = folder_;
    EXPECT_EQ(run(fake_run("large")), 3) << err_;
    EXPECT_TRUE(says(err_, "cannot write out/results.json: File too large")) << err_;
    EXPECT_TRUE(says(err_, "cannot write out/console.log: File too large")) << err_;
    EXPECT_TRUE(says(out_, "source=lapic")) << out_;
    EXPECT_FALSE(fs::exists(folder_ / "out/results.json")) << "no half a file";
    for (const auto& entry : fs::directory_iterator(folder_ / "out"))
        EXPECT_FALSE(says(entry.path(), ".part"));
}

TEST_F(CommandTest, ADiskThatIsFullAtTheStartStartsNothing) {
    largest_file_ = 500;
    EXPECT_EQ(run(fake_run("good")), 3) << err_;
    EXPECT_TRUE(says(err_, "nothing was started")) << err_;
}

struct Mistake {
    std::vector<std::string> words;
    const char* says;
};

TEST_F(CommandTest, WrongWordsNameTheNearestRightOne) {
    const Mistake mistakes[] = {
        {{"rnu"}, "did you mean \"run\""},
        {{"run", "tiemr"}, "did you mean \"timer\""},
        {{"run", "timer:wiat=irq"}, "did you mean \"wait\""},
        {{"run", "timer:wait=irk"}, "did you mean \"irq\""},
        {{"run", "--clock", "exakt"}, "did you mean \"exact\""},
        {{"run", "--machine", "q53"}, "did you mean \"q35\""},
        {{"run", "--sample", "5"}, "did you mean \"--samples\""},
        {{"run", "--samples", "many"}, "\"many\" is not a whole number from 1"},
        {{"run", "--samples", "0"}, "\"0\" is not a whole number from 1"},
        {{"run", "--set", "spacing=x"}, "\"x\" is not a whole number"},
        {{"run", "--accel", "kvm"}, "--clock live"},
        {{"run", "--fault", "tripel"}, "did you mean \"triple\""},
        {{"run", "--timeout"}, "--timeout"},
        {{"list", "timr"}, "did you mean \"timer\""},
        {{"attach"}, "it takes one device"},
        {{"attach", "-", "--baud", "115201"}, "did you mean \"115200\""},
        {{"image", "--exit", "hold"}, "did you mean \"halt\""},
        {{"image", "--image", "image.elf", "--out", "/nowhere/doorbell.iso"},
         "cannot write /nowhere/doorbell.iso: No such file or directory"},
        {{"doctor", "now"}, "no words"},
    };
    for (const Mistake& mistake : mistakes) {
        EXPECT_EQ(run(mistake.words), 2) << mistake.says;
        EXPECT_TRUE(says(err_, mistake.says)) << err_;
        EXPECT_EQ(std::count(err_.begin(), err_.end(), '\n'), 1) << err_;
    }
    EXPECT_EQ(run({}), 2);
}

TEST_F(CommandTest, AttachReadsARecordedConsole) {
    ASSERT_EQ(run(fake_run("good")), 0);
    harness::Run first = saved();
    EXPECT_EQ(run({"attach", "out/console.log", "--out", "again"}), 0) << err_;
    EXPECT_TRUE(fs::exists(folder_ / "again/report.html"))
        << "a run from a machine has its page like any other";
    EXPECT_TRUE(says(out_, "report: again/report.html")) << out_;
    EXPECT_EQ(read_run(folder_ / "again").digest, first.digest);
    input_ = folder_ / "out/console.log";
    EXPECT_EQ(run({"attach", "-", "--out", "third", "--json"}), 0) << err_;
    EXPECT_EQ(Json::parse(out_)["digest"], first.digest);
}

TEST_F(CommandTest, AttachListensToAPty) {
    ASSERT_EQ(run(fake_run("good")), 0);
    std::string lines = content(folder_ / "out/console.log");
    int machine = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    ASSERT_GE(machine, 0);
    grantpt(machine);
    unlockpt(machine);
    start({"attach", ptsname(machine), "--out", "again"});
    for (size_t at = 0; at < lines.size();) {
        ssize_t done = write(machine, lines.data() + at, std::min<size_t>(lines.size() - at, 100));
        ASSERT_GT(done, 0);
        at += static_cast<size_t>(done);
    }
    EXPECT_EQ(finish(), 0) << err_;
    EXPECT_TRUE(read_run(folder_ / "again").complete);
    close(machine);
}

TEST_F(CommandTest, AttachWithoutAnEndIsAFailure) {
    EXPECT_EQ(run({"attach", "-", "--out", "again"}), 3);
    EXPECT_TRUE(says(err_, "the line ended before the first record")) << err_;
    EXPECT_EQ(run({"attach", "/nowhere/tty"}), 3);
}

TEST_F(CommandTest, ListAndDoctorSpeakJson) {
    ASSERT_EQ(run({"list", "--json"}), 0);
    Json labs = Json::parse(out_);
    EXPECT_GE(labs.size(), 2u);
    EXPECT_TRUE(labs[0].contains("question"));
    ASSERT_EQ(run({"doctor", "--json", "--qemu", FAKE_QEMU}), 0);
    EXPECT_GE(Json::parse(out_)["findings"].size(), 8u);
    for (const char* command : {"list", "doctor"}) {
        ASSERT_EQ(run({command}), 0);
        std::istringstream lines(out_);
        for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 100u) << line;
    }
}

}  // namespace
}  // namespace doorbell::harness
