#include "firmware/platform/uart.h"

namespace doorbell::platform {
namespace {

// Registers, by offset from the base; the first two are the divisor while LCR.DLAB is set.
constexpr uint16_t data = 0, interrupt_enable = 1, fifo_control = 2, interrupt_id = 2,
                   line_control = 3, modem_control = 4, line_status = 5;
constexpr uint8_t data_ready = 1 << 0, thr_empty = 1 << 5, transmitter_empty = 1 << 6;
constexpr uint8_t dlab = 1 << 7, bits_8n1 = 0x03;
constexpr uint8_t dtr_rts_out2 = 0x0B, loopback = 1 << 4;

}  // namespace

Result<Uart> Uart::bring_up(cpu::Ports ports, uint16_t base, uint32_t baud) {
    uint32_t divisor = baud == 0 ? 0 : 115200 / baud;
    if (divisor == 0 || divisor > 0xFFFF || divisor * baud != 115200)
        return Error{"a UART cannot be set to this baud rate", baud};
    // Nobody drives the bus: no line status has all bits set.
    if (ports.in8(base + line_status) == 0xFF) return Lacking{"no UART at this port", base};

    Uart uart;
    uart.ports_ = ports;
    uart.base_ = base;
    ports.out8(base + interrupt_enable, 0);
    ports.out8(base + line_control, dlab | bits_8n1);
    ports.out8(base + data, static_cast<uint8_t>(divisor));
    ports.out8(base + interrupt_enable, static_cast<uint8_t>(divisor >> 8));
    ports.out8(base + line_control, bits_8n1);
    ports.out8(base + fifo_control, 0x07);  // FIFOs on, both emptied
    uart.fifo_ = (ports.in8(base + interrupt_id) & 0xC0) == 0xC0 ? 16 : 1;

    ports.out8(base + modem_control, loopback | dtr_rts_out2);
    Error error{nullptr};
    for (uint8_t probe : {uint8_t{0x5A}, uint8_t{0xA5}}) {
        ports.out8(base + data, probe);
        if (!uart.wait_for(data_ready)) {
            error = {"waited for the UART to hear itself in loopback", base};
            break;
        }
        if (uint8_t heard = ports.in8(base + data); heard != probe) {
            error = {"the UART heard another byte than it sent in loopback", heard};
            break;
        }
    }
    ports.out8(base + modem_control, dtr_rts_out2);
    if (error.what != nullptr) return error;
    uart.gone_ = false;
    return uart;
}

bool Uart::wait_for(uint8_t status_bits) const {
    for (uint32_t i = 0; i < most_reads; ++i)
        if ((ports_.in8(base_ + line_status) & status_bits) == status_bits) return true;
    return false;
}

bool Uart::write(char c) {
    if (gone_) return false;
    if (room_ == 0) {
        if (!wait_for(thr_empty)) {
            gone_ = true;
            return false;
        }
        room_ = fifo_;
    }
    --room_;
    ports_.out8(base_ + data, static_cast<uint8_t>(c));
    return true;
}

bool Uart::write(std::string_view text) {
    for (char c : text)
        if (!write(c)) return false;
    return true;
}

bool Uart::drain() {
    if (gone_) return false;
    if (!wait_for(transmitter_empty)) gone_ = true;
    return !gone_;
}

std::optional<uint8_t> Uart::read() const {
    if (gone_) return std::nullopt;
    uint8_t status = ports_.in8(base_ + line_status);
    if (status == 0xFF || (status & data_ready) == 0) return std::nullopt;
    return ports_.in8(base_ + data);
}

}  // namespace doorbell::platform
