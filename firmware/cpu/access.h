// The only ways by which firmware reaches hardware: memory-mapped registers, I/O ports,
// model-specific registers, CPUID and the time-stamp counter. Every driver is handed the ones it
// may use. In the image they are single instructions; in a hosted build (unit tests on Linux) each
// forwards to an object the test owns, which is expected to fail the test on a register that it
// does not know. That is all that __STDC_HOSTED__ means in the firmware: no hardware is there
// (here and in measure/model_marker.h).
#pragma once
#include <cstdint>

namespace doorbell::cpu {

/// What CPUID returns for one leaf (SDM vol. 2A, CPUID).
struct CpuidRegisters {
    uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
};

#if __STDC_HOSTED__

/// A test's stand-in for everything behind a bus. `bytes` is 1, 2, 4 or 8.
struct FakeSpace {
    virtual uint64_t read(uint64_t address, unsigned bytes) = 0;
    virtual void write(uint64_t address, unsigned bytes, uint64_t value) = 0;

  protected:
    ~FakeSpace() = default;
};

/// A block of memory-mapped registers; offsets in bytes from its start.
class Mmio {
  public:
    constexpr Mmio() = default;
    constexpr Mmio(FakeSpace& space, uint64_t base) : space_(&space), base_(base) {}
    constexpr uint64_t base() const { return base_; }
    constexpr Mmio at(uint64_t offset) const { return Mmio(*space_, base_ + offset); }
    uint8_t read8(uint64_t o) const { return static_cast<uint8_t>(space_->read(base_ + o, 1)); }
    uint16_t read16(uint64_t o) const { return static_cast<uint16_t>(space_->read(base_ + o, 2)); }
    uint32_t read32(uint64_t o) const { return static_cast<uint32_t>(space_->read(base_ + o, 4)); }
    uint64_t read64(uint64_t o) const { return space_->read(base_ + o, 8); }
    void write8(uint64_t o, uint8_t v) const { space_->write(base_ + o, 1, v); }
    void write16(uint64_t o, uint16_t v) const { space_->write(base_ + o, 2, v); }
    void write32(uint64_t o, uint32_t v) const { space_->write(base_ + o, 4, v); }
    void write64(uint64_t o, uint64_t v) const { space_->write(base_ + o, 8, v); }

  private:
    FakeSpace* space_ = nullptr;
    uint64_t base_ = 0;
};

/// The 64 Ki I/O ports (IN/OUT).
class Ports {
  public:
    constexpr Ports() = default;
    constexpr explicit Ports(FakeSpace& space) : space_(&space) {}
    uint8_t in8(uint16_t p) const { return static_cast<uint8_t>(space_->read(p, 1)); }
    uint16_t in16(uint16_t p) const { return static_cast<uint16_t>(space_->read(p, 2)); }
    uint32_t in32(uint16_t p) const { return static_cast<uint32_t>(space_->read(p, 4)); }
    void out8(uint16_t p, uint8_t v) const { space_->write(p, 1, v); }
    void out16(uint16_t p, uint16_t v) const { space_->write(p, 2, v); }
    void out32(uint16_t p, uint32_t v) const { space_->write(p, 4, v); }

  private:
    FakeSpace* space_ = nullptr;
};

/// Model-specific registers (RDMSR/WRMSR). Touch one only where CPUID or the model says that it
/// exists.
class Msrs {
  public:
    constexpr Msrs() = default;
    constexpr explicit Msrs(FakeSpace& space) : space_(&space) {}
    uint64_t read(uint32_t msr) const { return space_->read(msr, 8); }
    void write(uint32_t msr, uint64_t value) const { space_->write(msr, 8, value); }

  private:
    FakeSpace* space_ = nullptr;
};

/// CPUID, by a function the test supplies.
class Cpuid {
  public:
    using Fake = CpuidRegisters (*)(void* context, uint32_t leaf, uint32_t subleaf);
    constexpr Cpuid() = default;
    constexpr Cpuid(Fake fake, void* context) : fake_(fake), context_(context) {}
    CpuidRegisters operator()(uint32_t leaf, uint32_t subleaf = 0) const {
        return fake_(context_, leaf, subleaf);
    }

  private:
    Fake fake_ = nullptr;
    void* context_ = nullptr;
};

/// The time-stamp counter, by a function the test supplies (which usually also moves its fake
/// devices on).
class Tsc {
  public:
    using Fake = uint64_t (*)(void* context);
    constexpr Tsc() = default;
    constexpr Tsc(Fake fake, void* context) : fake_(fake), context_(context) {}
    uint64_t operator()() const { return fake_(context_); }
    /// The time of fake devices advances only when they are accessed.
    static void pass_time() {}

  private:
    Fake fake_ = nullptr;
    void* context_ = nullptr;
};

#else

class Mmio {
  public:
    constexpr Mmio() = default;
    constexpr explicit Mmio(uint64_t base) : base_(base) {}
    constexpr uint64_t base() const { return base_; }
    constexpr Mmio at(uint64_t offset) const { return Mmio(base_ + offset); }
    uint8_t read8(uint64_t o) const { return *pointer<uint8_t>(o); }
    uint16_t read16(uint64_t o) const { return *pointer<uint16_t>(o); }
    uint32_t read32(uint64_t o) const { return *pointer<uint32_t>(o); }
    uint64_t read64(uint64_t o) const { return *pointer<uint64_t>(o); }
    void write8(uint64_t o, uint8_t v) const { *pointer<uint8_t>(o) = v; }
    void write16(uint64_t o, uint16_t v) const { *pointer<uint16_t>(o) = v; }
    void write32(uint64_t o, uint32_t v) const { *pointer<uint32_t>(o) = v; }
    void write64(uint64_t o, uint64_t v) const { *pointer<uint64_t>(o) = v; }

  private:
    template <class T>
    volatile T* pointer(uint64_t o) const {
        return reinterpret_cast<volatile T*>(base_ + o);
    }
    uint64_t base_ = 0;
};

class Ports {
  public:
    static uint8_t in8(uint16_t p) {
        uint8_t v;
        asm volatile("inb %1, %0" : "=a"(v) : "Nd"(p));
        return v;
    }
    static uint16_t in16(uint16_t p) {
        uint16_t v;
        asm volatile("inw %1, %0" : "=a"(v) : "Nd"(p));
        return v;
    }
    static uint32_t in32(uint16_t p) {
        uint32_t v;
        asm volatile("inl %1, %0" : "=a"(v) : "Nd"(p));
        return v;
    }
    static void out8(uint16_t p, uint8_t v) {
        asm volatile("outb %0, %1" : : "a"(v), "Nd"(p) : "memory");
    }
    static void out16(uint16_t p, uint16_t v) {
        asm volatile("outw %0, %1" : : "a"(v), "Nd"(p) : "memory");
    }
    static void out32(uint16_t p, uint32_t v) {
        asm volatile("outl %0, %1" : : "a"(v), "Nd"(p) : "memory");
    }
};

class Msrs {
  public:
    static uint64_t read(uint32_t msr) {
        uint32_t low, high;
        asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
        return static_cast<uint64_t>(high) << 32 | low;
    }
    static void write(uint32_t msr, uint64_t value) {
        asm volatile("wrmsr"
                     :
                     : "c"(msr), "a"(static_cast<uint32_t>(value)),
                       "d"(static_cast<uint32_t>(value >> 32))
                     : "memory");
    }
};

class Cpuid {
  public:
    CpuidRegisters operator()(uint32_t leaf, uint32_t subleaf = 0) const {
        CpuidRegisters r;
        asm volatile("cpuid"
                     : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
                     : "a"(leaf), "c"(subleaf));
        return r;
    }
};

class Tsc {
  public:
    uint64_t operator()() const {
        uint32_t low, high;
        asm volatile("lfence\n\trdtsc" : "=a"(low), "=d"(high) : : "memory");
        return static_cast<uint64_t>(high) << 32 | low;
    }
    /// Some time without an access to any device: about 2000 instructions.
    static void pass_time() {
        for (unsigned i = 0; i < 1000; ++i) asm volatile("");
    }
};

#endif

}  // namespace doorbell::cpu
