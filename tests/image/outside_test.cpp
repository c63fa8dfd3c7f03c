// Packets from outside: the image answers frames that this test builds, whatever comes in between,
// and counts exactly what came; ping and the command's own sender measure it. Nothing here leaves
// this machine: the cable is a pair of UDP ports on the loopback, or a tap in a network namespace
// that ends with the test.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <map>
#include <random>
#include <thread>

#include "tests/image/emulator.h"
#include "tests/image/run.h"
#include "tests/unit/packets.h"

namespace doorbell::test {
namespace {

/// The other end of the card's cable, on a pair of free ports.
class Cable {
  public:
    Cable() {
        for (int tries = 0; tries < 100 && socket_ < 0; ++tries) {
            int card = bound(0, port_);
            if (card < 0 || port_ >= 65530) continue;
            uint16_t other = 0;
            socket_ = bound(static_cast<uint16_t>(port_ + 1), other);
            close(card);
        }
        sockaddr_in in = place(port_);
        connect(socket_, reinterpret_cast<sockaddr*>(&in), sizeof in);
    }
    ~Cable() { let_go(); }
    Cable(const Cable&) = delete;
    /// Only the ports: the command's own sender is the other end.
    void let_go() {
        close(socket_);
        socket_ = -1;
    }
    std::string words() const { return "--net udp:" + std::to_string(port_); }
    void send(const Bytes& frame) const { (void)!::send(socket_, frame.data(), frame.size(), 0); }
    /// The next frame that `wanted` accepts, within `ms`; empty where none came.
    Bytes receive(int ms, const std::function<bool(const Bytes&)>& wanted) const {
        Bytes frame(4096);
        for (pollfd in{socket_, POLLIN, 0}; poll(&in, 1, ms) == 1;) {
            ssize_t got = recv(socket_, frame.data(), frame.size(), 0);
            if (got <= 0) continue;  // nobody listened yet
            Bytes whole(frame.begin(), frame.begin() + got);
            if (wanted(whole)) return whole;
        }
        return {};
    }

  private:
    static sockaddr_in place(uint16_t port) {
        sockaddr_in in{};
        in.sin_family = AF_INET;
        in.sin_port = htons(port);
        in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return in;
    }
    static int bound(uint16_t port, uint16_t& got) {
        int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), room = 4 << 20;
        setsockopt(s, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
        sockaddr_in in = place(port);
        socklen_t length = sizeof in;
        if (bind(s, reinterpret_cast<sockaddr*>(&in), sizeof in) != 0 ||
            getsockname(s, reinterpret_cast<sockaddr*>(&in), &length) != 0) {
            close(s);
            return -1;
        }
        got = ntohs(in.sin_port);
        return s;
    }
    int socket_ = -1;
    uint16_t port_ = 0;
};

/// `doorbell run` beside the test; the destructor waits for its end.
class Running {
  public:
    Running(const Scratch& scratch, const std::string& arguments)
        : thread_([&scratch, arguments, this] { outcome_ = doorbell_run(scratch, arguments); }) {}
    ~Running() {
        if (thread_.joinable()) thread_.join();
    }
    Outcome end() {
        thread_.join();
        return outcome_;
    }

  private:
    Outcome outcome_;
    std::thread thread_;
};

/// The counts of a tally that are not zero.
std::map<std::string, uint64_t> tally(const Json& results, const std::string& name) {
    std::map<std::string, uint64_t> counts;
    for (const Json& one : results.value("tallies", Json::array()))
        if (one.at("name") == name)
            for (const auto& [kind, count] : one.at("values").items())
                if (count != 0) counts[kind] += count.get<uint64_t>();
    return counts;
}

class FromOutside : public testing::TestWithParam<std::string> {
  protected:
    std::string arguments(const std::string& wait, const std::string& more) const {
        return "echo:model=" + GetParam() + ",wait=" + wait + " --nic " + GetParam() + " " +
               cable_.words() + " " + more;
    }
    static bool is_arp_answer(const Bytes& f) {
        return f.size() >= 42 && get16(f, 12) == 0x0806 && get16(f, 20) == 2;
    }
    /// Asks for the image's address until it answers.
    bool is_there() {
        for (int tries = 0; tries < 600; ++tries) {
            cable_.send(arp_request(ends_, ends_.to));
            Bytes answer = cable_.receive(100, is_arp_answer);
            if (answer.empty()) continue;
            EXPECT_EQ(get32(answer, 28), ends_.to);
            ends_.to_mac.assign(answer.begin() + 22, answer.begin() + 28);
            // Requests from before QEMU opened its port are lost; those in its queue are answered
            // before this echo.
            ++sent_["arp"];
            bool there = echo(0);
            short_frames_ += sent_["arp"];
            return there;
        }
        return false;
    }
    /// A UDP echo that must come back.
    bool echo(uint32_t number) {
        Bytes data(24);
        put32(data, 0, number);
        cable_.send(udp(ends_, 4711, 7, data));
        ++sent_["udp-echo"];
        Bytes answer = cable_.receive(20000, [&](const Bytes& f) {
            if (is_arp_answer(f)) ++sent_["arp"];
            return f.size() >= 66 && get16(f, 12) == 0x0800 && get16(f, 34) == 7 &&
                   get32(f, 42) == number;
        });
        return !answer.empty() && udp_checksum(answer) == get16(answer, 40);
    }
    void stop() {
        cable_.send(udp(ends_, 4711, 0x4442, text("stop")));
        ++sent_["stop"];
        ++short_frames_;
    }
    /// A frame of the i-th kind, which must not be answered, and the count that it must go to.
    std::pair<Bytes, std::string> stranger(unsigned i);
    std::pair<Bytes, std::string> strange_frame(unsigned kind);
    std::pair<Bytes, std::string> damaged(unsigned kind);
    std::pair<Bytes, std::string> strange_header(unsigned kind);
    std::pair<Bytes, std::string> strange_content(unsigned kind);
    /// A random number from `least` to `most`.
    unsigned any(unsigned least, unsigned most);
    Bytes noise(size_t n);
    /// From here to the image.
    Bytes framed(unsigned type, const Bytes& content) const;

    bool virtio() const { return GetParam() == "virtio-net"; }
    Cable cable_;
    Scratch scratch_;
    Ends ends_;
    std::map<std::string, uint64_t> sent_;
    uint64_t short_frames_ = 0;  ///< under 60 bytes: QEMU's e1000e counts them, and pads them
    std::mt19937 random_{1};
};

unsigned FromOutside::any(unsigned least, unsigned most) {
    return least + random_() % (most - least + 1);
}

Bytes FromOutside::noise(size_t n) {
    Bytes b(n);
    for (uint8_t& byte : b) byte = static_cast<uint8_t>(random_());
    return b;
}

Bytes FromOutside::framed(unsigned type, const Bytes& content) const {
    return ethernet(ends_.to_mac, ends_.from_mac, type, content);
}

std::pair<Bytes, std::string> FromOutside::stranger(unsigned i) {
    unsigned kind = i % 20;
    return kind < 5    ? strange_frame(kind)
           : kind < 8  ? damaged(kind)
           : kind < 10 ? std::pair{framed(kind == 8 ? any(0x0900, 0x80FF) : any(0, 1500),
                                          noise(any(46, 1500))),
                                   std::string("other-ethertype")}
           : kind < 15 ? strange_header(kind)
                       : strange_content(kind);
}

/// Kinds 0 to 4: with a length or a tag that the image does not accept.
std::pair<Bytes, std::string> FromOutside::strange_frame(unsigned kind) {
    Bytes f;
    switch (kind) {
        case 0:
            f = framed(0x88B5, {});
            f.resize(any(6, 13));
            ++short_frames_;
            // QEMU's e1000e pads it to 60 bytes with zeros, among them the type.
            return {f, virtio() ? "runt" : "other-ethertype"};
        case 1:
        case 2:
            f = kind == 1 ? framed(0x88B5, noise(any(1501, 1508)))
                          : framed(0x0800, noise(any(1509, 1522)));
            return {f, virtio() || f.size() <= emulator().e1000e_longest_frame ? "over-long"
                                                                               : "card-over-long"};
        case 3:
            return {framed(0x8100, noise(any(46, 1500))), "vlan"};
        default:
            return {framed(0x88A8, noise(any(46, 1500))), "vlan"};
    }
}

/// Kinds 5 to 7: changed on the way.
std::pair<Bytes, std::string> FromOutside::damaged(unsigned kind) {
    Bytes f = kind == 7 ? icmp_echo(ends_, noise(any(18, 1400)))
                        : udp(ends_, 4711, 7, noise(any(18, 1400)));
    if (kind == 5)
        f[24 + random_() % 2] ^= static_cast<uint8_t>(1 + random_() % 255);
    else if (kind == 6)
        f[42 + random_() % (f.size() - 42)] ^= static_cast<uint8_t>(1 + random_() % 255);
    else
        f[34 + random_() % (f.size() - 34)] ^= static_cast<uint8_t>(1 << random_() % 8);
    return {f, "bad-checksum"};
}

/// Kinds 10 to 14: an IP or UDP header that is invalid, or that the image does not accept.
std::pair<Bytes, std::string> FromOutside::strange_header(unsigned kind) {
    if (kind == 10) {
        // Random from the IP header on; only its first half byte is known: not version 4.
        Bytes f = framed(0x0800, noise(any(46, 1500)));
        f[14] = static_cast<uint8_t>((f[14] & 0x0F) | (f[14] >> 4 == 4 ? 0x60 : f[14] & 0xF0));
        return {f, "bad-header"};
    }
    Bytes f = udp(ends_, 4711, 7, noise(any(kind == 13 ? 40 : 18, 1000)));
    switch (kind) {
        case 11:
            put16(f, 16, any(1500, 65535));
            seal_ip(f);
            return {f, "truncated"};
        case 12:
            put16(f, 38, any(1100, 65535));
            return {f, "truncated"};
        case 13:
            f[14] = static_cast<uint8_t>(0x40 | any(6, 15));
            seal_ip(f);
            return {f, "options"};
        default:
            put16(f, 20, any(1, 0x1FFF) | (random_() % 2 ? 0x2000 : 0));
            seal_ip(f);
            return {f, "fragment"};
    }
}

/// Kinds 15 to 19: from or for somebody else.
std::pair<Bytes, std::string> FromOutside::strange_content(unsigned kind) {
    Ends e = ends_;
    switch (kind) {
        case 15:
            e.from = (random_() % 2 ? 0x7F000000u : 0xE0000000u) | (random_() & 0xFFFFFF);
            return {udp(e, 4711, 7, noise(18)), "bad-source"};
        case 16:
            return {udp(e, 7, 7, noise(18)), "bad-source"};
        case 17:
            return {ipv4(e, any(18, 255), noise(any(26, 1400))), "other-protocol"};
        case 18:
            return {icmp_echo(e, noise(any(18, 1400)), 0), "other-message"};
        default:
            return {udp(e, 4711, any(8, 0x4000), noise(any(18, 1400))), "other-port"};
    }
}

TEST_P(FromOutside, AFloodOfMalformedFramesIsCountedAndTheImageStillAnswers) {
    Running running(scratch_, arguments("poll", "--set requests=0 --set idle=30"));
    ASSERT_TRUE(is_there());
    // A datagram for which QEMU's socket has no room is lost silently. After each group, wait for
    // the image's answer before sending the next one, so that every count is exact.
    constexpr unsigned frames = 100'000, group = 25;
    for (unsigned i = 0; i < frames;) {
        for (unsigned k = 0; k < group; ++k, ++i) {
            auto [frame, kind] = stranger(i);
            cable_.send(frame);
            ++sent_[kind];
        }
        ASSERT_TRUE(echo(i)) << "no answer after " << i << " malformed frames";
    }
    cable_.send(icmp_echo(ends_, text("still there?..................")));
    ++sent_["icmp-echo"];
    EXPECT_FALSE(cable_
                     .receive(20000,
                              [](const Bytes& f) {
                                  return f.size() >= 60 && get16(f, 12) == 0x0800 && f[23] == 1 &&
                                         f[34] == 0;
                              })
                     .empty());
    stop();
    Outcome outcome = running.end();
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    auto came = tally(results(scratch_), "frames");
    if (!virtio()) {
        // The card's own count, not the image's: QEMU's counts a queued request twice, once when
        // the receiver is enabled and has no buffer yet.
        uint64_t runts = came["card-runt"];
        EXPECT_TRUE(runts == short_frames_ || runts == short_frames_ + 1)
            << runts << ", " << short_frames_ << " were sent";
        came.erase("card-runt");
    }
    EXPECT_EQ(came, sent_);
}

TEST_P(FromOutside, TenThousandEchoesAtARateItCanHoldLoseNothing) {
    // As many as the image can hold: the next one leaves when one came back.
    cable_.let_go();
    Outcome run = doorbell_run(
        scratch_, arguments("hybrid", "--set requests=10000 --set window=16 --set payload=64"));
    ASSERT_EQ(run.status, 0) << run.err;
    Json r = results(scratch_);
    EXPECT_EQ(r["complete"], true);
    auto requests = tally(r, "requests"), frames = tally(r, "frames");
    EXPECT_EQ(requests["sent"], 10000u);
    EXPECT_EQ(requests["answered"], 10000u);
    for (const char* none : {"lost", "duplicated", "damaged"})
        EXPECT_EQ(requests[none], 0u) << none;
    EXPECT_EQ(frames["udp-echo"], requests["sent"] + requests["knocks"]);
    Json test_case = {{"model", GetParam()}, {"wait", "hybrid"}};
    EXPECT_EQ(series(r, "echo", test_case, "round-trip")["count"], 10000);
    EXPECT_EQ(series(r, "echo", test_case, "throughput")["unit"], "packet/s");
    Json service = series(r, "echo", test_case, "service"),
         bursts = series(r, "echo", test_case, "burst");
    ASSERT_TRUE(service.is_object() && bursts.is_object());
    EXPECT_EQ(service["count"], bursts["count"]);
    uint64_t stages = 0;
    for (const Json& stage : service["stages"]) stages += stage["sum"].get<uint64_t>();
    EXPECT_EQ(stages, service["sum"]) << "the stages add up";
    // The first frames are warm-up, the stop and ARP are frames too.
    EXPECT_LE(bursts["sum"].get<uint64_t>(), frames["udp-echo"] + frames["arp"] + frames["stop"]);
    EXPECT_GE(bursts["sum"].get<uint64_t>() + 16 * 64, frames["udp-echo"]);
}

TEST_P(FromOutside, EveryWaitAnswersAndTheOpenLoopIsReported) {
    cable_.let_go();
    Outcome run = doorbell_run(scratch_, "echo:model=" + GetParam() + " --nic " + GetParam() + " " +
                                             cable_.words() + " --set requests=200 --set rate=500");
    ASSERT_EQ(run.status, 0) << run.err;
    Json r = results(scratch_);
    EXPECT_EQ(r["complete"], true);
    EXPECT_EQ(r["machine"]["clock"], "live") << "nobody said --clock";
    for (const char* wait : {"poll", "irq", "irq-halt", "hybrid"}) {
        Json test_case = {{"model", GetParam()}, {"wait", wait}};
        Json round_trip = series(r, "echo", test_case, "round-trip");
        ASSERT_TRUE(round_trip.is_object()) << wait << r["skipped"].dump();
        EXPECT_EQ(round_trip["unit"], "ns");
        EXPECT_EQ(round_trip["evidence"], "rough");
        EXPECT_EQ(round_trip["count"], 200) << wait;
        EXPECT_TRUE(series(r, "echo", test_case, "slip").is_object());
        EXPECT_TRUE(series(r, "echo", test_case, "service").is_object());
    }
    EXPECT_TRUE(r.value("digest", "").empty()) << "nothing from outside is exact";
}

TEST_P(FromOutside, WithRawSamplesTheAnsweringGoesOnWhenTheyAreFull) {
    cable_.let_go();
    Outcome run = doorbell_run(
        scratch_, arguments("poll", "--set requests=600 --set window=4 --samples 50 --raw"));
    ASSERT_EQ(run.status, 0) << run.err;
    Json r = results(scratch_);
    EXPECT_EQ(tally(r, "requests")["answered"], 600u);
    EXPECT_EQ(series(r, "echo", {{"model", GetParam()}, {"wait", "poll"}}, "service")["count"], 50);
}

INSTANTIATE_TEST_SUITE_P(Cards, FromOutside, testing::Values("e1000e", "virtio-net"),
                         [](const auto& info) {
                             return info.param == "e1000e" ? "e1000e" : "virtio";
                         });

TEST(Outside, WithoutAnOutsideEveryCaseIsSkippedAtOnce) {
    for (const char* clock : {"exact", "live"}) {
        Scratch scratch;
        Outcome run = doorbell_run(scratch, std::string("echo --machine pc --clock ") + clock);
        ASSERT_EQ(run.status, 0) << run.err;
        Json r = results(scratch);
        EXPECT_TRUE(r["series"].empty());
        ASSERT_EQ(r["skipped"].size(), 8u);
        for (const Json& s : r["skipped"])
            EXPECT_NE(s["reason"].get<std::string>().find("--net udp:PORT"), std::string::npos)
                << s.dump();
    }
}

TEST(Outside, APortInUseIsReportedBeforeAnythingStarts) {
    Scratch scratch;
    Cable cable;
    Outcome run = doorbell_run(scratch, "echo --nic e1000e " + cable.words());
    EXPECT_EQ(run.status, 3);
    EXPECT_NE(run.err.find("Address already in use"), std::string::npos) << run.err;
    EXPECT_FALSE(fs::exists(scratch / "run"));
}

TEST(Outside, AQuietCaseEndsAndIsNotAHang) {
    // The image reports every 10 s: a time-out shorter than the silence must not end the run.
    Scratch scratch;
    Cable cable;
    Outcome run =
        doorbell_run(scratch, "echo:model=virtio-net,wait=irq-halt --nic virtio-net " +
                                  cable.words() + " --set requests=0 --set idle=22 --timeout 15");
    EXPECT_EQ(run.status, 0) << run.err;
    Json r = results(scratch);
    EXPECT_EQ(r["complete"], true) << r["failure"];
    ASSERT_EQ(r["skipped"].size(), 1u);
    EXPECT_NE(r["skipped"][0]["reason"].get<std::string>().find("nothing came"), std::string::npos);
}

/// Why a tap is unavailable here; "" where it is available.
std::string no_tap(const Scratch& scratch) {
    EXPECT_EQ(shell(scratch, "command -v ping && command -v ip").status, 0)
        << "ping (iputils-ping) or ip (iproute2) is not installed";
    Outcome tap = shell(scratch, "unshare -n ip tuntap add mode tap dev doorbell0");
    return tap.status == 0 ? "" : "no tap in a network namespace of its own: " + tap.err;
}

class Ping : public testing::TestWithParam<std::string> {};

TEST_P(Ping, DebiansPingIsAnsweredThroughATap) {
    Scratch scratch;
    if (std::string why = no_tap(scratch); !why.empty()) GTEST_SKIP() << why;
    // The namespace, and the tap in it, end with the last process inside. -w and -W bound ping; the
    // image ends when packets stop coming.
    std::ofstream(scratch / "inside.sh")
        << "set -e\n"
           "ip link set lo up\n"
           "ip tuntap add mode tap dev doorbell0\n"
           "ip addr add 10.68.68.1/24 dev doorbell0\n"
           "ip link set doorbell0 up\n" DOORBELL_COMMAND " run echo:model="
        << GetParam() << ",wait=hybrid --nic " << GetParam()
        << " --net tap:doorbell0 --set requests=0 --set idle=5 --out run &\n"
           "doorbell=$!\n"
           // Until the first answer (the card has to come up), then twenty in a row.
           "ping -q -c 1 -i 0.2 -w 60 10.68.68.2\n"
           "ping -c 20 -i 0.05 -s 1000 -W 20 10.68.68.2\n"
           "wait $doorbell\n";
    Outcome run = shell(scratch, "unshare -n sh inside.sh");
    ASSERT_EQ(run.status, 0) << run.out << run.err;
    EXPECT_NE(run.out.find("20 packets transmitted, 20 received, 0% packet loss"),
              std::string::npos)
        << run.out;
    auto frames = tally(results(scratch), "frames");
    EXPECT_GE(frames["icmp-echo"], 21u);
    EXPECT_GE(frames["arp"], 1u) << "the host had to ask where it is";
    EXPECT_EQ(frames.count("bad-checksum"), 0u);
}

INSTANTIATE_TEST_SUITE_P(Cards, Ping, testing::Values("e1000e", "virtio-net"),
                         [](const auto& info) {
                             return info.param == "e1000e" ? "e1000e" : "virtio";
                         });

TEST(Outside, TheSenderMeasuresThroughATapAsWell) {
    Scratch scratch;
    if (std::string why = no_tap(scratch); !why.empty()) GTEST_SKIP() << why;
    std::ofstream(scratch / "inside.sh")
        << "set -e\n"
           "ip tuntap add mode tap dev doorbell0\n"
           "ip addr add 10.68.68.1/24 dev doorbell0\n"
           "ip link set doorbell0 up\n" DOORBELL_COMMAND
           " run echo:wait=poll --net tap:doorbell0 --set requests=500 --set rate=500 --out run\n";
    Outcome run = shell(scratch, "unshare -n sh inside.sh");
    ASSERT_EQ(run.status, 0) << run.out << run.err;
    auto requests = tally(results(scratch), "requests");
    EXPECT_EQ(requests["sent"], 500u);
    EXPECT_EQ(requests["answered"], 500u);
    EXPECT_EQ(requests["damaged"], 0u);
}

}  // namespace
}  // namespace doorbell::test
