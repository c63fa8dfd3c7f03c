// Conditions from the field: unusual captures, paths, streams, limits and clocks. One test for each
// kind of fault.
#include <sched.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <zlib.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "harness/system/escape.h"
#include "tests/harness/command_fixture.h"
#include "tests/harness/wire_lines.h"

namespace doorbell::harness {
namespace {

/// A run whose third sample is `last`, so that two runs differ.
std::string whole_run(unsigned last = 9) {
    Lines lines;
    lines.add(R"({"t":"hello","wire":"doorbell-wire/1"})").series(0, "source=lapic wait=irq", last);
    return lines.end().text();
}

std::string packed(const std::string& text) {
    std::string gzip(text.size() + 100, '\0');
    z_stream z{};
    EXPECT_EQ(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
    z.avail_in = static_cast<unsigned>(text.size());
    z.next_out = reinterpret_cast<Bytef*>(gzip.data());
    z.avail_out = static_cast<unsigned>(gzip.size());
    EXPECT_EQ(deflate(&z, Z_FINISH), Z_STREAM_END);
    gzip.resize(z.total_out);
    deflateEnd(&z);
    return gzip;
}

class FieldTest : public CommandTest {
  protected:
    void put(const std::string& name, const std::string& text) {
        std::ofstream(folder_ / name, std::ios::binary) << text;
    }
    /// Attaches to a file with this content and returns the saved run.
    harness::Run attached(const std::string& text, int status = 0,
                          std::vector<std::string> more = {}) {
        put("capture", text);
        more.insert(more.begin(), {"attach", "capture", "--out", "again"});
        EXPECT_EQ(run(more), status) << err_;
        return read_run(folder_ / "again");
    }
    size_t lines_of_errors() const {
        return static_cast<size_t>(std::count(err_.begin(), err_.end(), '\n'));
    }
    /// The runs under results/, by name.
    std::vector<std::string> kept() {
        std::vector<std::string> names;
        for (const auto& entry : fs::directory_iterator(folder_ / "results"))
            if (!entry.is_symlink()) names.push_back(entry.path().filename());
        std::sort(names.begin(), names.end());
        return names;
    }
    std::string latest() { return fs::read_symlink(folder_ / "results/latest"); }
};

TEST_F(FieldTest, PackedCapturesAreRead) {
    std::string gzip = packed(whole_run());
    std::string digest = attached(whole_run()).digest;
    EXPECT_EQ(attached(gzip).digest, digest);
    EXPECT_EQ(content(folder_ / "again/console.log"), whole_run());
    std::string halves = whole_run();
    EXPECT_EQ(attached(packed(halves.substr(0, 99)) + packed(halves.substr(99))).digest, digest);
    input_ = folder_ / "capture";
    EXPECT_EQ(run({"attach", "-", "--out", "again"}), 0) << err_;
    attached(gzip.substr(0, gzip.size() / 2), 3);
    EXPECT_TRUE(says(err_, "its gzip data ends in the middle")) << err_;
    attached(std::string("\xfd"
                         "7zXZ\0\0\4",
                         8) +
                 "more",
             3);
    EXPECT_TRUE(says(err_, "looks like xz: xz -dc FILE | doorbell attach -")) << err_;
}

TEST_F(FieldTest, ACaptureOfBrokenRecordsSaysWhatItLooksLike) {
    std::string text = whole_run();
    for (size_t at = 0; (at = text.find('"', at)) != text.npos;) text.replace(at, 1, "&quot;");
    attached(text, 3);
    EXPECT_TRUE(says(err_, "4 lines look like records")) << err_;
    EXPECT_TRUE(says(err_, "it looks like HTML")) << err_;
}

TEST_F(FieldTest, EachOfSeveralRunsCanBeChosen) {
    Lines aborted;
    aborted.add(R"({"t":"hello","wire":"doorbell-wire/1"})").series(0, "wait=poll");
    std::string all = aborted.text() + "BIOS says hi\n" + whole_run(11) + whole_run(12);
    EXPECT_EQ(attached(all).series.at(0).max, 12u);
    EXPECT_TRUE(says(err_, "the line held 3 runs, 2 complete")) << err_;
    EXPECT_EQ(attached(all, 0, {"--which", "2"}).series.at(0).max, 11u);
    harness::Run first = attached(all, 3, {"--which", "1"});
    EXPECT_EQ(first.series.at(0).test_case["wait"], "poll");
    EXPECT_TRUE(says(first.failure, "started again")) << first.failure;
    EXPECT_EQ(attached(all, 2, {"--which", "4"}).series.at(0).max, 12u) << "nothing is lost";
    EXPECT_TRUE(says(err_, "--which 4: the line held 3 runs")) << err_;
    EXPECT_EQ(attached(whole_run(11) + aborted.text()).series.at(0).max, 11u)
        << "a complete run is not spoilt by what follows";
}

TEST_F(FieldTest, APipeAndALineGiveWhatTheFileGives) {
    std::string all = whole_run(11) + whole_run(12);
    ASSERT_EQ(mkfifo((folder_ / "pipe").c_str(), 0600), 0);
    start({"attach", "pipe", "--out", "by-pipe"});
    int pipe = open((folder_ / "pipe").c_str(), O_WRONLY | O_CLOEXEC);
    for (size_t at = 0; at < all.size(); at += 37) {
        std::string part = all.substr(at, 37);
        ASSERT_EQ(write(pipe, part.data(), part.size()), static_cast<ssize_t>(part.size()));
    }
    close(pipe);
    EXPECT_EQ(finish(), 0) << err_;
    EXPECT_EQ(read_run(folder_ / "by-pipe").series.at(0).max, 12u);

    int machine = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    grantpt(machine);
    unlockpt(machine);
    start({"attach", ptsname(machine), "--out", "by-line"});
    // The command makes the terminal raw first: until then it would echo.
    for (termios settings{}; tcgetattr(machine, &settings) == 0 && (settings.c_lflag & ECHO) != 0;)
        sched_yield();
    for (size_t at = 0; at < all.size();) {
        ssize_t done = write(machine, all.data() + at, std::min<size_t>(all.size() - at, 100));
        ASSERT_GT(done, 0);
        at += static_cast<size_t>(done);
    }
    EXPECT_EQ(finish(), 0) << err_;
    EXPECT_EQ(read_run(folder_ / "by-line").series.at(0).max, 12u);
    close(machine);
}

TEST_F(FieldTest, ASignalSavesWhatALineSent) {
    ASSERT_EQ(mkfifo((folder_ / "pipe").c_str(), 0600), 0);
    std::string half = whole_run().substr(0, whole_run().find("@3"));
    for (int number : {SIGHUP, SIGINT, SIGPIPE, SIGQUIT, SIGTERM}) {
        start({"attach", "pipe", "--out", "again"});
        int pipe = open((folder_ / "pipe").c_str(), O_WRONLY | O_CLOEXEC);
        ASSERT_EQ(write(pipe, half.data(), half.size()), static_cast<ssize_t>(half.size()));
        for (int unread = 1; unread != 0;) {
            ASSERT_EQ(ioctl(pipe, FIONREAD, &unread), 0);
            sched_yield();
        }
        kill(pid_, number);
        EXPECT_EQ(finish(), 128 + number) << err_;
        EXPECT_EQ(read_run(folder_ / "again").series.size(), 1u);
        EXPECT_NE(read_manifest(folder_ / "again")["status"], "running");
        close(pipe);
    }
}

TEST_F(FieldTest, AStandardOutputThatFailsIsAFailure) {
    ASSERT_EQ(run(fake_run("good")), 0) << err_;
    const std::vector<std::string> all[] = {{"list"},
                                            {"list", "--json"},
                                            {"--help"},
                                            {"--version"},
                                            {"run", "--help"},
                                            {"doctor", "--json", "--qemu", FAKE_QEMU},
                                            {"compare", "out", "out", "--all"},
                                            {"report", "out", "--out", "-"},
                                            {"export", "out", "--format", "csv"},
                                            {"reproduce", "out", "--with", "out", "--json"},
                                            {"attach", "out/console.log", "--out", "again"}};
    for (const auto& words : all) {
        output_ = "/dev/full";
        EXPECT_EQ(run(words), 3) << words[0];
        EXPECT_TRUE(says(err_, "cannot write to standard output: No space left on device")) << err_;
        EXPECT_EQ(lines_of_errors(), 1u) << err_;
        closed_ = {1};
        EXPECT_EQ(run(words), 3) << words[0];
        EXPECT_TRUE(says(err_, "standard output: Bad file descriptor")) << err_;
        closed_ = {0, 1, 2};
        EXPECT_EQ(run(words), 3) << words[0];
        closed_ = {};
        output_ = "stdout";
        EXPECT_EQ(run(words), 0) << words[0] << err_;
    }
}

TEST_F(FieldTest, FilesStayWholeWithoutStandardStreams) {
    closed_ = {0, 1, 2};
    EXPECT_EQ(run(fake_run("good")), 3) << "the table had nowhere to go";
    EXPECT_TRUE(saved().complete);
    EXPECT_EQ(content(folder_ / "out/console.log").substr(0, 8), "firmware");
    EXPECT_EQ(run(fake_run("good", {"--quiet"})), 0) << "with nothing to say nothing fails";
    EXPECT_EQ(run({"rnu"}), 2);
}

TEST_F(FieldTest, PathsOfAnyBytesAreKept) {
    std::string odd = "caf\xe9 \\x41";
    fs::create_directory(folder_ / odd);
    fs::copy(folder_ / "image.elf", folder_ / odd / "image.elf");
    fs::create_symlink(FAKE_QEMU, folder_ / odd / "qemu");
    ASSERT_EQ(run({"run", "--image", odd + "/image.elf", "--qemu", "./" + odd + "/qemu", "--out",
                   odd + "/run"}),
              0)
        << err_;
    Json manifest = read_manifest(folder_ / odd / "run");
    std::string image = manifest["image"]["path"];
    EXPECT_TRUE(says(image, "caf\\xe9 \\\\x41")) << image;
    EXPECT_TRUE(fs::equivalent(path_from_text(image), folder_ / odd / "image.elf"));
    ASSERT_EQ(run({"reproduce", odd + "/run", "--json"}), 0) << err_;
    EXPECT_EQ(Json::parse(out_)["reproduced"], true);
    ASSERT_EQ(run({"attach", odd + "/run/console.log", "--out", odd + "/again"}), 0) << err_;
    ASSERT_EQ(run({"export", odd, "--format", "junit"}), 2);
    EXPECT_TRUE(says(err_, "caf\\xe9")) << err_;
    fs::rename(folder_ / odd / "again", folder_ / "\xff<run>");
    ASSERT_EQ(run({"export", "\xff<run>", "--format", "junit"}), 0) << err_;
    EXPECT_TRUE(says(out_, "name=\"\\xff&lt;run&gt;\"")) << out_;
}

TEST_F(FieldTest, AManifestHoldsAbsolutePaths) {
    fs::create_directory(folder_ / "elsewhere");
    fs::create_symlink(FAKE_QEMU, folder_ / "qemu");
    ASSERT_EQ(run({"run", "--qemu", "./qemu", "--image", "image.elf", "--out", "out"}), 0) << err_;
    Json manifest = read_manifest(folder_ / "out");
    for (const Json& path :
         {manifest["qemu"]["path"], manifest["qemu"]["command"][0], manifest["image"]["path"]})
        EXPECT_TRUE(fs::path(path.get<std::string>()).is_absolute()) << path;
    fs::path out = folder_ / "out";
    environment_.erase("DOORBELL_IMAGE");
    folder_ /= "elsewhere";
    EXPECT_EQ(run({"reproduce", out, "--out", "second"}), 0) << err_;
    EXPECT_EQ(err_, "") << "nothing differs";
    folder_ = folder_.parent_path();
}

TEST_F(FieldTest, LinesFitTheTerminal) {
    ASSERT_EQ(run(fake_run("good")), 0) << err_;
    const std::vector<std::string> all[] = {{"list"},
                                            {"--help"},
                                            {"run", "--help"},
                                            {"doctor", "--qemu", FAKE_QEMU},
                                            {"attach", "out/console.log", "--out", "again"}};
    for (const char* columns : {"60", "80", "500", "20"})
        for (const auto& words : all) {
            environment_["COLUMNS"] = columns;
            size_t most = std::clamp<size_t>(std::stoul(columns), 60, 100);
            ASSERT_EQ(run(words), 0) << err_;
            std::istringstream lines(out_);
            for (std::string line; std::getline(lines, line);)
                EXPECT_TRUE(line.size() <= most || line.find(' ', 30) == line.npos)
                    << columns << ": " << line;
        }
}

TEST_F(FieldTest, LimitsOfTheProcessAreNamed) {
    most_files_ = 12;
    EXPECT_EQ(run(fake_run("good")), 3);
    EXPECT_TRUE(says(err_, "may open only 12 files")) << err_;
    EXPECT_FALSE(says(err_, "install")) << err_;
    EXPECT_EQ(lines_of_errors(), 1u) << err_;
    put("capture", whole_run());
    EXPECT_EQ(run({"attach", "capture"}), 3);
    EXPECT_TRUE(says(err_, "ulimit -n")) << err_;
    most_files_ = 0;
    environment_["TMPDIR"] = "/nowhere/tmp";
    EXPECT_EQ(run({"image", "--image", "image.elf", "--out", "medium.iso"}), 3);
    EXPECT_TRUE(says(err_, "TMPDIR is /nowhere/tmp, which is not a folder")) << err_;
    EXPECT_EQ(lines_of_errors(), 1u) << err_;
}

TEST_F(FieldTest, TheWireDoesNotWriteToTheTerminal) {
    std::string evil = R"(\u001b]0;owned\u0007\r\nholds: forged\u009b2J\u202e)";
    Lines lines;
    lines.add(R"({"t":"hello","wire":"doorbell-wire/1"})")
        .add(R"({"t":"machine","cpu":")" + evil + "\"}")
        .add(R"({"t":"flag","text":")" + evil + "\"}")
        .series(0, "wait=" + evil, 9, R"("flags":[")" + evil + "\"]")
        .add(R"({"t":"skip","lab":")" + evil + R"(","case":"","reason":")" + evil + "\"}")
        .add(R"({"t":"claim","lab":"timer","text":")" + evil + R"(","holds":false})")
        .add(R"({"t":"error","text":")" + evil + "\"}")
        .add(R"({"t":"panic","name":")" + evil + "\"}");
    attached(lines.text(), 3);
    std::string said = out_ + err_;
    fs::rename(folder_ / "again", folder_ / "first\x1b[2J");
    for (const auto& words :
         std::vector<std::vector<std::string>>{{"compare", "first\x1b[2J", "first\x1b[2J", "--all"},
                                               {"quiz", "--run", "first\x1b[2J"},
                                               {"report", "first\x1b[2J"},
                                               {"attach", "no\nsuch\x1b[2J"},
                                               {"no\x1b[2J"}}) {
        run(words);
        said += out_ + err_;
    }
    EXPECT_TRUE(says(said, "\\x1b]0;owned")) << said;
    for (char c : said) EXPECT_TRUE(c == '\n' || (c >= ' ' && c <= '~')) << int(c);
    EXPECT_FALSE(says(said, "\nholds: forged")) << "a text cannot begin a line of its own";
}

TEST_F(FieldTest, KeepGoesByTheOrderOfStarts) {
    environment_["FAKE"] = "good";
    std::vector<std::string> words{"run", "--qemu", FAKE_QEMU, "--keep", "1"};
    // The clock was ahead and was set back: with runs of an older Doorbell and of this one.
    for (const char* name : {"20990101T000000Z-exact-q35", "20990101T000001Z-exact-q35"}) {
        fs::create_directories(folder_ / "results" / name);
        Json manifest = {{"schema", "doorbell-manifest/1"}, {"time", "20990101T000000Z"}};
        if (std::string(name).find("1Z") != std::string::npos) manifest["sequence"] = 7;
        put(std::string("results/") + name + "/manifest.json", manifest.dump());
    }
    fs::create_directories(folder_ / "results/20990101T000002Z-exact-q35");
    put("results/20990101T000002Z-exact-q35/thesis.txt", "mine");
    ASSERT_EQ(run(words), 0) << err_;
    ASSERT_EQ(kept().size(), 2u);
    EXPECT_EQ(kept()[0], latest());
    EXPECT_EQ(kept()[1], "20990101T000002Z-exact-q35");
    EXPECT_EQ(read_manifest(folder_ / "results/latest")["sequence"], 8);
    std::string first = latest();
    ASSERT_EQ(run(words), 0) << err_;
    EXPECT_NE(latest(), first);
    EXPECT_EQ(kept().size(), 2u);
    EXPECT_TRUE(read_run(folder_ / "results/latest").complete);
}

TEST_F(FieldTest, KeepLeavesARunThatIsGoing) {
    environment_["FAKE"] = "hang";
    start({"run", "--qemu", FAKE_QEMU});
    pid_t going = pid_;
    event();
    std::string name = kept().at(0);
    environment_["FAKE"] = "good";
    ASSERT_EQ(run({"run", "--qemu", FAKE_QEMU, "--keep", "1"}), 0) << err_;
    EXPECT_EQ(kept().size(), 2u) << "the one that is going stays";
    EXPECT_EQ(run({"run", "--qemu", FAKE_QEMU, "--out", "results/" + name}), 2);
    EXPECT_TRUE(says(err_, "another run is still writing into it")) << err_;
    pid_ = going;
    kill(pid_, SIGINT);
    EXPECT_EQ(finish(), 128 + SIGINT);
    EXPECT_EQ(read_run(folder_ / "results" / name).series.size(), 1u);
    ASSERT_EQ(run({"run", "--qemu", FAKE_QEMU, "--keep", "1"}), 0) << err_;
    EXPECT_EQ(kept(), std::vector<std::string>{latest()}) << "then it may go";
}

}  // namespace
}  // namespace doorbell::harness
