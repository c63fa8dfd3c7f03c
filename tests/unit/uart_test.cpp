#include "firmware/platform/uart.h"

#include <deque>
#include <string>

#include "tests/unit/fakes.h"

namespace doorbell::test {
namespace {

using platform::Uart;

/// A 16550A at COM1. Fails when more is written than its transmitter can hold.
struct FakeUart : FakeDevice {
    static constexpr uint16_t base = 0x3F8;
    bool missing = false, no_fifo = false, deaf = false, stuck = false;
    uint8_t corrupt = 0;
    unsigned slowness = 0;  ///< reads of the line status until a full transmitter is empty
    uint8_t ier = 0xFF, lcr = 0, mcr = 0, fcr = 0;
    uint16_t divisor = 0;
    std::deque<uint8_t> transmitter, receiver;
    std::string line;
    unsigned until_empty = 0, status_reads = 0;

    size_t depth() const { return (fcr & 1) != 0 && !no_fifo ? 16 : 1; }
    void flush() {
        for (uint8_t b : transmitter) {
            if ((mcr & 0x10) == 0)
                line += static_cast<char>(b);
            else if (!deaf)
                receiver.push_back(b ^ corrupt);
        }
        transmitter.clear();
    }
    uint64_t on_read(uint64_t port, unsigned bytes) override {
        if (bytes != 1 || port < base || port > base + 7) return FakeDevice::on_read(port, bytes);
        if (missing) return 0xFF;
        switch (port - base) {
            case 0: {
                EXPECT_FALSE(lcr & 0x80) << "the divisor latch is open";
                if (receiver.empty()) return 0;
                uint8_t b = receiver.front();
                receiver.pop_front();
                return b;
            }
            case 2:
                return depth() == 16 ? 0xC1 : 0x01;
            case 5:
                ++status_reads;
                if (!transmitter.empty() && !stuck && until_empty-- == 0) flush();
                return (receiver.empty() ? 0 : 1) | (transmitter.empty() ? 0x60 : 0);
            default:
                return FakeDevice::on_read(port, bytes);
        }
    }
    void on_write(uint64_t port, unsigned bytes, uint64_t value) override {
        if (bytes != 1 || port < base || port > base + 7)
            return FakeDevice::on_write(port, bytes, value);
        auto v = static_cast<uint8_t>(value);
        bool dlab = (lcr & 0x80) != 0;
        switch (port - base) {
            case 0:
                if (dlab) {
                    divisor = static_cast<uint16_t>((divisor & 0xFF00) | v);
                    break;
                }
                if (missing) break;
                EXPECT_LT(transmitter.size(), depth()) << "overrun of the transmitter";
                if (transmitter.empty()) until_empty = slowness;
                transmitter.push_back(v);
                break;
            case 1:
                dlab ? void(divisor = static_cast<uint16_t>((divisor & 0xFF) | v << 8))
                     : void(ier = v);
                break;
            case 2:
                fcr = v;
                break;
            case 3:
                lcr = v;
                break;
            case 4:
                mcr = v;
                break;
            default:
                FakeDevice::on_write(port, bytes, value);
        }
    }
};

struct UartTest : testing::Test {
    FakeUart fake;
    Result<Uart> bring_up(uint32_t baud = 115200) {
        return Uart::bring_up(cpu::Ports(fake), Uart::com1, baud);
    }
};

TEST_F(UartTest, ComesUp8n1WithFifoAndWithoutInterrupts) {
    auto uart = bring_up(9600);
    ASSERT_TRUE(uart);
    EXPECT_EQ(fake.divisor, 12);
    EXPECT_EQ(fake.lcr, 0x03);
    EXPECT_EQ(fake.ier, 0);
    EXPECT_EQ(fake.mcr & 0x10, 0) << "out of loopback";
    EXPECT_TRUE(uart->has_fifo());
    EXPECT_TRUE(fake.line.empty()) << "the self-test does not reach the line";
}

TEST_F(UartTest, ABaudRateThatCannotBeIsAnError) {
    for (uint32_t baud : {0u, 7u, 100000u, 230400u}) EXPECT_FALSE(bring_up(baud)) << baud;
    EXPECT_TRUE(fake.writes.empty());
}

TEST_F(UartTest, AMissingUartIsAnErrorAtOnce) {
    fake.missing = true;
    auto uart = bring_up();
    ASSERT_FALSE(uart);
    EXPECT_STREQ(uart.error().what, "no UART at this port");
    EXPECT_TRUE(fake.writes.empty());
}

TEST_F(UartTest, AUartThatDoesNotHearItselfIsAnErrorWithinTheBound) {
    fake.deaf = true;
    EXPECT_STREQ(bring_up().error().what, "waited for the UART to hear itself in loopback");
    EXPECT_LE(fake.status_reads, Uart::most_reads + 10);
    EXPECT_EQ(fake.mcr & 0x10, 0) << "out of loopback";
}

TEST_F(UartTest, AUartThatMangledTheByteIsAnError) {
    fake.corrupt = 0x01;
    EXPECT_STREQ(bring_up().error().what, "the UART heard another byte than it sent in loopback");
}

TEST_F(UartTest, EveryByteArrivesOnceAndInOrder) {
    for (bool no_fifo : {false, true}) {
        FakeUart chip;
        chip.no_fifo = no_fifo;
        chip.slowness = 5;
        Uart uart = *Uart::bring_up(cpu::Ports(chip), Uart::com1);
        EXPECT_EQ(uart.has_fifo(), !no_fifo);
        std::string text;
        for (int i = 0; i < 1000; ++i) text += static_cast<char>(i * 7);
        EXPECT_TRUE(uart.write(text));
        EXPECT_TRUE(uart.drain());
        EXPECT_EQ(chip.line, text);
    }
}

TEST_F(UartTest, SixteenBytesToAWait) {
    Uart uart = *bring_up();
    fake.slowness = 0;
    unsigned before = fake.status_reads;
    EXPECT_TRUE(uart.write(std::string(160, 'x')));
    EXPECT_LE(fake.status_reads - before, 20u);
}

TEST_F(UartTest, AStuckTransmitterIsWaitedForOnceAndThenSilent) {
    Uart uart = *bring_up();
    fake.stuck = true;
    unsigned before = fake.status_reads;
    EXPECT_FALSE(uart.write(std::string(100, 'x')));
    EXPECT_TRUE(uart.gone());
    EXPECT_LE(fake.status_reads - before, Uart::most_reads + 1);
    auto accesses = fake.writes.size();
    before = fake.status_reads;
    EXPECT_FALSE(uart.write('y'));
    EXPECT_FALSE(uart.write("more"));
    EXPECT_FALSE(uart.drain());
    EXPECT_FALSE(uart.read());
    EXPECT_EQ(fake.writes.size(), accesses) << "nothing is tried any more";
    EXPECT_EQ(fake.status_reads, before);
}

TEST_F(UartTest, ReadNeverWaits) {
    Uart uart = *bring_up();
    EXPECT_FALSE(uart.read());
    fake.receiver = {'a', 0xFF};
    EXPECT_EQ(uart.read(), 'a');
    EXPECT_EQ(uart.read(), 0xFF);
    EXPECT_FALSE(uart.read());
    fake.missing = true;  // unplugged
    EXPECT_FALSE(uart.read());
}

TEST_F(UartTest, ADefaultUartTakesEverythingAndTouchesNothing) {
    Uart uart;
    EXPECT_TRUE(uart.gone());
    EXPECT_FALSE(uart.write("text"));
    EXPECT_FALSE(uart.read());
    EXPECT_FALSE(uart.drain());
}

}  // namespace
}  // namespace doorbell::test
