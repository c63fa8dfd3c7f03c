// Bochs: a machine whose CPUID promises a PMU that does not count. Its processor raises #GP on the
// registers, or accepts writes and forgets them. The image must survive the former and detect the
// latter. It is also the only machine here with an x2APIC, PCID and a MWAIT that waits. The tests
// use no times of Bochs: it counts instructions, too.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <vector>

#include "tests/image/run.h"

namespace doorbell::test {
namespace {

/// Where Bochs is installed: "" is this system. DOORBELL_BOCHS_ROOT names the root folder of
/// another Debian, whose Bochs then runs by that Debian's own loader and libraries.
std::string bochs_root() {
    const char* root = getenv("DOORBELL_BOCHS_ROOT");
    return root == nullptr ? "" : root;
}
constexpr const char* libraries = "/usr/lib/x86_64-linux-gnu";

/// Executes Bochs with these arguments. It bypasses Debian's wrapper script, which would have to be
/// ended as well.
[[noreturn]] void become_bochs(std::vector<std::string> arguments) {
    std::string root = bochs_root();
    std::vector<std::string> words{"bochs-bin"};
    if (!root.empty()) {
        setenv("LTDL_LIBRARY_PATH", (root + libraries + "/bochs/plugins").c_str(), 1);
        setenv("BXSHARE", (root + "/usr/share/bochs").c_str(), 1);
        words = {root + "/lib64/ld-linux-x86-64.so.2", "--library-path", root + libraries,
                 root + "/usr/bin/bochs-bin"};
    }
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    execvp(argv[0], argv.data());
    _exit(127);
}

/// The output of `bochs --help cpu`: its version and the models it knows.
std::string models() {
    static const std::string text = [] {
        Scratch scratch;
        std::string file = (scratch / "models").string();
        pid_t child = fork();
        if (child == 0) {
            int to = open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
            for (int fd : {1, 2}) dup2(to, fd);
            become_bochs({"--help", "cpu"});
        }
        waitpid(child, nullptr, 0);
        return content(file);
    }();
    return text;
}

constexpr const char* usual_model = "corei7_skylake_x";

/// `ignore`: a missing MSR accepts writes and reads 0, instead of raising #GP.
std::string configuration(const std::string& model, bool ignore) {
    return R"(config_interface: textconfig
display_library: term
memory: guest=256, host=256
romimage: file=)" +
           bochs_root() + R"(/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=)" +
           bochs_root() + R"(/usr/share/vgabios/vgabios.bin
cpu: model=)" +
           model + ", count=1, ips=50000000, reset_on_triple_fault=0, ignore_bad_msrs=" +
           (ignore ? "1" : "0");
}
constexpr const char* devices = R"(
clock: sync=none, time0=utc
boot: cdrom
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=cdrom, path=doorbell.iso, status=inserted
com1: enabled=1, mode=file, dev=serial.txt
log: bochs.log
panic: action=fatal
)";

/// Bochs in `scratch`, on a terminal of its own, gone with this object.
class Machine {
  public:
    explicit Machine(const Scratch& scratch) {
        terminal_ = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
        grantpt(terminal_);
        unlockpt(terminal_);
        std::string screen = ptsname(terminal_), folder = (scratch / "").string();
        pid_t parent = getpid();
        child_ = fork();
        if (child_ != 0) return;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent || chdir(folder.c_str()) != 0) _exit(126);
        setsid();
        int file = open(screen.c_str(), O_RDWR);
        for (int to : {0, 1, 2}) dup2(file, to);
        setenv("TERM", "linux", 1);
        become_bochs({"-q", "-f", "bochsrc", "-rc", "commands"});
    }
    ~Machine() {
        if (child_ > 0) kill(child_, SIGKILL);
        if (child_ > 0) waitpid(child_, nullptr, 0);
        if (terminal_ >= 0) close(terminal_);
    }
    Machine(const Machine&) = delete;

    /// Lets it run until its serial line has a record that ends a run; false: it ended before, or
    /// the time was over.
    bool run_to_the_end(const fs::path& serial, std::chrono::seconds most) {
        auto until = std::chrono::steady_clock::now() + most;
        while (std::chrono::steady_clock::now() < until) {
            std::string wire = content(serial);
            for (const char* last : {"\"t\":\"end\"", "\"t\":\"panic\""})
                if (size_t at = wire.find(last);
                    at != wire.npos && wire.find('\n', at) != wire.npos)
                    return true;
            // Read the screen, or Bochs blocks; reading also paces the checks of the file.
            pollfd screen{terminal_, POLLIN, 0};
            char bytes[4096];
            if (poll(&screen, 1, 200) > 0) (void)!read(terminal_, bytes, sizeof bytes);
            if (waitpid(child_, nullptr, WNOHANG) == child_) {
                child_ = -1;
                return false;
            }
        }
        return false;
    }

  private:
    pid_t child_ = -1;
    int terminal_ = -1;
};

class Bochs : public testing::Test {
  protected:
    /// Boots an ISO that runs `labs` and collects its wire. `ignore`: a missing MSR accepts writes
    /// and reads 0, instead of raising #GP. `status`: the expected status of the collection.
    Json run(const std::string& labs, bool ignore, const std::string& model = usual_model,
             int status = 0) {
        std::ofstream(scratch / "bochsrc") << configuration(model, ignore) << devices;
        // Debian's Bochs first stops in its debugger, and never exits: the end record ends it.
        std::ofstream(scratch / "commands") << "continue\n";
        Outcome image = shell(
            scratch, DOORBELL_COMMAND " image --labs " + labs + " --samples 20 --out doorbell.iso");
        EXPECT_EQ(image.status, 0) << image.err;
        {
            Machine machine(scratch);
            EXPECT_TRUE(machine.run_to_the_end(scratch / "serial.txt", std::chrono::seconds(300)))
                << content(scratch / "serial.txt")
                << content(scratch / "bochs.log").substr(0, 4000);
        }
        Outcome attached = shell(scratch, DOORBELL_COMMAND " attach - --out run <serial.txt");
        EXPECT_EQ(attached.status, status) << attached.err;
        table = attached.out;
        Json all = results(scratch);
        EXPECT_TRUE(all.at("complete").get<bool>());
        return all;
    }
    void expect_no_pmu(const Json& all, const char* reason) {
        EXPECT_EQ(all.at("instrument").at("counters"), "none");
        EXPECT_EQ(all.at("instrument").at("counters_because"),
                  std::string("advertised but does not count: ") + reason);
        EXPECT_NE(table.find("counters: none, advertised but does not count"), std::string::npos)
            << table;
        EXPECT_FALSE(all.at("series").empty());
        for (const Json& s : all.at("series")) EXPECT_TRUE(s.at("counters").empty());
    }
    Scratch scratch;
    std::string table;
};

TEST_F(Bochs, ThePmuIsAdvertisedAndItsRegistersFault) {
    expect_no_pmu(run("clock:clock=rdtsc", false), "its registers raise #GP");
}

TEST_F(Bochs, ThePmuIsAdvertisedAndItsRegistersForget) {
    expect_no_pmu(run("clock:clock=rdtsc", true),
                  "a performance monitoring register did not take what was written");
}

// What QEMU's emulation lacks: the x2APIC, PCID, and a MWAIT that a store or an interrupt ends.
TEST_F(Bochs, X2apicPcidAndMwaitWork) {
    Json all =
        run("timer:source=lapic syscall:gate=syscall,space=other-pcid "
            "switch:state=registers,space=other-pcid",
            true);
    EXPECT_EQ(all.at("machine").at("apic"), "x2apic");
    for (const char* wait : {"poll", "irq", "irq-halt", "mwait"}) {
        Json latency = series(all, "timer", {{"source", "lapic"}, {"wait", wait}}, "latency");
        ASSERT_FALSE(latency.is_null()) << wait;
        EXPECT_EQ(latency.at("count"), 20);
    }
    for (const char* lab : {"syscall", "switch"}) {
        Json test_case = std::string(lab) == "syscall"
                             ? Json{{"gate", "syscall"}, {"space", "other-pcid"}}
                             : Json{{"state", "registers"}, {"space", "other-pcid"}};
        EXPECT_FALSE(series(all, lab, test_case, "cost").is_null()) << lab;
    }
}

// Bochs never clears the deadline register: without the trial in front, a poll of it would wait
// forever.
TEST_F(Bochs, ADeadlineThatNeverReportsAsPassedIsAFailedCase) {
    Json all = run("timer:source=tsc-deadline", true, usual_model, 1);
    std::string reason =
        reason_of(all, "timer", {{"source", "tsc-deadline"}, {"wait", "poll"}}, "failed");
    EXPECT_NE(reason.find("does not say that its deadline has passed"), std::string::npos)
        << all.at("failed").dump() << all.at("skipped").dump();
    EXPECT_FALSE(
        series(all, "timer", {{"source", "tsc-deadline"}, {"wait", "irq"}}, "latency").is_null());
}

/// These models differ in vendor, APIC, PCID, the PMU's version and the CPUID leaves about the TSC.
class BochsModel : public Bochs, public testing::WithParamInterface<const char*> {};

TEST_P(BochsModel, NoSeriesIsMeasured) {
    if (models().find(GetParam()) == std::string::npos)
        GTEST_SKIP() << "this Bochs does not know cpu model " << GetParam()
                     << "; Debian 13's Bochs 3.0 does: set DOORBELL_BOCHS_ROOT to the root folder "
                        "of a Debian 13 that has it";
    Json all = run("clock:clock=rdtsc syscall:space=same", true, GetParam());
    const Json& instrument = all.at("instrument");
    // Where each instruction is exactly one tick, the clock is rightly called exact.
    bool exact = instrument.at("thousand_nops") == 1000 && instrument.at("verdict") == "exact";
    const char* evidence = exact ? "exact" : "rough";
    EXPECT_EQ(instrument.at("evidence"), evidence) << instrument.dump();
    EXPECT_EQ(instrument.at("verdict"), exact ? "exact" : "medians") << instrument.dump();
    EXPECT_NE(instrument.at("because").get<std::string>().find(exact ? "counts" : "emulator"),
              std::string::npos)
        << instrument.dump();
    EXPECT_FALSE(all.at("series").empty());
    for (const Json& s : all.at("series")) EXPECT_EQ(s.at("evidence"), evidence) << s.dump();
    EXPECT_FALSE(all.at("claims").empty());
    for (const Json& claim : all.at("claims"))
        EXPECT_EQ(claim.at("because").get<std::string>().find("(measured)"), std::string::npos)
            << claim.dump();
    // The TSC's rate is the one on which two timers agree, whatever CPUID promises: 50 MHz, Bochs'
    // `ips`.
    EXPECT_GE(all.at("machine").at("tsc_sources_agree").get<int>(), 2) << all.at("machine").dump();
    EXPECT_NEAR(all.at("machine").at("tsc_hz").get<double>(), 50e6, 50e3)
        << all.at("machine").dump();
}

INSTANTIATE_TEST_SUITE_P(Models, BochsModel,
                         testing::Values("corei7_haswell_4770", "ryzen", "corei7_skylake_x",
                                         "arrow_lake"),
                         [](const auto& model) { return std::string(model.param); });

}  // namespace
}  // namespace doorbell::test
