// The responder answers what it must, with right checksums. It answers nothing else, and counts
// each frame by its kind.
#include "firmware/nic/answer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "tests/unit/packets.h"

namespace doorbell::test {
namespace {

using namespace nic;

constexpr MacAddress mac{0x52, 0x54, 0, 0x12, 0x34, 0x56};
constexpr uint32_t address = 0x0A444402;
const Responder responder(mac, address, 24);
const Ends ends;

struct Outcome {
    Fate fate;
    Bytes answer;  ///< empty: none
};

/// In a buffer of exactly the frame's length (or the shortest frame's), so that the sanitizer sees
/// an access beyond it. The bytes after the frame are poison that must not be sent.
Outcome given(const Bytes& frame, uint32_t errors = 0) {
    Bytes buffer(std::max<size_t>(frame.size(), shortest_frame), 0xA5);
    std::copy(frame.begin(), frame.end(), buffer.begin());
    Answer a = responder.answer({buffer.data(), static_cast<uint32_t>(frame.size()), errors});
    EXPECT_EQ(a.length != 0, static_cast<unsigned>(a.fate) < answered_fates);
    EXPECT_TRUE(a.length == 0 || (a.length >= shortest_frame && a.length <= buffer.size()))
        << a.length;
    if (a.length == 0) {
        EXPECT_TRUE(std::equal(frame.begin(), frame.end(), buffer.begin()))
            << "an unanswered frame was changed";
        return {a.fate, {}};
    }
    buffer.resize(a.length);
    return {a.fate, buffer};
}

Fate fate(const Bytes& frame) { return given(frame).fate; }

Bytes numbered(size_t n) {
    Bytes b(n);
    for (size_t i = 0; i < n; ++i) b[i] = static_cast<uint8_t>(i * 7 + 1);
    return b;
}

/// Checks that a reply has exchanged addresses, a right header checksum and time to live, and
/// `length` bytes followed by zeros.
void expect_reply(const Bytes& asked, const Bytes& reply, size_t length) {
    ASSERT_GE(reply.size(), length);
    EXPECT_TRUE(std::equal(&reply[0], &reply[6], &asked[6]));
    EXPECT_TRUE(std::equal(mac.begin(), mac.end(), &reply[6]));
    EXPECT_EQ(get32(reply, 26), get32(asked, 30));
    EXPECT_EQ(get32(reply, 30), get32(asked, 26));
    EXPECT_EQ(reply[22], 64);
    EXPECT_EQ(sum16(reply, 14, 34), 0xFFFFu);
    EXPECT_EQ(14u + get16(reply, 16), length);
    for (size_t i = length; i < reply.size(); ++i)
        EXPECT_EQ(reply[i], 0) << "byte " << i << " behind the packet";
}

TEST(Answer, ArpTellsOurAddress) {
    for (bool padded : {false, true}) {
        Bytes ask = arp_request(ends, address);
        if (padded) ask.resize(60, 0x77);
        Outcome o = given(ask);
        ASSERT_EQ(o.fate, Fate::arp);
        ASSERT_EQ(o.answer.size(), 60u);
        Bytes expected = ethernet(ends.from_mac, ends.to_mac, 0x0806, {0, 1, 8, 0, 6, 4, 0, 2});
        expected.insert(expected.end(), mac.begin(), mac.end());
        expected.insert(expected.end(), {10, 68, 68, 2});
        expected.insert(expected.end(), ends.from_mac.begin(), ends.from_mac.end());
        expected.insert(expected.end(), {10, 68, 68, 1});
        expected.resize(60);
        EXPECT_EQ(o.answer, expected);
    }
    // RFC 5227: somebody without an address asks whether ours is free.
    Ends nobody = ends;
    nobody.from = 0;
    EXPECT_EQ(fate(arp_request(nobody, address)), Fate::arp);
}

TEST(Answer, ArpThatMustNotBeAnswered) {
    EXPECT_EQ(fate(arp_request(ends, address + 1)), Fate::not_for_us);
    Bytes reply = arp_request(ends, address);
    put16(reply, 20, 2);
    EXPECT_EQ(fate(reply), Fate::other_message);
    for (auto [at, value] : {std::pair{14, 6}, {16, 0x86DD}, {18, 0x0806}, {20, 3}}) {
        Bytes other = arp_request(ends, address);
        put16(other, static_cast<size_t>(at), static_cast<unsigned>(value));
        EXPECT_EQ(fate(other), Fate::other_message) << at;
    }
    for (uint32_t from :
         {address, 0x7F000001u, 0xE0000001u, 0xFFFFFFFFu, 0x0A4444FFu, 0x0A444400u}) {
        Ends e = ends;
        e.from = from;
        EXPECT_EQ(fate(arp_request(e, address)), Fate::bad_source) << std::hex << from;
    }
    for (const Bytes& from_mac :
         {everybody, Bytes(6), Bytes{1, 0, 0x5E, 0, 0, 1}, Bytes(mac.begin(), mac.end())}) {
        Ends e = ends;
        e.from_mac = from_mac;
        EXPECT_EQ(fate(arp_request(e, address)), Fate::bad_source);
    }
    Bytes whole = arp_request(ends, address);
    for (size_t cut = 14; cut < whole.size(); ++cut)
        EXPECT_EQ(fate(Bytes(whole.begin(), whole.begin() + static_cast<long>(cut))),
                  Fate::truncated)
            << cut;
}

TEST(Answer, IcmpEchoOfEveryLength) {
    for (size_t n = 0; n <= 1472; n += n < 70 ? 1 : 67) {
        Bytes ask = icmp_echo(ends, numbered(n)), data = numbered(n);
        Outcome o = given(ask);
        ASSERT_EQ(o.fate, Fate::icmp_echo) << n;
        ASSERT_NO_FATAL_FAILURE(expect_reply(ask, o.answer, ask.size()));
        EXPECT_EQ(o.answer[34], 0);
        EXPECT_EQ(sum16(o.answer, 34, ask.size()), 0xFFFFu) << n;
        EXPECT_TRUE(std::equal(data.begin(), data.end(), o.answer.begin() + 42));
        EXPECT_TRUE(std::equal(&ask[38], &ask[42], &o.answer[38]))
            << "identifier and sequence number stay";
    }
}

TEST(Answer, IcmpChecksumIsRightAtBothEndsOfOnesComplement) {
    // Every value of the field: 0 and 0xFFFF are the same number, and RFC 1624's update must handle
    // both.
    for (unsigned word = 0; word <= 0xFFFF; ++word) {
        Bytes data(2);
        put16(data, 0, word);
        Bytes ask = icmp_echo(ends, data);
        Outcome o = given(ask);
        ASSERT_EQ(o.fate, Fate::icmp_echo) << word;
        ASSERT_EQ(sum16(o.answer, 34, ask.size()), 0xFFFFu) << word;
    }
}

TEST(Answer, AnEchoOfNothingButZerosHasAChecksumThatIsNotZero) {
    Bytes ask = icmp_echo(ends, Bytes(8));
    put16(ask, 38, 0), put16(ask, 40, 0);
    seal_icmp(ask);
    Outcome o = given(ask);
    ASSERT_EQ(o.fate, Fate::icmp_echo);
    EXPECT_EQ(get16(o.answer, 36), 0xFFFFu);
}

TEST(Answer, UdpEchoOfEveryLength) {
    for (size_t n = 0; n <= 1472; n += n < 70 ? 1 : 67)
        for (bool checked : {true, false}) {
            Bytes ask = udp(ends, 4711, 7, numbered(n)), data = numbered(n);
            if (!checked) put16(ask, 40, 0);
            Outcome o = given(ask);
            ASSERT_EQ(o.fate, Fate::udp_echo) << n;
            ASSERT_NO_FATAL_FAILURE(expect_reply(ask, o.answer, ask.size()));
            EXPECT_EQ(get16(o.answer, 34), 7u);
            EXPECT_EQ(get16(o.answer, 36), 4711u);
            EXPECT_EQ(get16(o.answer, 40), checked ? udp_checksum(o.answer) : 0u);
            EXPECT_TRUE(std::equal(data.begin(), data.end(), o.answer.begin() + 42));
        }
}

TEST(Answer, PaddingOfTheLinkStaysOutOfTheAnswer) {
    Bytes ask = udp(ends, 4711, 7, text("hi"));
    size_t length = ask.size();
    for (size_t padded : {60, 64, 200}) {
        Bytes frame = ask;
        frame.resize(padded, 0x77);
        Outcome o = given(frame);
        ASSERT_EQ(o.fate, Fate::udp_echo);
        EXPECT_EQ(o.answer.size(), 60u);
        expect_reply(ask, o.answer, length);
    }
}

TEST(Answer, AnyTimeToLiveIsAnswered) {
    // RFC 1122, 3.2.1.7: a host must not throw a datagram away for a time to live below 2.
    for (unsigned ttl = 0; ttl <= 255; ++ttl) {
        Bytes ask = udp(ends, 4711, 7, text("hi"));
        ask[22] = static_cast<uint8_t>(ttl);
        seal_ip(ask);
        Outcome o = given(ask);
        ASSERT_EQ(o.fate, Fate::udp_echo) << ttl;
        expect_reply(ask, o.answer, ask.size());
    }
}

TEST(Answer, StopIsAWordToItsPort) {
    EXPECT_EQ(fate(udp(ends, 4711, 0x4442, text("stop"))), Fate::stop);
    EXPECT_EQ(fate(udp(ends, 4711, 0x4442, text("stop!"))), Fate::other_port);
    EXPECT_EQ(fate(udp(ends, 4711, 0x4442, text("sto"))), Fate::other_port);
    EXPECT_EQ(fate(udp(ends, 4711, 7, text("stop"))), Fate::udp_echo);
}

TEST(Answer, EveryDamagedBitShows) {
    // A frame with any wrong bit in the checked part is never answered: RFC 1071 detects every
    // single-bit error.
    for (const Bytes& good : {udp(ends, 4711, 7, numbered(21)), icmp_echo(ends, numbered(21))})
        for (size_t at = 14; at < good.size(); ++at)
            for (int bit = 0; bit < 8; ++bit) {
                Bytes bad = good;
                bad[at] ^= static_cast<uint8_t>(1 << bit);
                Outcome o = given(bad);
                EXPECT_TRUE(o.answer.empty()) << "byte " << at << " bit " << bit;
            }
}

TEST(Answer, WrongChecksumsAreCountedAsThat) {
    Bytes ip = udp(ends, 4711, 7, text("hi"));
    ip[19] ^= 1;  // the identification
    EXPECT_EQ(fate(ip), Fate::bad_checksum);
    Bytes datagram = udp(ends, 4711, 7, text("hi"));
    datagram.back() ^= 1;
    EXPECT_EQ(fate(datagram), Fate::bad_checksum);
    Bytes message = icmp_echo(ends, text("hi"));
    message.back() ^= 1;
    EXPECT_EQ(fate(message), Fate::bad_checksum);
}

TEST(Answer, LengthsThatLie) {
    Bytes good = udp(ends, 4711, 7, numbered(30));
    for (size_t cut = 14; cut < good.size(); ++cut)
        EXPECT_EQ(fate(Bytes(good.begin(), good.begin() + static_cast<long>(cut))), Fate::truncated)
            << cut;
    for (unsigned total : {0u, 19u, 20u, 27u, 57u, 59u, 1500u, 65535u}) {
        Bytes f = good;
        put16(f, 16, total);
        seal_ip(f);
        EXPECT_EQ(fate(f), Fate::truncated) << total;
    }
    for (unsigned length : {0u, 7u, 39u, 65535u}) {
        Bytes f = good;
        put16(f, 38, length);
        put16(f, 40, 0);
        EXPECT_EQ(fate(f), Fate::truncated) << length;
    }
    Bytes message = ipv4(ends, 1, Bytes(7));
    EXPECT_EQ(fate(message), Fate::truncated);
    for (unsigned first : {0x44u, 0x40u, 0x55u, 0x65u, 0x05u}) {
        Bytes f = good;
        f[14] = static_cast<uint8_t>(first);
        EXPECT_EQ(fate(f), Fate::bad_header) << first;
    }
}

TEST(Answer, OptionsAndFragmentsAreNotAnswered) {
    Bytes options = udp(ends, 4711, 7, numbered(30));
    options[14] = 0x46;
    seal_ip(options);
    EXPECT_EQ(fate(options), Fate::options);
    for (unsigned flags : {0x2000u, 0x0001u, 0x1FFFu, 0x2001u}) {
        Bytes f = udp(ends, 4711, 7, text("hi"));
        put16(f, 20, flags);
        seal_ip(f);
        EXPECT_EQ(fate(f), Fate::fragment) << flags;
    }
    Bytes whole = udp(ends, 4711, 7, text("hi"));
    put16(whole, 20, 0);  // may be fragmented, but is not
    seal_ip(whole);
    EXPECT_EQ(fate(whole), Fate::udp_echo);
}

TEST(Answer, WhatIsForOthersIsLeftAlone) {
    Ends e = ends;
    e.to = address + 1;
    EXPECT_EQ(fate(udp(e, 4711, 7, {})), Fate::not_for_us);
    for (uint32_t to : {0x0A4444FFu, 0xFFFFFFFFu, 0xE0000001u}) {
        e = ends;
        e.to = to;
        EXPECT_EQ(fate(icmp_echo(e, {})), Fate::not_for_us)
            << "a broadcast is never answered (RFC 1122, 3.2.2.6)";
        e.to_mac = everybody;
        EXPECT_EQ(fate(icmp_echo(e, {})), Fate::not_for_us);
    }
    e = ends;
    e.to_mac = everybody;
    EXPECT_EQ(fate(icmp_echo(e, {})), Fate::not_for_us)
        << "broadcast on the link to one host's address (RFC 1122, 3.3.6)";
    e.to_mac = {1, 0, 0x5E, 0, 0, 1};
    EXPECT_EQ(fate(icmp_echo(e, {})), Fate::not_for_us);
    e.to_mac = {0x52, 0x54, 0, 0x12, 0x34, 0x57};
    EXPECT_EQ(fate(icmp_echo(e, {})), Fate::not_for_us);
}

TEST(Answer, SourcesThatNoHostMayHave) {
    for (uint32_t from : {0u, 0x00000001u, 0x7F000001u, 0xE0000001u, 0xF0000001u, 0xFFFFFFFFu,
                          address, 0x0A4444FFu, 0x0A444400u}) {
        Ends e = ends;
        e.from = from;
        EXPECT_EQ(fate(udp(e, 4711, 7, {})), Fate::bad_source) << std::hex << from;
        EXPECT_EQ(fate(icmp_echo(e, {})), Fate::bad_source) << std::hex << from;
    }
    Ends far = ends;
    far.from = 0xC0A801FF;  // 192.168.1.255 may be a host in another network
    EXPECT_EQ(fate(icmp_echo(far, {})), Fate::icmp_echo);
    for (const Bytes& from_mac :
         {everybody, Bytes(6), Bytes{1, 0, 0x5E, 0, 0, 1}, Bytes(mac.begin(), mac.end())}) {
        Ends e = ends;
        e.from_mac = from_mac;
        EXPECT_EQ(fate(icmp_echo(e, {})), Fate::bad_source);
    }
    // An echo that is answered by an echo would never end.
    for (unsigned port : {0u, 7u, 13u, 17u, 19u})
        EXPECT_EQ(fate(udp(ends, port, 7, {})), Fate::bad_source) << port;
    EXPECT_EQ(fate(udp(ends, 20, 7, {})), Fate::udp_echo);
}

TEST(Answer, OtherKindsAreCountedAsWhatTheyAre) {
    EXPECT_EQ(fate(Bytes(13)), Fate::runt);
    EXPECT_EQ(fate({}), Fate::runt);
    EXPECT_EQ(fate(Bytes(1515)), Fate::over_long);
    EXPECT_EQ(given(udp(ends, 4711, 7, {}), 0x80).fate, Fate::broken);
    EXPECT_EQ(fate(ethernet(ends.to_mac, ends.from_mac, 0x8100, Bytes(46))), Fate::vlan);
    EXPECT_EQ(fate(ethernet(ends.to_mac, ends.from_mac, 0x88A8, Bytes(46))), Fate::vlan);
    for (unsigned type : {0x0000u, 0x0100u, 0x0801u, 0x86DDu, 0x88CCu, 0x88B5u})
        EXPECT_EQ(fate(ethernet(ends.to_mac, ends.from_mac, type, Bytes(46))),
                  Fate::other_ethertype)
            << type;
    EXPECT_EQ(fate(ipv4(ends, 6, Bytes(20))), Fate::other_protocol);
    for (unsigned type : {0u, 3u, 5u, 13u, 255u})
        EXPECT_EQ(fate(icmp_echo(ends, {}, type)), Fate::other_message) << type;
    EXPECT_EQ(fate(icmp_echo(ends, {}, 8, 1)), Fate::other_message);
    EXPECT_EQ(fate(udp(ends, 4711, 8, {})), Fate::other_port);
}

TEST(Answer, EveryFateHasANameOfItsOwn) {
    std::set<std::string> names;
    for (const char* name : fate_names) {
        ASSERT_NE(name, nullptr);
        names.insert(name);
    }
    EXPECT_EQ(names.size(), fates);
    EXPECT_STREQ(fate_names[static_cast<unsigned>(Fate::other_port)], "other-port");
    EXPECT_STREQ(fate_names[static_cast<unsigned>(Fate::bad_checksum)], "bad-checksum");
}

}  // namespace
}  // namespace doorbell::test
