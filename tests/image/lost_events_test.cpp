// Events that stop coming in the middle of a case: the waits of every lab end, and the case fails
// without figures. What keeps the events away is a patch of the image's memory, through QEMU's
// debugger stub: the handler runs and does not say so, or raises no signal.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <fstream>
#include <functional>
#include <thread>

#include "tests/image/run.h"

namespace doorbell::test {
namespace {

/// A stream socket of QEMU's.
class Line {
  public:
    explicit Line(const fs::path& at) : fd_(socket(AF_UNIX, SOCK_STREAM, 0)) {
        sockaddr_un to{};
        to.sun_family = AF_UNIX;
        std::strncpy(to.sun_path, at.c_str(), sizeof to.sun_path - 1);
        if (connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0)
            ADD_FAILURE() << at << ": " << std::strerror(errno);
    }
    ~Line() { close(fd_); }
    Line(const Line&) = delete;
    void say(const std::string& text) {
        EXPECT_EQ(write(fd_, text.data(), text.size()), static_cast<ssize_t>(text.size()));
    }
    /// What comes until `enough` holds of it.
    std::string hear(const std::function<bool(const std::string&)>& enough) {
        std::string heard;
        char buffer[512];
        for (ssize_t n; !enough(heard) && (n = read(fd_, buffer, sizeof buffer)) > 0;)
            heard.append(buffer, static_cast<size_t>(n));
        return heard;
    }

  private:
    int fd_;
};

/// A run that is meddled with while its samples are taken.
class Meddling {
  public:
    /// Calls `meddle` once the case has begun and its samples are being taken.
    Outcome run(const std::string& words, const std::function<void()>& meddle) {
        std::atomic<bool> over{false};
        Outcome outcome;
        std::thread runner([&] {
            outcome = doorbell_run(
                scratch,
                words + " --timeout 300" +
                    qemu_with(scratch, "-gdb unix:" + debugger().string() + ",server=on,wait=off"));
            over = true;
        });
        while (!over &&
               content(scratch / "run/console.log").find(R"("t":"begin")") == std::string::npos)
            std::this_thread::sleep_for(std::chrono::milliseconds(2));
        // The case is long: this lands among its samples.
        std::this_thread::sleep_for(std::chrono::milliseconds(200));
        EXPECT_FALSE(over) << "the case was over before anything was done to it";
        if (!over) meddle();
        runner.join();
        return outcome;
    }
    /// Overwrites the image's memory at `symbol` + `offset` with bytes in hexadecimal.
    void patch(const std::string& symbol, uint64_t offset, const std::string& bytes) {
        Outcome names = shell(scratch, "nm " DOORBELL_IMAGE " | grep ' " + symbol + "$'");
        ASSERT_EQ(names.status, 0) << symbol;
        uint64_t at = std::stoull(names.out, nullptr, 16) + offset;
        char where[64];
        std::snprintf(where, sizeof where, "M%llx,%zx:", static_cast<unsigned long long>(at),
                      bytes.size() / 2);
        Line line(debugger());
        std::string written = packet(line, where + bytes);
        EXPECT_NE(written.find("$OK"), std::string::npos) << where << bytes << ": " << written;
        EXPECT_NE(packet(line, "D").find("$OK"), std::string::npos);
    }

    Scratch scratch;

  private:
    fs::path debugger() const { return scratch / "debugger"; }
    /// One packet of the GDB remote protocol, and its answer.
    static std::string packet(Line& line, const std::string& text) {
        unsigned sum = 0;
        for (char c : text) sum += static_cast<unsigned char>(c);
        char check[4];
        std::snprintf(check, sizeof check, "#%02x", sum & 0xFF);
        line.say("$" + text + check);
        // The stub says unasked that the machine has stopped ("T05"): that is not the answer.
        std::string answer = line.hear([](const std::string& heard) {
            return heard.find("$OK#9a") != heard.npos || heard.find("$E") != heard.npos;
        });
        line.say("+");
        return answer;
    }
};

void expect_failed(const Meddling& meddling, const Outcome& outcome, const std::string& lab,
                   const Json& test_case, const char* reason) {
    EXPECT_EQ(outcome.status, 1) << test_case << outcome.err;
    Json r = results(meddling.scratch);
    ASSERT_TRUE(r.is_object()) << test_case << outcome.err;
    EXPECT_EQ(r["complete"], true) << test_case;
    EXPECT_TRUE(r["series"].empty()) << test_case << " gives no figures";
    EXPECT_NE(reason_of(r, lab, test_case, "failed").find(reason), std::string::npos)
        << test_case << r["failed"].dump();
}

/// `movl $1, fired(%rip)`, 10 bytes, becomes a NOP of as many (SDM vol. 2B, "NOP").
constexpr const char *no_operation_10 = "662e0f1f840000000000", *no_operation_6 = "660f1f440000";

/// The offset of that store in a handler of the image.
uint64_t offset_in(const Scratch& scratch, const std::string& handler, const char* pattern) {
    Outcome listing =
        shell(scratch, "objdump -d --no-show-raw-insn --disassemble=" + handler +
                           " " DOORBELL_IMAGE " | grep -E '" + pattern + "' | head -1");
    Outcome begin = shell(scratch, "nm " DOORBELL_IMAGE " | grep ' " + handler + "$'");
    if (listing.out.empty() || begin.out.empty()) return ADD_FAILURE() << handler, 0;
    return std::stoull(listing.out, nullptr, 16) - std::stoull(begin.out, nullptr, 16);
}

TEST(LostEvents, AnInterruptThatNobodyHearsOfEndsTheTimersCaseAsFailed) {
    for (const auto& [source, wait] :
         {std::pair{"lapic", "irq"}, {"hpet", "irq-halt"}, {"pit", "mwait"}}) {
        Meddling meddling;
        Outcome run = meddling.run(
            std::string("timer:source=") + source + ",wait=" + wait + " --samples 100000", [&] {
                uint64_t store =
                    offset_in(meddling.scratch, "timer_interrupt_xapic", "movl +\\$0x1,");
                meddling.patch("timer_interrupt_xapic", store, no_operation_10);
            });
        expect_failed(meddling, run, "timer", {{"source", source}, {"wait", wait}},
                      "within a second");
    }
}

TEST(LostEvents, AnatomysWaitsEndInEitherRing) {
    for (const char* source : {"lapic", "ipi"})
        for (const char* ring : {"0", "3"}) {
            Meddling meddling;
            Outcome run = meddling.run(
                std::string("anatomy:source=") + source + ",ring=" + ring + " --samples " +
                    (source == std::string("ipi") ? "1000000" : "100000"),
                [&] {
                    uint64_t store =
                        offset_in(meddling.scratch, "anatomy_handler_xapic", "movl +\\$0x1,");
                    meddling.patch("anatomy_handler_xapic", store, no_operation_6);
                });
            expect_failed(meddling, run, "anatomy", {{"source", source}, {"ring", ring}},
                          "within a second");
        }
}

TEST(LostEvents, ATaskWhoseSignalDoesNotComeLeaves) {
    for (const char* target : {"running", "blocked"}) {
        Meddling meddling;
        // The alarm's way to the signal: back to the task that runs, and no signal for anybody.
        Outcome run = meddling.run(
            std::string("signals:signal=SIGTERM,target=") + target + " --samples 100000",
            [&] { meddling.patch("signals_raise", 0, "4889f8c3"); });
        expect_failed(meddling, run, "signals", {{"signal", "SIGTERM"}, {"target", target}},
                      "within a second");
    }
    Meddling meddling;
    Outcome run = meddling.run("signals:signal=SIGKILL,target=running --samples 100000",
                               [&] { meddling.patch("signals_raise", 0, "4889f8c3"); });
    expect_failed(meddling, run, "signals", {{"signal", "SIGKILL"}, {"target", "running"}},
                  "within a second");
}

}  // namespace
}  // namespace doorbell::test
