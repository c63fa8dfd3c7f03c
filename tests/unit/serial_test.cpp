// The choice of the serial port.
#include "firmware/platform/serial.h"

#include <map>

#include "tests/unit/fake_pci.h"

namespace doorbell::test {
namespace {

using platform::SerialChoice;

/// UARTs at some ports, and PCI behind 0xCF8. Other ports float.
struct Ports final : FakeDevice {
    struct Uart {
        bool deaf = false;
        uint8_t mcr = 0, lcr = 0, heard = 0;
        bool full = false;
    };
    std::map<uint16_t, Uart> uarts;
    FakeConfig config;
    FakeConfigPorts pci{config};

    Uart* at(uint64_t port) {
        auto found = uarts.find(static_cast<uint16_t>(port & ~7ull));
        return found == uarts.end() ? nullptr : &found->second;
    }
    uint64_t on_read(uint64_t port, unsigned bytes) override {
        if (port >= 0xCF8 && port <= 0xCFF) return pci.on_read(port, bytes);
        Uart* uart = at(port);
        if (uart == nullptr) return 0xFF;
        switch (port & 7) {
            case 0:
                uart->full = false;
                return uart->heard;
            case 5:
                return 0x60 | (uart->full ? 1 : 0);
            default:
                return 0;
        }
    }
    void on_write(uint64_t port, unsigned bytes, uint64_t value) override {
        if (port >= 0xCF8 && port <= 0xCFF) return pci.on_write(port, bytes, value);
        Uart* uart = at(port);
        if (uart == nullptr) return;
        auto v = static_cast<uint8_t>(value);
        switch (port & 7) {
            case 0:
                if ((uart->lcr & 0x80) != 0 || (uart->mcr & 0x10) == 0 || uart->deaf) return;
                uart->heard = v;
                uart->full = true;
                return;
            case 3:
                uart->lcr = v;
                return;
            case 4:
                uart->mcr = v;
                return;
            default:
                return;
        }
    }
    FakeFunction& serial_card(uint8_t device, uint16_t port) {
        FakeFunction& f = config.add(0, device, 0, FakeFunction::make(0x1B36, 0x0002, 0x070002));
        f.put16(4, 0);
        f.put32(0x10, port | 1u);
        uarts[port] = {};
        return f;
    }
    Result<platform::SerialPort> find(const char* word, platform::AcpiSerial firmwares = {},
                                      uint32_t baud = 0) {
        auto choice = SerialChoice::read(word);
        EXPECT_TRUE(choice) << word;
        choice->baud = baud;
        cpu::Ports ports(*this);
        platform::PciConfig by_ports{ports};
        return platform::find_serial(ports, by_ports, *choice, firmwares);
    }
};

TEST(Serial, TheFirstPortThatHearsItselfIsTaken) {
    Ports ports;
    for (uint16_t port : {uint16_t{0x2E8}, uint16_t{0x3E8}, uint16_t{0x2F8}, uint16_t{0x3F8}}) {
        ports.uarts[port] = {};
        EXPECT_EQ(ports.find("auto")->port, port);
    }
    ports.uarts[0x3F8].deaf = true;
    EXPECT_EQ(ports.find("auto")->port, 0x2F8) << "the first one does not hear itself";
}

TEST(Serial, TheFirmwaresPortIsTakenFirstAtItsRate) {
    Ports ports;
    ports.uarts[0x3F8] = {};
    ports.uarts[0x2F8] = {};
    auto found = ports.find("auto", {0x2F8, 57600});
    ASSERT_TRUE(found);
    EXPECT_EQ(found->port, 0x2F8);
    EXPECT_EQ(found->baud, 57600u);
    EXPECT_EQ(ports.find("auto", {0x2F8, 0})->baud, 115200u) << "the table does not say";
    EXPECT_EQ(ports.find("auto", {0x2F8, 57600}, 9600)->baud, 9600u) << "the user says";
    EXPECT_EQ(ports.find("com1", {0x2F8, 57600})->baud, 115200u) << "another port's rate";
    EXPECT_EQ(ports.find("com2", {0x2F8, 57600})->baud, 57600u);
    EXPECT_EQ(ports.find("auto", {0x5000, 9600})->port, 0x3F8) << "nothing is there";
    EXPECT_EQ(ports.find("auto", {0x5000, 9600})->baud, 115200u);
    ports.uarts[0x2F8].deaf = true;
    EXPECT_EQ(ports.find("auto", {0x2F8, 57600})->port, 0x3F8);
}

TEST(Serial, ARateIsOneThatAUartHas) {
    EXPECT_EQ(*SerialChoice::read_baud("9600"), 9600u);
    EXPECT_EQ(*SerialChoice::read_baud("115200"), 115200u);
    for (const char* word : {"", "0", "600", "9601", "230400", "9600x", "-9600", "99999999999999"})
        EXPECT_FALSE(SerialChoice::read_baud(word)) << word;
}

TEST(Serial, ACardIsTakenWhereNoFixedPortAnswers) {
    Ports ports;
    EXPECT_FALSE(ports.find("auto"));
    ports.config.add(0, 2, 0, FakeFunction::make(0x8086, 0x10D3, 0x020000));
    ports.config.add(0, 3, 0, FakeFunction::make(0x8086, 0x1234, 0x078000));
    FakeFunction& card = ports.serial_card(4, 0xC060);
    auto found = ports.find("auto");
    ASSERT_TRUE(found);
    EXPECT_EQ(found->port, 0xC060);
    EXPECT_TRUE(found->pci);
    EXPECT_EQ(card.get(4, 2) & 1, 1u) << "its I/O is decoded";
    ports.uarts[0x3F8] = {};
    EXPECT_EQ(ports.find("auto")->port, 0x3F8);
    EXPECT_EQ(ports.find("pci")->port, 0xC060);
}

TEST(Serial, TheOneThatIsAskedForIsTakenOrNone) {
    Ports ports;
    ports.uarts[0x3F8] = {};
    ports.uarts[0x2F8] = {};
    ports.uarts[0xD000] = {};
    EXPECT_EQ(ports.find("com2")->port, 0x2F8);
    EXPECT_EQ(ports.find("0xd000")->port, 0xD000);
    for (const char* word : {"com3", "0x1000", "pci", "none"})
        EXPECT_FALSE(ports.find(word)) << word;
    for (const char* word : {"", "com", "com0", "com5", "COM1", "0x", "0x0", "0xFFFFF", "0xfff9",
                             "2f8", "0x2g8", "first"})
        EXPECT_FALSE(SerialChoice::read(word)) << word;
}

}  // namespace
}  // namespace doorbell::test
