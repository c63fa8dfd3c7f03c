#include "firmware/nic/e1000e.h"

#include <algorithm>
#include <functional>

#include "tests/unit/fake_nic.h"

namespace doorbell::test {
namespace {

using namespace nic;
using namespace nic::e1000e;

// The card's side of the registers, by the datasheet's numbers and not by the driver's names, so
// that a wrong offset or bit of the driver is seen (82574 datasheet, revision 3.4, chapter 10).
enum class R : uint32_t {
    ctrl = 0x0000,
    status = 0x0008,
    eec = 0x0010,
    ctrl_ext = 0x0018,
    icr = 0x00C0,
    itr = 0x00C4,
    ims = 0x00D0,
    imc = 0x00D8,
    eiac = 0x00DC,
    ivar = 0x00E4,
    eitr0 = 0x00E8,
    rctl = 0x0100,
    tctl = 0x0400,
    tipg = 0x0410,
    rdbal = 0x2800,
    rdbah = 0x2804,
    rdlen = 0x2808,
    rdh = 0x2810,
    rdt = 0x2818,
    rdtr = 0x2820,
    rxdctl = 0x2828,
    radv = 0x282C,
    tdbal = 0x3800,
    tdbah = 0x3804,
    tdlen = 0x3808,
    tdh = 0x3810,
    tdt = 0x3818,
    txdctl = 0x3828,
    crcerrs = 0x4000,
    mpc = 0x4010,
    ruc = 0x40A4,
    rfc = 0x40A8,
    roc = 0x40AC,
    rjc = 0x40B0,
    rfctl = 0x5008,
    mta = 0x5200,
    ral0 = 0x5400,
    rah0 = 0x5404,
};
namespace ctrl {
constexpr uint32_t full_duplex = 1 << 0, master_disable = 1 << 2, auto_speed = 1 << 5,
                   set_link_up = 1 << 6, speed_1000 = 2 << 8, force_speed = 1 << 11,
                   force_duplex = 1 << 12, reset = 1 << 26;
}
namespace status {
constexpr uint32_t full_duplex = 1 << 0, link_up = 1 << 1, master_enable = 1 << 19;
}
namespace eec {
constexpr uint32_t auto_read_done = 1 << 9;
}
namespace cause {
constexpr uint32_t receive_timer = 1 << 7, receive_queue0 = 1 << 20;
}
namespace rctl {
constexpr uint32_t enable = 1 << 1, mac_loopback = 1 << 6;
}
namespace tctl {
constexpr uint32_t enable = 1 << 1, pad_short = 1 << 3;
}

template <class To, class V>
concept Writes = requires(cpu::RegisterBlock<Block> card, V value) { card.write<To>(value); };
static_assert(Writes<Rctl, decltype(Rctl::enable)>);
static_assert(!Writes<Tctl, decltype(Rctl::enable)>, "a bit of RCTL is not one of TCTL");
static_assert(!Writes<Tctl, uint32_t>, "a register of bits takes no bare number");
static_assert(Writes<Tdt, uint32_t>);
struct OtherDevice;
template <class R>
concept ReadsOther = requires(cpu::RegisterBlock<OtherDevice> block) { block.read<R>(); };
static_assert(!ReadsOther<Rctl>, "nor is it another device's");

/// An 82574 as far as the driver needs it. It has only the registers of the datasheet that the
/// driver uses.
struct FakeE1000e final : FakeDevice {
    std::map<uint32_t, uint32_t> registers;
    bool gone = false, reset_sticks = false, link = true, eeprom = true, masters_stick = false,
         holds_transmit = false;
    unsigned resets = 0, tail_writes = 0;
    std::vector<std::vector<uint8_t>> sent;
    /// Runs in front of an access, after this many others.
    unsigned countdown = 0;
    std::function<void()> in_between;
    void count_down() {
        if (countdown != 0 && --countdown == 0) in_between();
    }

    uint32_t& at(R r) { return registers[static_cast<uint32_t>(r)]; }

    FakeE1000e() {
        for (R r : {R::ctrl,    R::status, R::eec,   R::ctrl_ext, R::icr,  R::itr,  R::ims,
                    R::imc,     R::eiac,   R::ivar,  R::eitr0,    R::rctl, R::tctl, R::tipg,
                    R::rdbal,   R::rdbah,  R::rdlen, R::rdh,      R::rdt,  R::rdtr, R::rxdctl,
                    R::radv,    R::tdbal,  R::tdbah, R::tdlen,    R::tdh,  R::tdt,  R::txdctl,
                    R::crcerrs, R::mpc,    R::ruc,   R::rfc,      R::roc,  R::rjc,  R::rfctl})
            at(r) = 0;
        for (uint32_t i = 0; i < 128; ++i) registers[static_cast<uint32_t>(R::mta) + 4 * i] = ~0u;
        at(R::ral0) = 0x12005452;
        at(R::rah0) = 0x5634;
        at(R::ims) = 0xFFFFFFFF;          // firmware left every interrupt enabled
        at(R::itr) = at(R::eitr0) = 500;  // and a throttle, which QEMU's card keeps over a reset
    }
    static bool clears_on_read(uint32_t a) {
        return (a >= 0x4000 && a < 0x4100) || a == static_cast<uint32_t>(R::icr);
    }

    uint64_t on_read(uint64_t a, unsigned bytes) override {
        EXPECT_EQ(bytes, 4u);
        count_down();
        if (gone) return 0xFFFFFFFF;
        auto found = registers.find(static_cast<uint32_t>(a));
        if (found == registers.end()) return FakeDevice::on_read(a, bytes);
        if (a == static_cast<uint32_t>(R::status))
            return (link ? status::link_up : 0) | status::full_duplex |
                   ((at(R::ctrl) & ctrl::master_disable) == 0 || masters_stick
                        ? status::master_enable
                        : 0);
        if (a == static_cast<uint32_t>(R::eec)) return eeprom ? eec::auto_read_done : 0;
        uint32_t value = found->second;
        if (clears_on_read(static_cast<uint32_t>(a))) found->second = 0;
        return value;
    }
    void on_write(uint64_t a, unsigned bytes, uint64_t v) override {
        EXPECT_EQ(bytes, 4u);
        count_down();
        auto value = static_cast<uint32_t>(v);
        auto found = registers.find(static_cast<uint32_t>(a));
        if (found == registers.end()) return FakeDevice::on_write(a, bytes, v);
        switch (static_cast<R>(a)) {
            case R::ctrl:
                if (value & ctrl::reset) {
                    ++resets;
                    at(R::rctl) = at(R::tctl) = at(R::ims) = 0;
                    if (!reset_sticks) value = 0;
                }
                break;
            case R::icr:
                value = found->second & ~value;
                break;
            case R::ims:
                value |= found->second;
                break;
            case R::imc:
                at(R::ims) &= ~value;
                return;
            default:
                break;
        }
        found->second = value;
        if (static_cast<R>(a) == R::rdt) ++tail_writes;
        if (static_cast<R>(a) == R::tdt) ++tail_writes, transmit();
    }

    ReceiveDescriptor* receive_ring() {
        return reinterpret_cast<ReceiveDescriptor*>(uint64_t{at(R::rdbah)} << 32 | at(R::rdbal));
    }
    TransmitDescriptor* transmit_ring() {
        return reinterpret_cast<TransmitDescriptor*>(uint64_t{at(R::tdbah)} << 32 | at(R::tdbal));
    }

    /// A frame from the cable. False: no descriptor, counted as missed.
    bool deliver(const std::vector<uint8_t>& bytes, uint8_t errors = 0, bool end_of_packet = true) {
        EXPECT_TRUE(at(R::rctl) & rctl::enable);
        uint32_t head = at(R::rdh);
        if (head == at(R::rdt)) {
            ++at(R::mpc);
            return false;
        }
        ReceiveDescriptor& d = receive_ring()[head];
        EXPECT_EQ(d.answer, 0u) << "given to the card with an old answer in it";
        std::copy(bytes.begin(), bytes.end(), reinterpret_cast<uint8_t*>(d.address));
        d.address = 0xDEAD;  // allowed: the driver must not rely on reading it back
        d.answer =
            bytes.size() | 1ull << 32 | uint64_t{end_of_packet} << 33 | uint64_t{errors} << 40;
        at(R::rdh) = (head + 1) % (at(R::rdlen) / 16);
        at(R::icr) |= cause::receive_queue0;
        return true;
    }
    void transmit() {
        if (holds_transmit || (at(R::tctl) & tctl::enable) == 0) return;
        while (at(R::tdh) != at(R::tdt)) {
            TransmitDescriptor& d = transmit_ring()[at(R::tdh)];
            auto* data = reinterpret_cast<const uint8_t*>(d.address);
            sent.emplace_back(data, data + (d.command & 0xFFFF));
            EXPECT_TRUE(d.command & transmit_command::end_of_packet);
            if (d.command & transmit_command::report_status)
                d.command = d.command | transmit_command::done;
            at(R::tdh) = (at(R::tdh) + 1) % (at(R::tdlen) / 16);
        }
    }
};

struct E1000eTest : testing::Test {
    World world;
    FakeE1000e fake;
    FakeConfig bus;
    platform::PciConfig config = by_ecam(bus);
    FakeFunction* function = nullptr;
    platform::PciFunction pci;
    Memory memory;

    E1000eTest() {
        world.tsc_cost = 1000000;  // reading the clock takes a millisecond, so that waits end soon
        fake.world = &world;
        function = &bus.add(0, 2, 0, FakeFunction::make(0x8086, 0x10D3, 0x020000));
        function->memory_bar(0, 0xFEB80000, 0x20000);
        function->capability(0x05, 0x50);
        function->put16(0x52, 0x80);
        function->put8(0x3D, 1);
        pci = platform::PciFunction::read(config, {0, 0, 2, 0});
        pci.bar(0).window = cpu::Mmio(fake, 0);
        pci.bar(0).mapped = true;
    }
    Result<Nic*> bring_up(uint32_t receive = 8, uint32_t transmit = 8, bool loopback = false) {
        return E1000e::bring_up(
            pci, {memory.arena(), world.tsc(), world.tsc_hz, receive, transmit, false, loopback});
    }
    /// The error of a card that must not come up, after checking that everything is off; ends in an
    /// asterisk where the machine only lacks something.
    std::string refused() {
        auto up = bring_up();
        EXPECT_FALSE(up);
        EXPECT_FALSE(function->bus_master()) << "bus mastering is off again";
        return up ? "" : up.error().what + std::string(up.error().lacking() ? "*" : "");
    }
};

TEST_F(E1000eTest, ComesUpReceivingAndSilent) {
    ASSERT_TRUE(E1000e::drives(pci));
    auto up = bring_up(16, 32);
    ASSERT_TRUE(up);
    EXPECT_EQ((*up)->mac(), (MacAddress{0x52, 0x54, 0x00, 0x12, 0x34, 0x56}));
    EXPECT_EQ(fake.resets, 1u);
    EXPECT_EQ(fake.at(R::ims), 0u) << "no interrupt before arm()";
    EXPECT_EQ(fake.at(R::rdlen), 16u * 16);
    EXPECT_EQ(fake.at(R::tdlen), 32u * 16);
    EXPECT_EQ(fake.at(R::rdt), 15u) << "all but one descriptor belong to the card";
    EXPECT_EQ(fake.at(R::rctl) & (3u << 16 | 1u << 5), 0u) << "2 KiB buffers, no long packets";
    EXPECT_TRUE(fake.at(R::tctl) & tctl::pad_short);
    EXPECT_EQ(fake.registers[static_cast<uint32_t>(R::mta) + 4 * 127], 0u);
    EXPECT_TRUE(function->bus_master());
    EXPECT_TRUE((*up)->check());
    EXPECT_EQ(fake.at(R::itr), 0u);
    EXPECT_EQ(fake.at(R::eitr0), 0u);
}

TEST_F(E1000eTest, WhatDoesNotComeIsSaidAndNotWaitedForForever) {
    fake.reset_sticks = true;
    EXPECT_EQ(refused(), "e1000e: reset did not complete within 100 ms (CTRL)");
    fake.reset_sticks = false;
    fake.at(R::ctrl) = 0;
    fake.eeprom = false;
    EXPECT_EQ(refused(), "e1000e: the EEPROM was not read within 100 ms of the reset (EEC)");
    fake.eeprom = true;
    fake.link = false;
    EXPECT_EQ(refused(), "e1000e: no link within 4 s (STATUS)*");
    fake.link = true;
    fake.masters_stick = true;
    EXPECT_EQ(refused(), "e1000e: the card's reads and writes did not end within 100 ms (STATUS)");
    fake.masters_stick = false;
    fake.gone = true;
    EXPECT_EQ(refused(), "e1000e: the card has vanished (registers read as all ones)");
    fake.gone = false;
    EXPECT_TRUE(bring_up());
}

TEST_F(E1000eTest, RingsThatCannotBeAreRefused) {
    EXPECT_FALSE(bring_up(12, 8));
    EXPECT_FALSE(bring_up(8, 4));
    EXPECT_FALSE(bring_up(8192, 8));
    Memory small(16384);
    auto up = E1000e::bring_up(pci, {small.arena(), world.tsc(), world.tsc_hz, 256, 256});
    ASSERT_FALSE(up);
    EXPECT_STREQ(up.error().what, "e1000e: no memory for rings and buffers");
    EXPECT_TRUE(up.error().lacking());
}

TEST_F(E1000eTest, ReceivesInOrderAroundTheRingInBursts) {
    Nic& nic = **bring_up();
    uint8_t next_in = 0, next_out = 0;
    Received frames[16];
    for (unsigned round = 0; round < 50; ++round) {
        unsigned burst = 1 + round % 7;  // the ring holds seven
        for (unsigned i = 0; i < burst; ++i)
            ASSERT_TRUE(fake.deliver(std::vector<uint8_t>(60 + i, next_in++)));
        unsigned before = fake.tail_writes;
        uint32_t n = nic.receive(frames, 16);
        ASSERT_EQ(n, burst);
        for (uint32_t i = 0; i < n; ++i) {
            EXPECT_EQ(frames[i].length, 60 + i);
            EXPECT_EQ(frames[i].errors, 0u);
            EXPECT_EQ(frames[i].data[0], next_out);
            EXPECT_EQ(frames[i].data[59], next_out++);
        }
        nic.recycle(n);
        EXPECT_EQ(fake.tail_writes, before + 1) << "one tail write a batch";
    }
    EXPECT_EQ(nic.receive(frames, 16), 0u);
    EXPECT_TRUE(nic.check());
}

TEST_F(E1000eTest, FramesThatAreHeldAreNotHandedOutAgain) {
    Nic& nic = **bring_up();
    Received frames[16];
    for (uint8_t i = 0; i < 7; ++i) ASSERT_TRUE(fake.deliver(std::vector<uint8_t>(60, i)));
    ASSERT_EQ(nic.receive(frames, 3), 3u);
    ASSERT_EQ(nic.receive(frames + 3, 16), 4u);
    EXPECT_EQ(frames[6].data[0], 6);
    EXPECT_EQ(nic.receive(frames, 16), 0u)
        << "the ring is the caller's, and the card is out of descriptors";
    EXPECT_FALSE(fake.deliver(std::vector<uint8_t>(60, 9)));
    nic.recycle(2);
    EXPECT_TRUE(fake.deliver(std::vector<uint8_t>(60, 10)));
    ASSERT_EQ(nic.receive(frames, 16), 1u);
    EXPECT_EQ(frames[0].data[0], 10);
}

TEST_F(E1000eTest, BadDescriptorsAreMarked) {
    Nic& nic = **bring_up();
    fake.deliver(std::vector<uint8_t>(60), 0x01);  // CE: wrong check sequence
    fake.deliver(std::vector<uint8_t>(60), 0x80);  // RXE
    fake.deliver(std::vector<uint8_t>(60),
                 0x60);  // IP and TCP checksums: the frame itself is whole
    fake.deliver(std::vector<uint8_t>(60), 0x00, false);  // goes on in the next descriptor
    Received frames[4];
    ASSERT_EQ(nic.receive(frames, 4), 4u);
    EXPECT_NE(frames[0].errors, 0u);
    EXPECT_NE(frames[1].errors, 0u);
    EXPECT_EQ(frames[2].errors, 0u);
    EXPECT_NE(frames[3].errors, 0u);
}

TEST_F(E1000eTest, OverflowLinkLossAndVanishingAreErrors) {
    Nic& nic = **bring_up();
    for (int i = 0; i < 9; ++i) fake.deliver(std::vector<uint8_t>(60));
    auto overflow = nic.check();
    ASSERT_FALSE(overflow);
    EXPECT_STREQ(overflow.error().what, "e1000e: the receive ring overflowed (packets missed)");
    EXPECT_EQ(overflow.error().value, 2u);
    EXPECT_FALSE(overflow.error().lacking());
    fake.link = false;
    EXPECT_STREQ(nic.check().error().what, "e1000e: the link is down (STATUS)");
    EXPECT_FALSE(nic.check().error().lacking()) << "it was up before";
    fake.gone = true;
    EXPECT_STREQ(nic.check().error().what,
                 "e1000e: the card has vanished (registers read as all ones)");
    nic.stop();  // ends, although nothing answers
}

TEST_F(E1000eTest, WhatTheCardDropsIsCounted) {
    fake.at(R::ruc) = 100;  // from before: does not count
    Nic& nic = **bring_up();
    fake.at(R::ruc) = 2, fake.at(R::rfc) = 1, fake.at(R::roc) = 3, fake.at(R::rjc) = 1,
    fake.at(R::crcerrs) = 5;
    CardCounts c = nic.counts();
    EXPECT_EQ(c.runts, 3u);
    EXPECT_EQ(c.over_long, 4u);
    EXPECT_EQ(c.bad_check, 5u);
    fake.at(R::ruc) = 1;
    EXPECT_EQ(nic.counts().runts, 4u) << "the card's counters start again when they are read";
}

TEST_F(E1000eTest, SendsABurstWithOneRing) {
    Nic& nic = **bring_up();
    uint8_t number = 0;
    for (unsigned round = 0; round < 40; ++round) {
        unsigned burst = 1 + round % 7;
        Outgoing out(burst, number);
        unsigned before = fake.tail_writes;
        ASSERT_EQ(nic.transmit(out.frames.data(), burst), burst);
        EXPECT_EQ(fake.tail_writes, before + 1);
        EXPECT_TRUE(nic.all_sent());
        ASSERT_EQ(fake.sent.size(), burst);
        for (auto& frame : fake.sent) EXPECT_EQ(frame, std::vector<uint8_t>(60, number++));
        fake.sent.clear();
    }
}

TEST_F(E1000eTest, AFullTransmitRingTakesWhatFitsAndRecovers) {
    Nic& nic = **bring_up();
    fake.holds_transmit = true;
    Outgoing out(12);
    EXPECT_EQ(nic.transmit(out.frames.data(), 5), 5u);
    EXPECT_EQ(nic.transmit(out.frames.data() + 5, 7), 2u) << "seven fit into a ring of eight";
    EXPECT_EQ(nic.transmit(out.frames.data() + 7, 5), 0u);
    EXPECT_FALSE(nic.all_sent());
    fake.holds_transmit = false;
    fake.transmit();
    EXPECT_TRUE(nic.all_sent());
    EXPECT_EQ(nic.transmit(out.frames.data() + 7, 5), 5u);
    ASSERT_EQ(fake.sent.size(), 12u);
    for (uint8_t i = 0; i < 12; ++i) EXPECT_EQ(fake.sent[i][0], i);
}

TEST_F(E1000eTest, QueuedFramesCanBeRungForOneByOne) {
    Nic& nic = **bring_up();
    Outgoing out(6);
    for (unsigned round = 0; round < 5; ++round) {
        fake.sent.clear();
        ASSERT_EQ(nic.queue(out.frames.data(), 6), 6u);
        EXPECT_TRUE(fake.sent.empty());
        auto writes = nic.tail_writes(6);
        ASSERT_TRUE(writes);
        for (uint32_t k = 0; k < 6; ++k) {
            writes->at.write32(0, (writes->first + k) & writes->mask);
            EXPECT_EQ(fake.sent.size(), k + 1);
        }
        EXPECT_TRUE(nic.all_sent());
    }
}

TEST_F(E1000eTest, ArmingForgetsOldCausesButNoWaitingPacket) {
    Nic& nic = **bring_up();
    Received frame;
    ASSERT_TRUE(nic.route(InterruptKind::msi, 0x61, 0));
    EXPECT_EQ(fake.at(R::ims), 0u);
    fake.deliver(std::vector<uint8_t>(60));
    fake.at(R::icr) = cause::receive_timer;
    ASSERT_EQ(nic.receive(&frame, 1), 1u);
    nic.recycle(1);
    EXPECT_TRUE(nic.arm());
    EXPECT_EQ(fake.at(R::icr) & cause::receive_timer, 0u)
        << "the packet that was polled does not interrupt";
    EXPECT_EQ(fake.at(R::ims), cause::receive_timer);
    nic.disarm();
    EXPECT_EQ(fake.at(R::ims), 0u);
    fake.deliver(std::vector<uint8_t>(60));
    EXPECT_FALSE(nic.arm()) << "its interrupt may never come: the caller must look";
}

TEST_F(E1000eTest, InterruptKindsThatAreNotThereAreErrors) {
    Nic& nic = **bring_up();
    EXPECT_FALSE(nic.route(InterruptKind::msix, 0x61, 0));
    function->put8(0x3D, 0);
    auto pinless = nic.route(InterruptKind::intx, 0x61, 0);
    ASSERT_FALSE(pinless);
    EXPECT_STREQ(pinless.error().what, "the card has no interrupt pin");
    EXPECT_TRUE(pinless.error().lacking());
    EXPECT_TRUE(function->get(4, 2) & 1 << 10) << "Interrupt Disable stays on";
    EXPECT_TRUE(nic.moderate(128000));
    EXPECT_EQ(fake.at(R::itr), 500u);
    EXPECT_EQ(fake.at(R::eitr0), 500u);
    EXPECT_FALSE(nic.moderate(17000000)) << "more than 16 bits of 256 ns";
}

TEST_F(E1000eTest, IntxPullsTheWireUntilIcrIsRead) {
    function->capability(0x11, 0x60);  // MSI-X, left enabled
    function->put16(0x62, 0x8000);
    pci = platform::PciFunction::read(config, {0, 0, 2, 0});
    pci.bar(0).window = cpu::Mmio(fake, 0);
    pci.bar(0).mapped = true;
    Nic& nic = **bring_up();
    EXPECT_TRUE(function->get(4, 2) & 1 << 10) << "no INTx before it is asked for";
    function->put16(0x52, 0x81);
    ASSERT_TRUE(nic.route(InterruptKind::intx, 0x61, 0));
    EXPECT_FALSE(function->get(4, 2) & 1 << 10) << "the wire is allowed";
    EXPECT_EQ(function->get(0x52, 2) & 1, 0u) << "MSI off, which would take the wire away";
    EXPECT_EQ(function->get(0x62, 2) & 0x8000, 0u) << "and MSI-X";
    EXPECT_EQ(nic.acknowledge_register(), static_cast<uint64_t>(R::icr));
    EXPECT_FALSE(nic.acknowledge_is_byte());
    EXPECT_TRUE(nic.arm());
    EXPECT_EQ(fake.at(R::ims), cause::receive_timer);
    nic.stop();
    EXPECT_TRUE(function->get(4, 2) & 1 << 10) << "stopped, it cannot pull the wire";
}

TEST_F(E1000eTest, LoopbackNeedsNoCable) {
    fake.link = false;
    auto up = bring_up(8, 8, true);
    ASSERT_TRUE(up) << up.error().what;
    EXPECT_TRUE(fake.at(R::rctl) & rctl::mac_loopback);
    constexpr uint32_t forced = ctrl::set_link_up | ctrl::force_speed | ctrl::speed_1000 |
                                ctrl::force_duplex | ctrl::full_duplex;
    EXPECT_EQ(fake.at(R::ctrl) & (forced | ctrl::auto_speed), forced) << "nobody to negotiate with";
    EXPECT_TRUE((*up)->check());
    (*up)->stop();
    fake.link = true;
    ASSERT_TRUE(bring_up());
    EXPECT_FALSE(fake.at(R::rctl) & rctl::mac_loopback);
    EXPECT_FALSE(fake.at(R::ctrl) & ctrl::force_speed);
}

std::vector<std::pair<uint64_t, uint64_t>> told;

TEST_F(E1000eTest, SaysWhereTheNextFramesLand) {
    Nic& nic = **bring_up();
    Received frames[8];
    for (uint8_t i = 0; i < 6; ++i) ASSERT_TRUE(fake.deliver(std::vector<uint8_t>(60, i)));
    ASSERT_EQ(nic.receive(frames, 6), 6u);
    nic.recycle(6);
    told.clear();
    nic.expected_writes(
        4, 60, [](uint64_t address, uint64_t bytes) { told.emplace_back(address, bytes); });
    ASSERT_EQ(told.size(), 8u);
    for (uint8_t i = 0; i < 4; ++i) ASSERT_TRUE(fake.deliver(std::vector<uint8_t>(60, i)));
    ASSERT_EQ(nic.receive(frames, 4), 4u);
    for (unsigned i = 0; i < 4; ++i) {
        EXPECT_EQ(told[2 * i].first, reinterpret_cast<uint64_t>(fake.receive_ring() + (6 + i) % 8))
            << "around the ring's end";
        EXPECT_EQ(told[2 * i].second, 16u);
        EXPECT_EQ(told[2 * i + 1].first, reinterpret_cast<uint64_t>(frames[i].data));
        EXPECT_EQ(told[2 * i + 1].second, 60u);
    }
}

/// Interrupt, poll until empty, arm again, with a packet coming in at every point of it in turn:
/// either arm() reports a waiting packet, or an interrupt is on its way.
TEST_F(E1000eTest, ReArmingLosesNoWakeUpWhereverAPacketComes) {
    unsigned seen_by_arm = 0, seen_by_interrupt = 0;
    for (InterruptKind kind : {InterruptKind::msi, InterruptKind::intx}) {
        for (unsigned point = 1;; ++point) {
            Nic& nic = **bring_up();
            ASSERT_TRUE(nic.route(kind, 0x61, 0));
            Received frame;
            bool came = false;
            fake.in_between = [&] {
                came = true;
                ASSERT_TRUE(fake.deliver(std::vector<uint8_t>(60)));
                fake.at(R::icr) |= cause::receive_timer;
            };
            ASSERT_TRUE(fake.deliver(std::vector<uint8_t>(60)));  // the one that woke us
            fake.at(R::icr) |= cause::receive_timer;
            fake.countdown = point;
            bool armed = false;
            for (unsigned round = 0; round < 4 && !armed; ++round) {
                while (nic.receive(&frame, 1) != 0) nic.recycle(1);
                armed = nic.arm();
                seen_by_arm += !armed;
            }
            ASSERT_TRUE(armed);
            bool passed = fake.countdown == 0;
            fake.countdown = 0;
            if (nic.receive_status().arrived()) {
                ++seen_by_interrupt;
                EXPECT_NE(fake.at(R::icr) & fake.at(R::ims), 0u)
                    << "asleep with a packet at the door; it came at access " << point;
            }
            EXPECT_EQ(came, passed);
            nic.stop();
            if (!passed) break;
        }
    }
    EXPECT_GE(seen_by_arm + seen_by_interrupt, 4u) << "the packet did come in between";
}

TEST_F(E1000eTest, StoppedItIsQuiet) {
    Nic& nic = **bring_up();
    (void)nic.route(InterruptKind::msi, 0x61, 0);
    (void)nic.arm();
    nic.stop();
    EXPECT_EQ(fake.at(R::ims), 0u);
    EXPECT_EQ(fake.at(R::rctl) & rctl::enable, 0u);
    EXPECT_EQ(fake.at(R::tctl) & tctl::enable, 0u);
    EXPECT_FALSE(function->bus_master());
    EXPECT_EQ(function->get(0x52, 2) & 1, 0u) << "MSI off";
}

}  // namespace
}  // namespace doorbell::test
