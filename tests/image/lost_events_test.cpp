// Events that stop coming in the middle of a case: the waits of every lab end, and the case fails
// without figures. QEMU's debugger stub stops the machine in one of the case's waits. Then a patch
// of the image's memory takes the event away (the handler runs and does not say so, or raises no
// signal), or a write from outside stops the timer.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <functional>
#include <sstream>
#include <thread>
#include <vector>

#include "tests/image/run.h"

namespace doorbell::test {
namespace {

/// A stream socket that QEMU connects to.
class Line {
  public:
    explicit Line(const fs::path& at) : listener_(socket(AF_UNIX, SOCK_STREAM, 0)) {
        sockaddr_un here{};
        here.sun_family = AF_UNIX;
        std::strncpy(here.sun_path, at.c_str(), sizeof here.sun_path - 1);
        if (bind(listener_, reinterpret_cast<sockaddr*>(&here), sizeof here) != 0 ||
            listen(listener_, 1) != 0)
            ADD_FAILURE() << at << ": " << std::strerror(errno);
    }
    ~Line() {
        close(fd_);
        close(listener_);
    }
    Line(const Line&) = delete;
    /// Waits for QEMU; false where give_up() came first.
    bool wait() {
        fd_ = accept(listener_, nullptr, nullptr);
        return fd_ >= 0;
    }
    void give_up() { shutdown(listener_, SHUT_RDWR); }
    void send(const std::string& text) {
        EXPECT_EQ(write(fd_, text.data(), text.size()), static_cast<ssize_t>(text.size()));
    }
    /// The bytes up to and with `end`; fewer where QEMU leaves.
    std::string receive(char end) {
        std::string text;
        for (char c; (text.empty() || text.back() != end) && read(fd_, &c, 1) == 1;) text += c;
        return text;
    }

  private:
    int listener_, fd_ = -1;
};

/// QEMU's debugger stub (GDB manual, "Remote Serial Protocol").
class Debugger {
  public:
    explicit Debugger(Line& line) : line_(line) {}
    /// Stops the machine wherever it is.
    void stop() {
        line_.send("\x03");
        EXPECT_EQ(packet()[0], 'T');
    }
    /// Lets the stopped machine run until it has come to one of `places` for the `times`th time.
    void run_to(const std::vector<uint64_t>& places, unsigned times) {
        for (unsigned i = 0; i < times; ++i) {
            if (i != 0) resume("s");  // a breakpoint at the next instruction would stop it again
            for (uint64_t at : places) ask(fmt("Z0,%llx,1", at));
            resume("c");
            for (uint64_t at : places) ask(fmt("z0,%llx,1", at));
        }
    }
    /// Overwrites memory with bytes in hexadecimal.
    void write(uint64_t at, const std::string& bytes) {
        ask(fmt("M%llx,", at) + fmt("%llx:", bytes.size() / 2) + bytes);
    }
    /// Lets the machine run on.
    void leave() { ask("D"); }

  private:
    static std::string fmt(const char* format, unsigned long long number) {
        char text[32];
        std::snprintf(text, sizeof text, format, number);
        return text;
    }
    void put(const std::string& text) {
        unsigned sum = 0;
        for (char c : text) sum += static_cast<unsigned char>(c);
        line_.send("$" + text + fmt("#%02llx", sum & 0xFF));
    }
    /// What the next packet holds, without its checksum.
    std::string packet() {
        line_.receive('$');
        std::string text = line_.receive('#');
        line_.send("+");
        return text;
    }
    void ask(const std::string& text) {
        put(text);
        EXPECT_EQ(packet(), "OK#") << text;
    }
    void resume(const char* how) {
        put(how);
        EXPECT_EQ(packet()[0], 'T') << "the machine is gone";
    }

    Line& line_;
};

/// A run that the test tampers with in the middle of its case.
class Meddling {
  public:
    /// Stops the machine at the third time that it comes to `places`, and calls `meddle`. `more`:
    /// words for QEMU.
    Outcome run(const std::string& words, const std::vector<uint64_t>& places,
                const std::function<void(Debugger&)>& meddle, const std::string& more = "") {
        Line line(scratch / "debugger");
        Outcome outcome;
        std::thread runner([&] {
            outcome = doorbell_run(
                scratch, words + " --samples 50 --timeout 300" +
                             qemu_with(scratch, "-gdb unix:" + (scratch / "debugger").string() +
                                                    " -qtest unix:" + (scratch / "bus").string() +
                                                    " -qtest-log /dev/null" + more));
            line.give_up();
            bus_.give_up();
        });
        if (line.wait() && bus_.wait()) {
            Debugger debugger(line);
            debugger.stop();
            debugger.run_to(places, 3);
            meddle(debugger);
            debugger.leave();
        }
        runner.join();
        return outcome;
    }
    /// Writes a device's register from outside of the machine.
    void write_device(const std::string& words) {
        bus_.send("writel " + words + "\n");
        EXPECT_EQ(bus_.receive('\n'), "OK\n");
    }

    Scratch scratch;

  private:
    Line bus_{scratch / "bus"};
};

/// The addresses that a shell line prints, in hexadecimal.
std::vector<uint64_t> addresses(const Scratch& scratch, const std::string& line) {
    std::istringstream words(shell(scratch, line).out);
    std::vector<uint64_t> all;
    for (std::string word; words >> word;) all.push_back(std::stoull(word, nullptr, 16));
    if (all.empty()) ADD_FAILURE() << "no address from: " << line;
    return all;
}

uint64_t address_of(const Scratch& scratch, const std::string& symbol) {
    std::vector<uint64_t> found =
        addresses(scratch, "nm " DOORBELL_IMAGE " | awk '$3 == \"" + symbol + "\" {print $1}'");
    return found.empty() ? 0 : found[0];
}

/// Where each measured wait of a case begins: CaseTimeout::wait_from_now().
std::vector<uint64_t> wait_begins(const Scratch& scratch) {
    return {address_of(scratch, "_ZN8doorbell4labs11CaseTimeout13wait_from_nowEv")};
}

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

/// Bytes of a NOP as long as the store of a handler (SDM vol. 2B, "NOP").
constexpr const char *no_operation_10 = "662e0f1f840000000000", *no_operation_6 = "660f1f440000";

/// Removes the store `fired = 1` from a handler: it runs, and nobody notices.
void silence(const Scratch& scratch, Debugger& debugger, const std::string& handler,
             const char* no_operation) {
    std::vector<uint64_t> stores =
        addresses(scratch, "objdump -d --no-show-raw-insn --disassemble=" + handler +
                               " " DOORBELL_IMAGE " | grep -m 1 'movl *\\$0x1,' | cut -d: -f1");
    if (!stores.empty()) debugger.write(stores[0], no_operation);
}

TEST(LostEvents, AnInterruptThatNobodyNoticesEndsTheTimersCaseAsFailed) {
    for (const auto& [source, wait] :
         {std::pair{"lapic", "irq"}, {"hpet", "irq-halt"}, {"pit", "mwait"}}) {
        Meddling meddling;
        Outcome run = meddling.run(std::string("timer:source=") + source + ",wait=" + wait,
                                   wait_begins(meddling.scratch), [&](Debugger& debugger) {
                                       silence(meddling.scratch, debugger, "timer_interrupt_xapic",
                                               no_operation_10);
                                   });
        expect_failed(meddling, run, "timer", {{"source", source}, {"wait", wait}},
                      "within a second");
    }
}

TEST(LostEvents, ATimerThatStandsStillEndsThePollsCaseAsFailed) {
    Meddling meddling;
    // Where a loop that waits for a sign ends in LFENCE: of those, this case runs the HPET's only.
    std::vector<uint64_t> loops =
        addresses(meddling.scratch, "objdump -d --no-show-raw-insn " DOORBELL_IMAGE
                                    " | awk '$2 == \"lfence\" && js {print js} "
                                    "{js = $2 == \"js\" ? substr($1, 1, length($1) - 1) : \"\"}'");
    // 64 ns an instruction: the second passes in fewer reads of a device, which cost QEMU much.
    const char* slower = " -icount shift=6,sleep=off";
    // General configuration register, ENABLE_CNF = 0 (IA-PC HPET 1.0a, section 2.3.5).
    Outcome run = meddling.run(
        "timer:source=hpet,wait=poll", loops,
        [&](Debugger&) { meddling.write_device("0xfed00010 0"); }, slower);
    expect_failed(meddling, run, "timer", {{"source", "hpet"}, {"wait", "poll"}},
                  "did not come within a second");
}

TEST(LostEvents, AnatomysWaitsEndInEitherRing) {
    for (const char* source : {"lapic", "ipi"})
        for (const char* ring : {"0", "3"}) {
            Meddling meddling;
            Outcome run = meddling.run(std::string("anatomy:source=") + source + ",ring=" + ring,
                                       wait_begins(meddling.scratch), [&](Debugger& debugger) {
                                           silence(meddling.scratch, debugger,
                                                   "anatomy_handler_xapic", no_operation_6);
                                       });
            expect_failed(meddling, run, "anatomy", {{"source", source}, {"ring", ring}},
                          "within a second");
        }
}

TEST(LostEvents, ATaskWhoseSignalDoesNotComeLeaves) {
    for (const auto& [signal, target] :
         {std::pair{"SIGTERM", "running"}, {"SIGTERM", "blocked"}, {"SIGKILL", "running"}}) {
        Meddling meddling;
        // The alarm's way to the signal: back to the task that runs, and no signal for anybody.
        Outcome run = meddling.run(std::string("signals:signal=") + signal + ",target=" + target,
                                   wait_begins(meddling.scratch), [&](Debugger& debugger) {
                                       debugger.write(address_of(meddling.scratch, "signals_raise"),
                                                      "4889f8c3");
                                   });
        expect_failed(meddling, run, "signals", {{"signal", signal}, {"target", target}},
                      "within a second");
    }
}

}  // namespace
}  // namespace doorbell::test
