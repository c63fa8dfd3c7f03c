// A PMU of software, for an image that a test boots under emulation: pmu.cpp and pmu_pass.cpp are
// compiled again with this file in front of them (-include), and are otherwise unchanged.
// Registers are memory, CPUID.0AH reports version 4, and RDPMC, which QEMU's emulation lacks, is a
// call: the instruction's name is an assembler macro.
#pragma once
#include "firmware/cpu/access.h"

namespace doorbell::cpu {

class SoftMsrs {
  public:
    static uint64_t read(uint32_t msr);
    static void write(uint32_t msr, uint64_t value);
};

class SoftCpuid {
  public:
    CpuidRegisters operator()(uint32_t leaf, uint32_t subleaf = 0) const;
};

}  // namespace doorbell::cpu

#define Msrs SoftMsrs
#define Cpuid SoftCpuid

asm(".macro rdpmc\n\tcall soft_rdpmc\n\t.endm");
