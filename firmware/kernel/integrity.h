// What must be as it was after anything that ring 3 did: the registers and tables that only ring 0
// may change. Image only.
#pragma once
#include <cstdint>

namespace doorbell::kernel {

class Integrity {
  public:
    /// How it is now. Take it after Kernel::start(), outside run().
    static Integrity take();
    /// The first thing that differs since take(), in words; null where nothing does.
    const char* differs() const;

  private:
    static constexpr unsigned most = 16;
    uint64_t values_[most] = {};
};

}  // namespace doorbell::kernel
