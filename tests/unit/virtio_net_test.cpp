#include "firmware/nic/virtio_net.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include "tests/unit/fake_nic.h"

namespace doorbell::test {
namespace {

using namespace nic;
using namespace nic::virtio;

/// A modern virtio network device: its structures are in one BAR, 0x1000 apart.
struct FakeVirtio final : FakeDevice {
    static constexpr uint64_t common = 0x0000, isr = 0x1000, device = 0x2000, notify = 0x3000,
                              multiplier = 4;
    struct Queue {
        uint16_t most = 8, size = 8, vector = 0xFFFF, enabled = 0;
        uint64_t descriptors = 0, available = 0, used = 0;
        uint16_t seen = 0;  // the device's position in the available ring
        unsigned rings = 0;
        Descriptor* desc() { return reinterpret_cast<Descriptor*>(descriptors); }
        volatile uint16_t* avail() { return reinterpret_cast<volatile uint16_t*>(available); }
        volatile uint16_t* used_head() { return reinterpret_cast<volatile uint16_t*>(used); }
        volatile uint32_t* used_at(unsigned i) {
            return reinterpret_cast<volatile uint32_t*>(used + 4) + 2 * (i % size);
        }
        volatile uint16_t& avail_event() {
            return *reinterpret_cast<volatile uint16_t*>(used + 4 + 8 * size);
        }
        uint16_t used_event() { return avail()[2 + size]; }
        bool has_buffer() { return seen != avail()[1]; }
        uint16_t next_id() { return avail()[2 + seen++ % size]; }
        void put_used(uint32_t id, uint32_t length) {
            uint16_t index = used_head()[1];
            used_at(index)[0] = id;
            used_at(index)[1] = length;
            used_head()[1] = static_cast<uint16_t>(index + 1);
        }
    };
    Queue queues[2];
    uint64_t offered = feature::version_1 | feature::mac | feature::status | feature::event_index;
    uint64_t taken = 0;
    uint32_t offered_select = 0, taken_select = 0;
    uint16_t selected = 0, config_vector = 0;
    uint8_t status_byte = 0x0F;
    bool gone = false, link = true, reset_sticks = false, refuses_features = false,
         holds_transmit = false, refuses_vectors = false;
    std::vector<std::vector<uint8_t>> sent;

    Queue& queue() { return queues[selected < 2 ? selected : 0]; }

    uint64_t on_read(uint64_t a, unsigned bytes) override {
        if (gone) return bytes == 1 ? 0xFF : bytes == 2 ? 0xFFFF : 0xFFFFFFFF;
        if (a >= device + config_mac && a < device + config_mac + 6) return 0x50 + a - device;
        if (a == device + config_status) return link;
        switch (a) {
            case common::device_feature.offset:
                return static_cast<uint32_t>(offered >> 32 * offered_select);
            case common::device_status.offset:
                return status_byte;
            case common::queue_size.offset:
                return selected < 2 ? queue().most : 0;
            case common::queue_notify_off.offset:
                return selected;
            case common::queue_msix_vector.offset:
                return queue().vector;
            default:
                return FakeDevice::on_read(a, bytes);
        }
    }
    void on_write(uint64_t a, unsigned bytes, uint64_t v) override {
        if (gone) return;
        if (a >= notify) {
            EXPECT_EQ(bytes, 2u);
            EXPECT_EQ((a - notify) / multiplier, v) << "each queue at its own address";
            ring(static_cast<unsigned>(v));
            return;
        }
        auto half = [&](uint64_t& whole) {
            whole = a % 8 == 0 ? (whole & ~0xFFFFFFFFull) | v : (whole & 0xFFFFFFFF) | v << 32;
        };
        switch (a & ~uint64_t{a >= 0x20 ? 7u : 0u}) {
            case common::device_feature_select.offset:
                offered_select = static_cast<uint32_t>(v);
                return;
            case common::driver_feature_select.offset:
                taken_select = static_cast<uint32_t>(v);
                return;
            case common::driver_feature.offset:
                taken |= v << 32 * taken_select;
                return;
            case common::config_msix_vector.offset:
                config_vector = static_cast<uint16_t>(v);
                return;
            case common::device_status.offset:
                if (v == 0 && reset_sticks) return;
                if (v == 0) taken = 0, queues[0] = queues[1] = {};
                status_byte = static_cast<uint8_t>(v);
                if ((v & status::features_ok) && refuses_features)
                    status_byte &= ~status::features_ok;
                return;
            case common::queue_select.offset:
                selected = static_cast<uint16_t>(v);
                return;
            default:
                break;
        }
        if (a == common::queue_size.offset)
            queue().size = static_cast<uint16_t>(v);
        else if (a == common::queue_msix_vector.offset)
            queue().vector = refuses_vectors ? 0xFFFF : static_cast<uint16_t>(v);
        else if (a == common::queue_enable.offset)
            queue().enabled = static_cast<uint16_t>(v);
        else if (a >= 0x20 && a < 0x28)
            half(queue().descriptors);
        else if (a >= 0x28 && a < 0x30)
            half(queue().available);
        else if (a >= 0x30 && a < 0x38)
            half(queue().used);
        else
            FakeDevice::on_write(a, bytes, v);
    }
    void ring(unsigned number) {
        ++queues[number].rings;
        if (number == 1 && !holds_transmit) transmit();
    }
    void transmit() {
        Queue& q = queues[1];
        while (q.has_buffer()) {
            uint16_t id = q.next_id();
            auto* data = reinterpret_cast<const uint8_t*>(q.desc()[id].address);
            for (unsigned i = 0; i < 12; ++i)
                EXPECT_EQ(data[i], 0) << "the header asks for nothing";
            sent.emplace_back(data + 12, data + q.desc()[id].length);
            q.put_used(id, 0);
        }
    }
    /// A frame from the cable; false where there is no buffer.
    bool deliver(const std::vector<uint8_t>& bytes) {
        Queue& q = queues[0];
        if (!q.has_buffer()) return false;
        uint16_t id = q.next_id();
        Descriptor& d = q.desc()[id];
        EXPECT_LE(bytes.size() + 12, d.length);
        std::copy(bytes.begin(), bytes.end(), reinterpret_cast<uint8_t*>(d.address) + 12);
        q.put_used(id, static_cast<uint32_t>(bytes.size() + 12));
        return true;
    }
    /// 2.7.10: whether the last `fresh` packets interrupt.
    bool interrupts(uint16_t fresh = 1) {
        Queue& q = queues[0];
        uint16_t now = q.used_head()[1];
        return static_cast<uint16_t>(now - q.used_event() - 1) < fresh;
    }
};

struct VirtioNetTest : testing::Test {
    World world;
    FakeVirtio fake;
    FakeConfig bus;
    platform::PciConfig config = by_ecam(bus);
    FakeFunction* function = nullptr;
    platform::PciFunction pci;
    FakeDevice* msix_table = nullptr;
    Memory memory;

    void structure(uint8_t at, uint8_t type, uint32_t offset, uint32_t length) {
        function->capability(0x09, at);
        function->put8(at + 3, type);
        function->put8(at + 4, 4);
        function->put32(at + 8, offset);
        function->put32(at + 12, length);
    }
    VirtioNetTest() {
        world.tsc_cost = 1000000;
        fake.world = &world;
        function = &bus.add(0, 3, 0, FakeFunction::make(0x1AF4, 0x1041, 0x020000));
        function->memory_bar(4, 0xFEBF0000, 0x4000, true);
        structure(0x40, 1, FakeVirtio::common, 0x38);
        structure(0x54, 3, FakeVirtio::isr, 1);
        structure(0x68, 4, FakeVirtio::device, 0x10);
        structure(0x7C, 2, FakeVirtio::notify, 0x1000);
        function->put32(0x7C + 16, FakeVirtio::multiplier);
        refresh();
    }
    void refresh() {
        pci = platform::PciFunction::read(config, {0, 0, 3, 0});
        pci.bar(4).window = cpu::Mmio(fake, 0);
        pci.bar(4).mapped = true;
    }
    Result<Nic*> bring_up(uint32_t receive = 8, uint32_t transmit = 8) {
        return VirtioNet::bring_up(pci,
                                   {memory.arena(), world.tsc(), world.tsc_hz, receive, transmit});
    }
    /// An asterisk behind it: the machine only lacks something.
    std::string refused() {
        auto up = bring_up();
        EXPECT_FALSE(up);
        EXPECT_FALSE(function->bus_master()) << "bus mastering is off again";
        return up ? "" : up.error().what + std::string(up.error().lacking() ? "*" : "");
    }
};

TEST_F(VirtioNetTest, ComesUpWithTheFeaturesThatAreUsed) {
    ASSERT_TRUE(VirtioNet::drives(pci));
    fake.offered |= 0xFF01;  // and many that are not
    auto up = bring_up();
    ASSERT_TRUE(up);
    EXPECT_EQ(fake.taken,
              feature::version_1 | feature::mac | feature::status | feature::event_index);
    EXPECT_EQ(fake.status_byte, 0x0F);
    EXPECT_EQ((*up)->mac(), (MacAddress{0x50, 0x51, 0x52, 0x53, 0x54, 0x55}));
    EXPECT_EQ(fake.queues[0].enabled, 1);
    EXPECT_EQ(fake.queues[1].enabled, 1);
    EXPECT_EQ(fake.queues[0].avail()[1], 8) << "every buffer is the device's";
    EXPECT_EQ(fake.queues[0].vector, no_vector);
    EXPECT_EQ((*up)->transmit_room(), 8u);
}

TEST_F(VirtioNetTest, RingsAreAsLargeAsTheDeviceAllows) {
    auto up = bring_up(4, 1024);
    ASSERT_TRUE(up);
    EXPECT_EQ(fake.queues[0].size, 4);
    EXPECT_EQ(fake.queues[1].size, 8);
    EXPECT_EQ((*up)->transmit_room(), 8u);
}

TEST_F(VirtioNetTest, WhatDoesNotComeIsSaidAndNotWaitedForForever) {
    fake.reset_sticks = true;
    EXPECT_EQ(refused(), "virtio-net: reset did not complete within 100 ms (device_status)");
    fake.reset_sticks = false;
    fake.refuses_features = true;
    EXPECT_EQ(refused(), "virtio-net: the device refused the features*");
    fake.refuses_features = false;
    fake.link = false;
    EXPECT_EQ(refused(), "virtio-net: there is no link*");
    fake.link = true;
    fake.gone = true;
    EXPECT_EQ(refused(), "virtio-net: the device has vanished (registers read as all ones)");
    fake.gone = false;
    uint64_t all = fake.offered;
    fake.offered = all & ~feature::version_1;
    EXPECT_EQ(refused(), "virtio-net: the device is legacy only (no VIRTIO_F_VERSION_1)*");
    fake.offered = all & ~feature::mac;
    EXPECT_EQ(refused(), "virtio-net: the device has no address of its own (no VIRTIO_NET_F_MAC)*");
    fake.offered = all;
    EXPECT_TRUE(bring_up());
}

TEST_F(VirtioNetTest, StructuresAreCheckedAgainstTheirBar) {
    function->put32(0x7C + 8, 0x3001);  // one byte beyond the end
    EXPECT_EQ(refused(), "PCI: registers lie beyond their BAR's end");
    function->put32(0x7C + 8, FakeVirtio::notify);
    function->put32(0x40 + 12, 0x20);
    EXPECT_EQ(refused(), "virtio-net: a structure is shorter than the specification says");
    function->put32(0x40 + 12, 0x38);
    function->put8(0x68 + 3, 9);
    EXPECT_EQ(refused(), "virtio-net: a structure is missing (no such capability)*");
    function->put8(0x68 + 4, 5);
    function->put8(0x68 + 3, 4);
    EXPECT_EQ(refused(), "PCI: no memory behind this BAR*");
}

TEST_F(VirtioNetTest, AStructureInAnIoBarIsPassedOver) {
    // As QEMU's modern-pio-notify=on: the device offers a port for notifications.
    function->put32(0x10, 0xC001);
    function->bar_mask[0] = 0xFFFFFFFC;
    structure(0x90, 2, 0, 4);
    function->put8(0x90 + 4, 0);
    function->put32(0x90 + 16, 0);
    refresh();
    EXPECT_EQ(pci.capability(0x09), 0x90) << "the port's capability is the first";
    auto up = bring_up();
    ASSERT_TRUE(up) << up.error().what;
    EXPECT_EQ(fake.queues[0].rings, 1u) << "the notification is the second queue's";
    // Only the port: that is the reason.
    (*up)->stop();
    function->put8(0x7C + 3, 9);
    EXPECT_EQ(refused(), "PCI: no memory behind this BAR*");
}

TEST_F(VirtioNetTest, ADeviceBehindThePlatformsDmaIsTakenAtItsWord) {
    fake.offered |= feature::access_platform;
    ASSERT_TRUE(bring_up());
    EXPECT_NE(fake.taken & feature::access_platform, 0u);
    fake.refuses_features = true;
    EXPECT_NE(refused().find("VIRTIO_F_ACCESS_PLATFORM"), std::string::npos);
}

TEST_F(VirtioNetTest, ALegacyDeviceIsSaidToBeOne) {
    function->put16(6, function->get(6, 2) & ~0x10);
    EXPECT_NE(refused().find("legacy only"), std::string::npos);
}

TEST_F(VirtioNetTest, ReceivesInOrderWhileTheIndexWraps) {
    Nic& nic = **bring_up();
    Received frames[16];
    uint8_t next_in = 0, next_out = 0;
    for (unsigned total = 0; total < 140000;) {
        unsigned burst = 1 + total % 8;
        for (unsigned i = 0; i < burst; ++i)
            ASSERT_TRUE(fake.deliver(std::vector<uint8_t>(60, next_in++)));
        uint32_t n = nic.receive(frames, 16);
        ASSERT_EQ(n, burst);
        for (uint32_t i = 0; i < n; ++i) {
            ASSERT_EQ(frames[i].length, 60u);
            ASSERT_EQ(frames[i].errors, 0u);
            ASSERT_EQ(frames[i].data[59], next_out++);
        }
        ASSERT_FALSE(fake.interrupts(static_cast<uint16_t>(n))) << "not armed, at " << total;
        nic.recycle(n);
        total += n;
    }
    EXPECT_EQ(nic.receive(frames, 16), 0u);
}

TEST_F(VirtioNetTest, BuffersThatComeBackOutOfOrderAreAllRecycled) {
    Nic& nic = **bring_up();
    auto& q = fake.queues[0];
    std::vector<uint16_t> ids;
    for (int i = 0; i < 8; ++i) ids.push_back(q.next_id());
    for (int i = 7; i >= 0; --i) q.put_used(ids[static_cast<size_t>(i)], 72);
    Received frames[8];
    ASSERT_EQ(nic.receive(frames, 8), 8u);
    std::set<uint8_t*> places;
    for (auto& f : frames) places.insert(f.data);
    EXPECT_EQ(places.size(), 8u);
    nic.recycle(8);
    std::set<uint16_t> given;
    for (int i = 0; i < 8; ++i) given.insert(q.next_id());
    EXPECT_EQ(given.size(), 8u) << "each buffer once";
}

TEST_F(VirtioNetTest, ADeviceThatLiesIsMarkedNotFollowed) {
    Nic& nic = **bring_up();
    auto& q = fake.queues[0];
    for (int i = 0; i < 3; ++i) (void)q.next_id();
    q.put_used(0x80000000, 72);  // no such descriptor
    q.put_used(1, 100000);       // longer than its buffer
    q.put_used(2, 5);            // shorter than the header
    Received frames[4];
    ASSERT_EQ(nic.receive(frames, 4), 3u);
    for (int i = 0; i < 3; ++i) {
        EXPECT_NE(frames[i].errors, 0u) << i;
        EXPECT_EQ(frames[i].length, 0u) << i;
    }
    nic.recycle(3);
}

TEST_F(VirtioNetTest, TheNextPacketInterruptsOnceAfterArming) {
    Nic& nic = **bring_up();
    Received frame;
    EXPECT_TRUE(nic.arm());
    fake.deliver(std::vector<uint8_t>(60));
    EXPECT_TRUE(fake.interrupts());
    fake.deliver(std::vector<uint8_t>(60));
    EXPECT_FALSE(fake.interrupts()) << "once";
    EXPECT_FALSE(nic.arm()) << "two are waiting: the caller must take them";
    while (nic.receive(&frame, 1)) nic.recycle(1);
    EXPECT_TRUE(nic.arm());
    nic.disarm();
    fake.deliver(std::vector<uint8_t>(60));
    EXPECT_FALSE(fake.interrupts());
}

TEST_F(VirtioNetTest, SendsAndTakesItsDescriptorsBack) {
    Nic& nic = **bring_up();
    uint8_t number = 0;
    for (unsigned total = 0; total < 70000;) {
        unsigned burst = 1 + total % 8;
        Outgoing out(burst, number);
        unsigned before = fake.queues[1].rings;
        ASSERT_EQ(nic.transmit(out.frames.data(), burst), burst);
        ASSERT_EQ(fake.queues[1].rings, before + 1);
        ASSERT_EQ(fake.sent.size(), burst);
        for (auto& f : fake.sent) ASSERT_EQ(f, std::vector<uint8_t>(60, number++));
        ASSERT_TRUE(nic.all_sent());
        fake.sent.clear();
        total += burst;
    }
}

TEST_F(VirtioNetTest, AFullTransmitRingTakesWhatFitsAndRecovers) {
    Nic& nic = **bring_up();
    fake.holds_transmit = true;
    Outgoing out(10);
    EXPECT_EQ(nic.transmit(out.frames.data(), 10), 8u);
    EXPECT_EQ(nic.transmit(out.frames.data() + 8, 2), 0u);
    EXPECT_FALSE(nic.all_sent());
    fake.transmit();
    EXPECT_TRUE(nic.all_sent());
    fake.holds_transmit = false;
    EXPECT_EQ(nic.transmit(out.frames.data() + 8, 2), 2u);
    EXPECT_EQ(fake.sent.size(), 10u);
}

TEST_F(VirtioNetTest, AllBuffersFullLinkLossAndVanishingAreErrors) {
    Nic& nic = **bring_up();
    for (int i = 0; i < 8; ++i) EXPECT_TRUE(fake.deliver(std::vector<uint8_t>(60)));
    EXPECT_FALSE(fake.deliver(std::vector<uint8_t>(60)));
    EXPECT_STREQ(nic.check().error().what,
                 "virtio-net: the receive ring overflowed (every buffer is full)");
    Received frames[8];
    nic.recycle(nic.receive(frames, 8));
    EXPECT_TRUE(nic.check());
    fake.status_byte |= status::needs_reset;
    EXPECT_STREQ(nic.check().error().what,
                 "virtio-net: the device asks to be reset (device_status)");
    fake.status_byte &= ~status::needs_reset;
    fake.link = false;
    EXPECT_STREQ(nic.check().error().what, "virtio-net: the link is down");
    EXPECT_FALSE(nic.check().error().lacking()) << "it was up before";
    fake.gone = true;
    EXPECT_STREQ(nic.check().error().what,
                 "virtio-net: the device has vanished (registers read as all ones)");
    nic.stop();  // ends, although nothing answers
}

TEST_F(VirtioNetTest, ADeviceOutOfBuffersIsTold) {
    Nic& nic = **bring_up();
    auto& q = fake.queues[0];
    Received frames[8];
    for (int i = 0; i < 8; ++i) fake.deliver(std::vector<uint8_t>(60));
    q.avail_event() = 8;  // it asks to be notified of the ninth buffer
    unsigned before = q.rings;
    nic.recycle(nic.receive(frames, 4));
    EXPECT_EQ(q.rings, before + 1);
    nic.recycle(nic.receive(frames, 4));
    EXPECT_EQ(q.rings, before + 1) << "and of no other";
}

TEST_F(VirtioNetTest, IntxIsAcknowledgedByAByteOfIsrStatus) {
    function->put8(0x3D, 1);
    Nic& nic = **bring_up();
    ASSERT_TRUE(nic.route(InterruptKind::intx, 0x61, 0));
    EXPECT_FALSE(function->get(4, 2) & 1 << 10) << "the wire is allowed";
    EXPECT_EQ(nic.acknowledge_register(), FakeVirtio::isr);
    EXPECT_TRUE(nic.acknowledge_is_byte());
    EXPECT_EQ(fake.queues[0].vector, no_vector);
    nic.stop();
    EXPECT_TRUE(function->get(4, 2) & 1 << 10);
}

std::vector<std::pair<uint64_t, uint64_t>> told;

TEST_F(VirtioNetTest, SaysWhereTheNextFramesLand) {
    Nic& nic = **bring_up();
    Received frames[8];
    for (uint8_t i = 0; i < 6; ++i) ASSERT_TRUE(fake.deliver(std::vector<uint8_t>(60, i)));
    nic.recycle(nic.receive(frames, 6));
    told.clear();
    nic.expected_writes(
        4, 60, [](uint64_t address, uint64_t bytes) { told.emplace_back(address, bytes); });
    ASSERT_EQ(told.size(), 9u);
    EXPECT_EQ(told[0].first, fake.queues[0].used);
    for (uint8_t i = 0; i < 4; ++i) ASSERT_TRUE(fake.deliver(std::vector<uint8_t>(60, i)));
    ASSERT_EQ(nic.receive(frames, 4), 4u);
    for (unsigned i = 0; i < 4; ++i) {
        EXPECT_EQ(told[2 * i + 1].first, reinterpret_cast<uint64_t>(fake.queues[0].used_at(6 + i)))
            << "around the ring's end";
        EXPECT_EQ(told[2 * i + 2].first, reinterpret_cast<uint64_t>(frames[i].data) - 12)
            << "the header is written, too";
        EXPECT_EQ(told[2 * i + 2].second, 72u);
    }
}

/// Driver and device at the same time, on two threads: the driver polls until empty, arms, and
/// sleeps until the interrupt. Only the order of one store and one load on each side prevents a
/// lost wake-up.
TEST_F(VirtioNetTest, ReArmingLosesNoWakeUpAgainstADeviceThatRunsAtTheSameTime) {
    constexpr unsigned packets = 300000;
    Nic& nic = **bring_up();
    nic.disarm();
    std::atomic<bool> rung{false}, over{false};
    std::thread device([&] {
        std::vector<uint8_t> frame(60);
        for (unsigned sent = 0; sent < packets && !over;) {
            if (!fake.deliver(frame)) {
                std::this_thread::yield();
                continue;
            }
            ++sent;
            std::atomic_thread_fence(std::memory_order_seq_cst);
            if ((fake.queues[0].avail()[0] & 1) == 0 && fake.interrupts()) rung = true;
        }
    });
    unsigned received = 0, slept = 0;
    Received frames[8];
    bool lost = false;
    while (received < packets && !lost) {
        while (uint32_t n = nic.receive(frames, 8)) nic.recycle(n), received += n;
        if (received == packets || !nic.arm()) continue;
        ++slept;
        auto start = std::chrono::steady_clock::now();
        for (unsigned looks = 0; !rung && !lost; ++looks) {
            if (looks % 256 == 255) std::this_thread::yield();
            lost = std::chrono::steady_clock::now() - start > std::chrono::seconds(10);
        }
        rung = false;
        nic.disarm();
    }
    over = true;
    device.join();
    EXPECT_FALSE(lost) << "asleep with a packet at the door, after " << received << " packets";
    EXPECT_GT(slept, 100u) << "it hardly ever slept: nothing was tested";
}

TEST_F(VirtioNetTest, WhatItCannotDoIsAnError) {
    Nic& nic = **bring_up();
    EXPECT_FALSE(nic.moderate(1000));
    EXPECT_TRUE(nic.moderate(0));
    EXPECT_FALSE(nic.tail_writes(1));
    EXPECT_FALSE(nic.route(InterruptKind::msi, 0x61, 0));
    EXPECT_FALSE(nic.route(InterruptKind::msix, 0x61, 0)) << "this one has no table";
    EXPECT_FALSE(nic.route(InterruptKind::intx, 0x61, 0)) << "and no pin";
    EXPECT_FALSE(
        VirtioNet::bring_up(pci, {memory.arena(), world.tsc(), world.tsc_hz, 8, 8, false, true}))
        << "loopback";
    nic.stop();
    EXPECT_EQ(fake.status_byte, 0);
    EXPECT_FALSE(function->bus_master());
}

}  // namespace
}  // namespace doorbell::test
