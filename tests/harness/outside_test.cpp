// The sender against a peer in this process, which answers like the image or fails on purpose: each
// count must match the peer's behaviour, and a stall must not be hidden.
#include "firmware/wire/outside.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <thread>
#include <vector>

#include "firmware/nic/answer.h"
#include "harness/run/options.h"
#include "harness/run/outside.h"
#include "harness/system/failure.h"

namespace doorbell::harness {
namespace {

constexpr nic::MacAddress mac{2, 0, 0, 0, 0, 5};

int bound(uint16_t& port) {
    int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(port);
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof in;
    int room = 4 << 20;
    setsockopt(s, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    if (bind(s, reinterpret_cast<sockaddr*>(&in), sizeof in) != 0 ||
        getsockname(s, reinterpret_cast<sockaddr*>(&in), &length) != 0) {
        close(s);
        return -1;
    }
    port = ntohs(in.sin_port);
    return s;
}

/// The card's end of the cable, and an image behind it. `echo` gets each UDP echo's answer, in
/// order, and decides what to send.
class Peer {
  public:
    using Send = std::function<void(std::vector<uint8_t> frame)>;
    using Echo = std::function<void(std::vector<uint8_t> answer, const Send& send)>;

    explicit Peer(Echo echo) : echo_(std::move(echo)) {
        for (int tries = 0; tries < 100 && socket_ < 0; ++tries) {
            ports_.card = 0;
            socket_ = bound(ports_.card);
            ports_.other = static_cast<uint16_t>(ports_.card + 1);
            // Does it belong to another sender?
            int other = ports_.other == 0 ? -1 : bound(ports_.other);
            if (other < 0 && socket_ >= 0) socket_ = (close(socket_), -1);
            if (other >= 0) close(other);
        }
        thread_ = std::thread([this] { run(); });
    }
    ~Peer() {
        over_.now();
        thread_.join();
        close(socket_);
    }
    CardPorts ports() const { return ports_; }
    unsigned stops() const { return stops_; }
    std::function<void()> on_stop;

  private:
    void run() {
        nic::Responder responder(mac, wire::outside_address, 24);
        for (;;) {
            pollfd sources[2] = {{socket_, POLLIN, 0}, {over_.descriptor(), POLLIN, 0}};
            (void)poll(sources, 2, -1);
            if (sources[1].revents != 0) return;
            std::vector<uint8_t> frame(2048);
            sockaddr_in from{};
            socklen_t length = sizeof from;
            ssize_t got = recvfrom(socket_, frame.data(), frame.size(), 0,
                                   reinterpret_cast<sockaddr*>(&from), &length);
            if (got <= 0) continue;
            nic::Answer answer = responder.answer({frame.data(), static_cast<uint32_t>(got), 0});
            frame.resize(answer.length);
            Send send = [&](const std::vector<uint8_t>& what) {
                (void)!sendto(socket_, what.data(), what.size(), 0,
                              reinterpret_cast<sockaddr*>(&from), length);
            };
            if (answer.fate == nic::Fate::stop) {
                ++stops_;
                if (on_stop) on_stop();
            }
            if (answer.fate == nic::Fate::udp_echo)
                echo_(frame, send);
            else if (answer.length != 0)
                send(frame);
        }
    }

    Echo echo_;
    int socket_ = -1;
    CardPorts ports_{};
    Cancel over_;
    std::atomic<unsigned> stops_{0};
    std::thread thread_;
};

/// Sends to the peer until it is told to stop, as the image would end its case.
std::unique_ptr<Echoes> send_to(Peer& peer, Requests requests) {
    auto echoes = std::make_unique<Echoes>();
    Cancel cancel;
    peer.on_stop = [&] { cancel.now(); };
    auto channel = Channel::make(parse_net("udp:5555"), peer.ports(), wire::outside_address, 24);
    requests.mark = 42;
    send_requests(*channel, requests, 20, cancel, *echoes);
    return echoes;
}

uint64_t longer_than(const measure::Histogram& h, uint64_t ns) {
    uint64_t n = 0;
    for (size_t bin = 0; bin < measure::Histogram::bins; ++bin)
        if (measure::Histogram::lowest_of(bin) >= ns) n += h.at(bin);
    return n;
}

TEST(Sender, EveryRequestIsAnsweredAndTheImageAskedToStop) {
    Peer peer([](auto answer, const auto& send) { send(answer); });
    for (uint64_t payload : {16u, 18u, 19u, 1472u}) {
        auto e = send_to(peer, {.count = 200, .rate = 20000, .payload = payload});
        EXPECT_EQ(e->failure, "");
        EXPECT_EQ(e->sent, 200u);
        EXPECT_EQ(e->answered, 200u);
        EXPECT_EQ(e->round_trip.count(), 200u);
        EXPECT_EQ(e->slip.count(), 200u);
        EXPECT_EQ(e->lost + e->damaged + e->duplicated, 0u);
        EXPECT_GE(e->round_trip.min(), e->slip.min());
    }
    EXPECT_GE(peer.stops(), 4u);
}

TEST(Sender, CountsWhatIsLostDoubledAndDamaged) {
    unsigned n = 0;
    Peer peer([&](auto answer, const auto& send) {
        // The first is the knock, which must be answered.
        unsigned kind = n++ % 10;
        if (n == 1) return send(answer);
        if (kind == 3) return;
        if (kind == 5) send(answer);
        if (kind == 6) answer[50] ^= 1;  // in the payload, so that the checksum is wrong
        if (kind == 7) {
            answer[50] ^= 1;  // the same, without a checksum
            answer[40] = answer[41] = 0;
        }
        send(answer);
    });
    auto e = send_to(peer, {.count = 100, .rate = 10000, .payload = 32});
    EXPECT_EQ(e->sent, 100u);
    EXPECT_EQ(e->answered, 70u);
    EXPECT_EQ(e->lost, 30u) << "one in ten was dropped, two were damaged";
    EXPECT_EQ(e->damaged, 20u);
    EXPECT_EQ(e->duplicated, 10u);
    EXPECT_EQ(e->round_trip.count(), 70u);
}

TEST(Sender, AStallIsNotHidden) {
    // From the 51st request on, answers are held back until the last request has come. Requests are
    // 1 ms apart: the first of them waits a quarter of a second, and each later one 1 ms less.
    constexpr unsigned count = 300, free = 50;
    std::vector<std::vector<uint8_t>> held;
    unsigned n = 0;
    Peer peer([&](auto answer, const auto& send) {
        if (n++ <= free) return send(answer);
        held.push_back(answer);
        if (n == count + 1)
            for (const auto& one : held) send(one);
    });
    auto e = send_to(peer, {.count = count, .rate = 1000, .payload = 18});
    EXPECT_EQ(e->answered, count);
    // Request k is answered only after request 299 was due.
    EXPECT_GE(longer_than(e->round_trip, 100'000'000), count - free - 101);
    EXPECT_GE(e->round_trip.max(), 245'000'000u);
}

/// Requests come back at once; but for `ns` from the first request on, none leaves.
class Jammed : public Channel {
  public:
    explicit Jammed(uint64_t ns) : jam_(ns) {
        EXPECT_EQ(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends_), 0);
        socket_ = ends_[0];
    }
    ~Jammed() override {
        close(ends_[0]);
        close(ends_[1]);
    }
    size_t send(std::span<const Datagram> datagrams) override {
        bool knock = datagrams[0][8] == 0xFF;
        timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        uint64_t now =
            static_cast<uint64_t>(t.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(t.tv_nsec);
        if (!knock && until_ == 0) until_ = now + jam_;
        if (!knock && now < until_) return 0;
        size_t sent = 0;
        for (Datagram one : datagrams) sent += ::send(ends_[1], one.data(), one.size(), 0) > 0;
        return sent;
    }
    void send_stop() override { on_stop(); }
    bool stopping() override { return true; }
    std::function<void()> on_stop;

  private:
    Datagram unpack(std::span<const uint8_t> received) override { return received; }
    int ends_[2];
    uint64_t jam_, until_ = 0;
};

TEST(Sender, WhatIsHeldBackHereIsInTheFiguresToo) {
    // Latency from the actual sending would be almost zero for each of them: the classical mistake.
    constexpr uint64_t ms = 1'000'000;
    Jammed channel(100 * ms);
    Cancel cancel;
    channel.on_stop = [&] { cancel.now(); };
    auto e = std::make_unique<Echoes>();
    send_requests(channel, {.count = 200, .rate = 1000, .payload = 18, .mark = 1}, 5, cancel, *e);
    EXPECT_EQ(e->answered, 200u);
    EXPECT_GE(e->round_trip.max(), 100 * ms);
    EXPECT_GE(longer_than(e->round_trip, 50 * ms), 49u) << "each waits its own share";
    EXPECT_GE(longer_than(e->slip, 50 * ms), 49u) << "and it is said whose fault that is";
}

TEST(Sender, AnswersAfterMoreThanASecondAreLateAndStillInTheFigures) {
    Jammed channel(1'100'000'000);
    Cancel cancel;
    channel.on_stop = [&] { cancel.now(); };
    auto e = std::make_unique<Echoes>();
    send_requests(channel, {.count = 20, .rate = 1000, .payload = 18, .mark = 1}, 5, cancel, *e);
    EXPECT_EQ(e->late, 20u);
    EXPECT_EQ(e->lost, 0u);
    EXPECT_EQ(e->round_trip.count(), 20u);
}

TEST(Sender, AClosedLoopKeepsItsWindow) {
    unsigned outstanding = 0, most = 0;
    std::vector<std::vector<uint8_t>> held;
    Peer peer([&](auto answer, const auto& send) {
        held.push_back(answer);
        most = std::max(most, ++outstanding);
        // Answered in pairs; the knock, whose number is all ones, alone.
        if (held.size() < 2 && answer[50] != 0xFF) return;
        for (const auto& one : held) send(one), --outstanding;
        held.clear();
    });
    auto e = send_to(peer, {.count = 400, .window = 2, .payload = 18});
    EXPECT_EQ(e->answered, 400u);
    EXPECT_EQ(most, 2u);
    // A request is outstanding at any time, so that there is no pause between answers.
    EXPECT_LE(e->took, 2 * e->round_trip.sum());
}

TEST(Sender, AClosedLoopGoesOnAtOnceWhenAllItsAnswersCameTogether) {
    // Both answers are there before the sender looks: nothing else will wake it, and it must not
    // sleep until its timeout (4 s) each time.
    Jammed channel(0);
    Cancel cancel;
    channel.on_stop = [&] { cancel.now(); };
    auto e = std::make_unique<Echoes>();
    send_requests(channel, {.count = 20, .window = 2, .payload = 18, .mark = 1}, 5, cancel, *e);
    EXPECT_EQ(e->answered, 20u);
    EXPECT_LT(e->took, 2'000'000'000u) << "less than one sleep, where there would be nine";
}

TEST(Sender, AMissingPeerIsReported) {
    Peer peer([](auto, const auto&) {});
    Echoes e;
    Cancel cancel;
    auto channel = Channel::make(parse_net("udp:5555"), peer.ports(), wire::outside_address, 24);
    send_requests(*channel, {.count = 10, .mark = 1}, 1, cancel, e);
    EXPECT_EQ(e.sent, 0u);
    EXPECT_NE(e.failure.find("answered no request for 1 s"), std::string::npos);
    EXPECT_GT(e.knocks, 0u);
}

TEST(Sender, APortInUseIsAnErrorWithItsNumber) {
    uint16_t port = 0;
    int taken = bound(port);
    try {
        (void)Channel::make(parse_net("udp:5555"), {static_cast<uint16_t>(port - 1), port},
                            wire::outside_address, 24);
        FAIL() << "it was taken";
    } catch (const MachineError& error) {
        EXPECT_NE(std::string(error.what()).find(std::to_string(port)), std::string::npos)
            << error.what();
    }
    close(taken);
}

TEST(Net, WordsAreReadOrRefusedWithWhatWouldBeRight) {
    EXPECT_EQ(parse_net("wire").kind, Net::Kind::wire);
    EXPECT_FALSE(parse_net("user").outside());
    EXPECT_EQ(parse_net("udp:5555").port, 5555);
    EXPECT_EQ(parse_net("tap:tap0").interface, "tap0");
    EXPECT_TRUE(parse_net("tap:tap0").outside());
    for (const char* bad : {"", "udp", "udp:", "udp:x", "udp:80", "udp:65535", "udp:5555x",
                            "udp:-1", "tap", "tap:", "tap:a b", "tap:a/b", "tap:a,b",
                            "tap:sixteen-letters!", "tap:..", "wire:1", "ucp:5555"})
        EXPECT_THROW(parse_net(bad), UsageError) << bad;
    try {
        parse_net("udp:80");
    } catch (const UsageError& error) {
        EXPECT_NE(std::string(error.what()).find("1024"), std::string::npos) << error.what();
    }
}

TEST(Net, TheExactClockRefusesPacketsFromOutside) {
    MachineOptions options;
    options.net = "udp:5555";
    EXPECT_THROW(check(options), UsageError);
    options.clock = "live";
    EXPECT_NO_THROW(check(options));
    options.net = "tap:tap0";
    options.nic = "all";
    EXPECT_THROW(check(options), UsageError) << "two cards on one tap";
    EXPECT_EQ(cards_for("q35", true, parse_net("tap:tap0")), "virtio-net");
    EXPECT_EQ(cards_for("q35", true, parse_net("udp:5555")), "all");
}

TEST(Net, EachCardHasPortsOfItsOwn) {
    Net net = parse_net("udp:5000");
    EXPECT_EQ(card_ports(net, "e1000e", "e1000e").card, 5000);
    EXPECT_EQ(card_ports(net, "virtio-net", "virtio-net").card, 5000);
    EXPECT_NE(card_ports(net, "all", "virtio-net").card, card_ports(net, "all", "e1000e").card);
    MachineOptions options;
    options.clock = "live";
    options.net = "udp:5000";
    options.nic = "all";
    std::string words;
    for (const std::string& word : nic_arguments(options)) words += word + " ";
    for (const char* model : {"e1000e", "virtio-net"}) {
        CardPorts ports = card_ports(net, "all", model);
        EXPECT_NE(words.find("local.port=" + std::to_string(ports.card)), std::string::npos)
            << words;
        EXPECT_NE(words.find("remote.port=" + std::to_string(ports.other)), std::string::npos)
            << words;
    }
}

TEST(OutsidePlan, TakesTheLabsSettingsAndNothingWhereNothingIsSent) {
    MachineOptions machine;
    machine.clock = "live";
    machine.net = "udp:5000";
    Selection selection = select({"echo"}, {"rate=77", "address=192.168.7.9", "payload=100"});
    auto plan = outside_plan(selection, machine);
    ASSERT_TRUE(plan.has_value());
    EXPECT_EQ(plan->requests.rate, 77u);
    EXPECT_EQ(plan->requests.payload, 100u);
    EXPECT_EQ(plan->requests.count, 10000u) << "the lab's normal";
    EXPECT_EQ(plan->address, 0xC0A80709u);
    EXPECT_EQ(plan->evidence, "rough");
    EXPECT_NE(image_words(selection).find("set.address=3232237321"), std::string::npos);
    EXPECT_FALSE(outside_plan(select({"echo"}, {"requests=0"}), machine).has_value());
    EXPECT_FALSE(outside_plan(select({"timer"}, {}), machine).has_value());
    machine.net = "wire";
    EXPECT_FALSE(outside_plan(selection, machine).has_value());
    for (const char* bad : {"address=1.2.3", "address=1.2.3.4.5", "address=255.255.255.255",
                            "address=here", "rate=0", "payload=1473"})
        EXPECT_THROW(select({"echo"}, {bad}), UsageError) << bad;
}

}  // namespace
}  // namespace doorbell::harness
