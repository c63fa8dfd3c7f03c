// The network labs on unsuitable networks: cables that are real, missing, cut in the middle of a
// case, or shared with other senders.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <fstream>
#include <functional>
#include <regex>
#include <thread>

#include "tests/image/run.h"

namespace doorbell::test {
namespace {

/// Polls until `condition` holds, for as long as a run may take.
bool until(const std::function<bool()>& condition) {
    for (auto start = std::chrono::steady_clock::now();
         std::chrono::steady_clock::now() - start < std::chrono::seconds(120);) {
        if (condition()) return true;
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return false;
}

/// A run whose packets at the card are visible from outside while it goes on.
class WatchedRun {
  public:
    WatchedRun(const std::string& labs, const std::string& more)
        : runner_([this, labs, more] {
              outcome_ = doorbell_run(
                  scratch,
                  labs +
                      qemu_with(scratch, "-object filter-dump,id=dump,netdev=card0,file=" + dump() +
                                             " -chardev socket,id=mon,path=" + monitor() +
                                             ",server=on,wait=off -mon chardev=mon " + more));
              over_ = true;
          }) {}
    ~WatchedRun() {
        if (runner_.joinable()) runner_.join();
    }
    size_t bytes() const {
        std::error_code error;
        auto size = fs::file_size(dump(), error);
        return error ? 0 : size;
    }
    bool over() const { return over_; }
    /// Whether packets have arrived, with at least this many bytes.
    bool flows(size_t wanted) {
        return until([&] { return over_ || bytes() >= wanted; }) && !over_;
    }
    void say(const std::string& line) {
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);
        sockaddr_un to{};
        to.sun_family = AF_UNIX;
        std::strncpy(to.sun_path, monitor().c_str(), sizeof to.sun_path - 1);
        ASSERT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to), 0)
            << std::strerror(errno);
        std::string all = line + "\n", heard;
        ASSERT_EQ(write(fd, all.data(), all.size()), static_cast<ssize_t>(all.size()));
        // The prompt comes once before the command, and once after it.
        char buffer[512];
        for (ssize_t n; heard.find("(qemu)", heard.find("(qemu)") + 1) == heard.npos &&
                        (n = read(fd, buffer, sizeof buffer)) > 0;)
            heard.append(buffer, static_cast<size_t>(n));
        close(fd);
    }
    Json end(int status = 0) {
        runner_.join();
        EXPECT_EQ(outcome_.status, status) << outcome_.err;
        Json r = results(scratch);
        EXPECT_EQ(r["complete"], true);
        return r;
    }

    Scratch scratch;

  private:
    std::string dump() const { return (scratch / "packets").string(); }
    std::string monitor() const { return (scratch / "monitor").string(); }
    std::atomic<bool> over_{false};
    Outcome outcome_;
    std::thread runner_;
};

struct Cut {
    const char *name, *order, *reason;
};

class NicIsCutOff : public testing::TestWithParam<Cut> {};

TEST_P(NicIsCutOff, InTheMiddleOfACaseWhichFailsWithAReason) {
    for (const Json& test_case : {Json{{"model", "e1000e"}, {"wait", "poll"}},
                                  Json{{"model", "e1000e"}, {"wait", "irq"}, {"kind", "msi"}},
                                  Json{{"model", "e1000e"}, {"wait", "irq-halt"}},
                                  Json{{"model", "e1000e"}, {"wait", "hybrid"}}}) {
        std::string keys;
        for (const auto& [key, value] : test_case.items())
            keys += (keys.empty() ? "" : ",") + key + "=" + value.get<std::string>();
        WatchedRun run("nic:" + keys + " --samples 1000000", "");
        ASSERT_TRUE(run.flows(20000));
        run.say(GetParam().order);
        Json r = run.end(1);
        EXPECT_TRUE(r["series"].empty()) << "a case that was cut off gives no figures";
        EXPECT_TRUE(r["skipped"].empty()) << r["skipped"].dump();
        EXPECT_EQ(
            reason_of(r, "nic", test_case, "failed").substr(0, std::strlen(GetParam().reason)),
            GetParam().reason)
            << keys;
    }
}

TEST_P(NicIsCutOff, AndSoDoesAnInterruptedTaskOfRingThree) {
    WatchedRun run("anatomy:source=nic,ring=3 --samples 1000000", "");
    ASSERT_TRUE(run.flows(20000));
    run.say(GetParam().order);
    std::string reason =
        reason_of(run.end(1), "anatomy", {{"source", "nic"}, {"ring", "3"}}, "failed");
    EXPECT_EQ(reason.substr(0, std::strlen(GetParam().reason)), GetParam().reason);
}

INSTANTIATE_TEST_SUITE_P(
    Wires, NicIsCutOff,
    testing::Values(
        Cut{"TheCardsLink", "set_link card0 off", "e1000e: the link is down (STATUS)"},
        Cut{"TheSendersLink", "set_link wire0 off", "virtio-net: the link is down"},
        // Neither end notices the fault.
        Cut{"Silently",
            "object_add filter-buffer,id=hole,netdev=card0,queue=tx,interval=4000000000",
            "a packet that was sent, or its interrupt, did not come within a second, in the middle "
            "of the case"}),
    [](const auto& info) { return info.param.name; });

/// Frames from outside, as datagrams into QEMU's hub.
class Stranger {
  public:
    Stranger() {
        sockaddr_in free_port = here(0);
        for (int* fd : {&from_, &to_}) {
            *fd = socket(AF_INET, SOCK_DGRAM, 0);
            EXPECT_EQ(bind(*fd, reinterpret_cast<sockaddr*>(&free_port), sizeof free_port), 0);
        }
        to_port_ = port(to_);
        more = " -netdev socket,id=outside,udp=127.0.0.1:" + std::to_string(port(from_)) +
               ",localaddr=127.0.0.1:" + std::to_string(to_port_) +
               " -netdev hubport,id=door,hubid=0,netdev=outside"
               // Delayed to a grid of the machine's virtual time, or they would all arrive right
               // after the lab's packets.
               " -object filter-buffer,id=grid,netdev=outside,queue=tx,interval=47";
        close(to_);  // QEMU's, from here on
    }
    ~Stranger() { close(from_); }
    void send(const std::string& frame) {
        sockaddr_in to = here(to_port_);
        EXPECT_EQ(sendto(from_, frame.data(), frame.size(), 0, reinterpret_cast<sockaddr*>(&to),
                         sizeof to),
                  static_cast<ssize_t>(frame.size()));
    }
    std::string more;

  private:
    static sockaddr_in here(unsigned port) {
        sockaddr_in a{};
        a.sin_family = AF_INET;
        a.sin_port = htons(static_cast<uint16_t>(port));
        a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return a;
    }
    static unsigned port(int fd) {
        sockaddr_in a{};
        socklen_t size = sizeof a;
        getsockname(fd, reinterpret_cast<sockaddr*>(&a), &size);
        return ntohs(a.sin_port);
    }
    int from_ = -1, to_ = -1;
    unsigned to_port_ = 0;
};

std::string frame(const std::string& type_and_more, size_t length, bool broadcast) {
    std::string f = broadcast ? std::string(6, '\xFF') : std::string("\x02\x44\x42\x00\x00\x01", 6);
    f += std::string("\x52\x54\x00\x77\x77\x77", 6) + type_and_more;
    f.resize(length, '\0');
    return f;
}

/// Sends `count` frames of each kind while packets flow, each after one of the lab's own. Returns
/// their number.
unsigned disturb(WatchedRun& run, Stranger& stranger, unsigned count) {
    const std::string kinds[] = {
        frame(std::string("\x08\x06", 2), 60, true),                  // another EtherType: ARP
        frame(std::string("\x81\x00\x00\x05\x88\xB5", 6), 64, true),  // VLAN
        frame(std::string("\x88\xB5"
                          "Dbel\xBA\xD1",
                          8),
              60, false),                               // the lab's own, with a wrong checksum
        frame(std::string("\x08\x00", 2), 1600, true),  // over-long
    };
    unsigned sent = 0;
    for (unsigned i = 0; i < count; ++i)
        for (const std::string& f : kinds) {
            size_t before = run.bytes();
            if (!until([&] { return run.over() || run.bytes() > before; }) || run.over())
                return sent;
            stranger.send(f);
            ++sent;
        }
    return sent;
}

/// A run that received `each` frames of each kind before its end. A run that ended too early is
/// repeated with more samples.
struct Disturbed {
    Json results;
    uint64_t samples = 0;
    unsigned sent = 0;
};
Disturbed disturbed_run(const std::string& labs, uint64_t samples, unsigned each) {
    constexpr uint64_t most = 1000000;
    for (;; samples = std::min(4 * samples, most)) {
        Stranger stranger;
        WatchedRun run(labs + " --samples " + std::to_string(samples), stranger.more);
        unsigned sent = run.flows(20000) ? disturb(run, stranger, each) : 0;
        // The lab's packets after the last foreign frame show that it has arrived as well.
        bool in_time = run.flows(run.bytes() + 10000);
        Json r = run.end();
        if (in_time) return {r, samples, sent};
        if (samples == most) {
            ADD_FAILURE() << labs << ": a run of " << most << " samples was over after " << sent
                          << " strangers";
            return {r, samples, sent};
        }
    }
}

/// The counts in the flag of such a series, in order; empty where there is none.
std::vector<unsigned> strangers_in(const Json& series) {
    static const std::regex sentence(
        "(\\d+) frames that are not the lab's own came in between and are not samples \\(broken "
        "(\\d+), runt (\\d+), over-long (\\d+), "
        "VLAN (\\d+), other EtherType (\\d+), wrong checksum (\\d+)\\)(; the card dropped runts "
        "(\\d+), over-long (\\d+), .*)?");
    std::vector<unsigned> counts;
    for (const Json& flag : series.at("flags")) {
        std::string text = flag;
        std::smatch match;
        if (!std::regex_match(text, match, sentence)) continue;
        for (size_t i : {1, 2, 3, 4, 5, 6, 7, 9, 10})
            counts.push_back(match[i].matched ? static_cast<unsigned>(std::stoul(match[i])) : 0);
    }
    return counts;
}

TEST(NicAmongStrangers, SamplesAreNotDisturbedAndEveryStrangerIsCounted) {
    struct {
        const char *wait, *metric;
    } const cases[] = {{"poll", "latency"}, {"irq", "latency"}, {"hybrid", "latency"}};
    for (auto [wait, metric] : cases) {
        constexpr unsigned each = 25;
        auto [r, samples, sent] =
            disturbed_run(std::string("nic:model=e1000e,wait=") + wait, 4000, each);
        Json s = series(r, "nic", {{"model", "e1000e"}, {"wait", wait}}, metric);
        ASSERT_TRUE(s.is_object())
            << wait << ": " << reason_of(r, "nic", {{"model", "e1000e"}, {"wait", wait}});
        EXPECT_EQ(s["count"], samples);
        EXPECT_LE(s["max"].get<double>(), 20) << wait << ": a stranger got into a sample";
        EXPECT_GE(s["min"], 3);
        auto counted = strangers_in(s);
        ASSERT_EQ(counted.size(), 9u) << s["flags"].dump();
        EXPECT_EQ(counted[4], each) << "VLAN";
        EXPECT_EQ(counted[5], each) << "other EtherType";
        EXPECT_EQ(counted[6], each) << "wrong checksum";
        EXPECT_EQ(counted[3] + counted[8], each) << "over-long, taken or dropped";
        EXPECT_EQ(counted[0] + counted[7] + counted[8], sent);
    }
}

TEST(NicAmongStrangers, LivelockCountsThemAndDeliversWhatItDid) {
    for (const char* policy : {"irq", "hybrid"}) {
        // Here the card under test is the sender; both cards receive packets from outside.
        Disturbed run = disturbed_run(std::string("livelock:load=0.5,policy=") + policy, 20000, 10);
        Json s =
            series(run.results, "livelock", {{"policy", policy}, {"load", "0.5"}}, "delivered");
        ASSERT_TRUE(s.is_object());
        // One delivered foreign frame would add a fortieth.
        EXPECT_NEAR(s["min"].get<double>(), 500000, 10000) << policy;
        EXPECT_NEAR(s["max"].get<double>(), 500000, 10000) << policy;
        auto counted = strangers_in(s);
        ASSERT_EQ(counted.size(), 9u) << s["flags"].dump();
        EXPECT_GE(counted[0], 20u);
    }
}

TEST(NicAmongStrangers, PizzaDoesNotTakeThemForItsOwn) {
    for (const char* wait : {"irq", "poll,every=16"}) {
        Json r = disturbed_run(std::string("pizza:rate=10000,wait=") + wait, 400000, 10).results;
        ASSERT_EQ(r["series"].size(), 2u) << r["skipped"].dump();
        for (const Json& s : r["series"]) {
            auto counted = strangers_in(s);
            ASSERT_EQ(counted.size(), 9u) << s["flags"].dump();
            EXPECT_GE(counted[0], 20u);
            EXPECT_LE(s["max"].get<double>(), s["metric"] == "work" ? 1000000 : 10000)
                << "a stranger's arrival is not a packet's";
        }
    }
}

constexpr const char* port_a =
    " -netdev hubport,id=a,hubid=7 -device e1000e,romfile=,netdev=a,mac=52:54:00:00:00:01";
constexpr const char* lonely = " -device e1000e,romfile=,mac=52:54:00:00:00:09";

bool flagged(const Json& series, const std::string& words) {
    for (const Json& flag : series.at("flags"))
        if (flag.get<std::string>().find(words) != std::string::npos) return true;
    return false;
}

/// Every wait of the e1000e, without the unknown part of the path, for cards with the given
/// options.
void check_waits(const std::string& devices, const char* machine, const char* words,
                 double wire_least, double wire_most) {
    Scratch scratch;
    Json r = results_of(
        scratch, doorbell_run(scratch, std::string("nic:model=e1000e livelock:policy=hybrid,load=1 "
                                                   "--samples 50 --nic none --machine ") +
                                           machine + qemu_with(scratch, devices)));
    for (const Json& test_case :
         {Json{{"model", "e1000e"}, {"wait", "poll"}}, Json{{"model", "e1000e"}, {"wait", "irq"}},
          Json{{"model", "e1000e"}, {"wait", "irq"}, {"kind", "intx"}},
          Json{{"model", "e1000e"}, {"wait", "hybrid"}}}) {
        Json latency = series(r, "nic", test_case, "latency"),
             wire = series(r, "nic", test_case, "wire");
        ASSERT_TRUE(latency.is_object() && wire.is_object())
            << test_case << reason_of(r, "nic", test_case);
        EXPECT_TRUE(flagged(latency, words)) << latency["flags"].dump();
        EXPECT_EQ(wire["count"], 50);
        EXPECT_GE(wire["p50"], wire_least) << test_case;
        EXPECT_LE(wire["p50"], wire_most) << test_case;
        EXPECT_GE(latency["p50"].get<double>(), wire_least)
            << test_case << ": nothing is taken off the latency";
        EXPECT_LE(latency["p50"].get<double>(), wire_most + 50) << test_case;
    }
    EXPECT_GT(series(r, "livelock", {{"policy", "hybrid"}, {"load", "1"}}, "delivered")["p50"],
              900000);
}

TEST(NicWithoutDoorbellsCable, TwoPortsThatARealCableJoinsAreFound) {
    std::string both =
        std::string(port_a) +
        " -netdev hubport,id=b,hubid=7 -device e1000e,romfile=,netdev=b,mac=52:54:00:00:00:02";
    for (const char* machine : {"q35", "pc"})
        check_waits(both, machine, "the cards and the cable", 0, 30);
}

TEST(NicWithoutDoorbellsCable, AnotherModelAtTheOtherEndAndALonelyCardBesides) {
    // The other end takes 150 us to send: that is the constant part, and is listed separately.
    check_waits(std::string(lonely) + port_a +
                    " -netdev hubport,id=b,hubid=7 -device "
                    "virtio-net-pci,disable-legacy=on,ioeventfd=off,tx=timer,x-txtimer=150000,"
                    "romfile=,netdev=b",
                "q35", "the cards and the cable", 150000, 150020);
}

TEST(NicWithoutDoorbellsCable, AnatomyAndBatchUseTheAvailableCard) {
    Scratch scratch;
    Json r = results_of(
        scratch, doorbell_run(scratch, "anatomy:source=nic batch:to=card --samples 50 --nic none" +
                                           qemu_with(scratch, lonely)));
    for (const char* ring : {"0", "3"}) {
        Json s = series(r, "anatomy", {{"source", "nic"}, {"ring", ring}}, "latency");
        ASSERT_TRUE(s.is_object()) << r["skipped"].dump();
        EXPECT_TRUE(flagged(s, "the card's loopback"));
    }
    EXPECT_TRUE(series(r, "batch", {{"to", "card"}, {"size", "1000"}}, "cost").is_object())
        << r["skipped"].dump();
}

TEST(NicWithoutDoorbellsCable, ALonelyCardLoopsBack) {
    check_waits(lonely, "q35", "the card's loopback", 0, 30);
}

}  // namespace
}  // namespace doorbell::test
