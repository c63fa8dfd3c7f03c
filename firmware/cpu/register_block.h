// A device's memory-mapped registers of 32 bits, each a type (field.h): a value goes to its own
// register, in its own device's block, and nowhere else.
#pragma once
#include <concepts>
#include <cstdint>

#include "firmware/cpu/access.h"
#include "firmware/cpu/field.h"

namespace doorbell::cpu {

/// A register made of bits, `at` bytes into the block of `Device` (any type that names the device).
template <class Device, uint64_t at>
struct BlockRegister : Register<at> {
    using Block = Device;
    static constexpr bool is_number = false;
};
/// One that holds a number (an index, an address, a count) and takes any.
template <class Device, uint64_t at>
struct BlockNumber : Register<at> {
    using Block = Device;
    static constexpr bool is_number = true;
};

template <class R, class Device>
concept RegisterOf = std::same_as<typename R::Block, Device>;

template <class Device>
class RegisterBlock {
  public:
    constexpr RegisterBlock() = default;
    constexpr explicit RegisterBlock(Mmio window) : window_(window) {}
    /// The register itself, for measured code and for the handlers in assembly.
    template <RegisterOf<Device> R>
    Mmio at() const {
        return window_.at(R::address);
    }
    template <RegisterOf<Device> R>
    Value<R> read() const {
        return Value<R>(window_.read32(R::address));
    }
    template <RegisterOf<Device> R>
    void write(Value<R> value) const {
        window_.write32(R::address, value.word());
    }
    template <RegisterOf<Device> R>
        requires R::is_number
    void write(uint32_t number) const {
        window_.write32(R::address, number);
    }
    /// Element `i` of an array of registers that begins at R.
    template <RegisterOf<Device> R>
        requires R::is_number
    void write_element(uint32_t i, uint32_t number) const {
        window_.write32(R::address + 4 * i, number);
    }

  private:
    Mmio window_;
};

}  // namespace doorbell::cpu
