// What CPUID says of this processor (SDM vol. 2A, CPUID; AMD APM vol. 3, appendix E).
#pragma once
#include <cstdint>
#include <string_view>

#include "firmware/cpu/access.h"

namespace doorbell::cpu {

struct Features {
    char vendor[13] = {};  ///< "GenuineIntel", "AuthenticAMD"
    char brand[49] =
        {};  ///< leaves 80000002h to 80000004h, leading blanks removed; "" where absent
    char hypervisor[13] = {};  ///< leaf 40000000h; "" on bare metal
    uint32_t max_leaf = 0, max_extended_leaf = 0;
    uint32_t family = 0, model = 0, stepping = 0;  ///< display family and model
    uint8_t physical_bits = 36;

    bool hypervisor_present = false;
    bool rdtscp = false, invariant_tsc = false, x2apic = false;
    bool monitor = false, pcid = false, invpcid = false, smep = false, smap = false, umip = false;
    bool no_execute = false, gigabyte_pages = false;
    bool xsave = false, avx = false;
    bool lfence_serializing = false;  ///< AMD only: CPUID Fn8000_0021_EAX[2]
    /// Of data, by level from 1 to 3, as CPUID promises; 0: it does not say.
    uint64_t cache_bytes[3] = {};
    /// Threads of a core, and from an APIC id to the core's; 0 threads: CPUID does not say.
    uint32_t threads = 0, core_shift = 0;

    bool intel() const { return std::string_view(vendor) == "GenuineIntel"; }
    bool amd() const {
        return std::string_view(vendor) == "AuthenticAMD" ||
               std::string_view(vendor) == "HygonGenuine";
    }
    /// QEMU's own emulation, as opposed to hardware or KVM.
    bool tcg() const { return std::string_view(hypervisor) == "TCGTCGTCGTCG"; }

    static Features read(Cpuid cpuid);
};

}  // namespace doorbell::cpu
