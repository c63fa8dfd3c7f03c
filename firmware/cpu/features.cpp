#include "firmware/cpu/features.h"

namespace doorbell::cpu {
namespace {

void put4(char* to, uint32_t word) {
    for (int i = 0; i < 4; ++i) to[i] = static_cast<char>(word >> 8 * i);
}

constexpr bool bit(uint32_t word, unsigned n) { return word >> n & 1; }

}  // namespace

Features Features::read(Cpuid cpuid) {
    Features f;
    CpuidRegisters r = cpuid(0);
    f.max_leaf = r.eax;
    put4(f.vendor, r.ebx);
    put4(f.vendor + 4, r.edx);
    put4(f.vendor + 8, r.ecx);

    CpuidRegisters one = cpuid(1);
    uint32_t base_family = one.eax >> 8 & 0xF;
    f.stepping = one.eax & 0xF;
    f.family = base_family == 0xF ? base_family + (one.eax >> 20 & 0xFF) : base_family;
    f.model = one.eax >> 4 & 0xF;
    if (base_family == 6 || base_family == 0xF) f.model |= one.eax >> 12 & 0xF0;
    f.apic_id = static_cast<uint8_t>(one.ebx >> 24);
    f.monitor = bit(one.ecx, 3);
    f.pcid = bit(one.ecx, 17);
    f.x2apic = bit(one.ecx, 21);
    f.tsc_deadline = bit(one.ecx, 24);
    f.xsave = bit(one.ecx, 26);
    f.avx = bit(one.ecx, 28);
    f.hypervisor_present = bit(one.ecx, 31);
    f.mtrr = bit(one.edx, 12);
    f.global_pages = bit(one.edx, 13);
    f.pat = bit(one.edx, 16);

    if (f.monitor && f.max_leaf >= 5) {
        CpuidRegisters m = cpuid(5);
        if ((m.ebx & 0xFFFF) != 0) f.monitor_line = m.ebx & 0xFFFF;
        f.mwait_interrupt_break = bit(m.ecx, 0) && bit(m.ecx, 1);
    }
    if (f.max_leaf >= 7) {
        CpuidRegisters s = cpuid(7, 0);
        f.fsgsbase = bit(s.ebx, 0);
        f.smep = bit(s.ebx, 7);
        f.invpcid = bit(s.ebx, 10);
        f.avx512f = bit(s.ebx, 16);
        f.smap = bit(s.ebx, 20);
        f.umip = bit(s.ecx, 2);
        f.la57 = bit(s.ecx, 16);
    }
    if (f.xsave && f.max_leaf >= 0xD) f.xsaveopt = bit(cpuid(0xD, 1).eax, 0);
    if (f.hypervisor_present) {
        CpuidRegisters h = cpuid(0x40000000);
        f.max_hypervisor_leaf = h.eax;
        put4(f.hypervisor, h.ebx);
        put4(f.hypervisor + 4, h.ecx);
        put4(f.hypervisor + 8, h.edx);
        for (int i = 0; i < 12 && f.hypervisor[i] != 0; ++i)
            if (f.hypervisor[i] < ' ' || f.hypervisor[i] > '~') f.hypervisor[i] = '?';
        if (f.hypervisor[0] == 0) put4(f.hypervisor, 0x3F3F3F3F);  // present, but nameless
    }

    f.max_extended_leaf = cpuid(0x80000000).eax;
    if (f.max_extended_leaf >= 0x80000001) {
        CpuidRegisters e = cpuid(0x80000001);
        f.no_execute = bit(e.edx, 20);
        f.gigabyte_pages = bit(e.edx, 26);
        f.rdtscp = bit(e.edx, 27);
    }
    if (f.max_extended_leaf >= 0x80000004) {
        char raw[49] = {};
        for (uint32_t i = 0; i < 3; ++i) {
            CpuidRegisters b = cpuid(0x80000002 + i);
            put4(raw + 16 * i, b.eax);
            put4(raw + 16 * i + 4, b.ebx);
            put4(raw + 16 * i + 8, b.ecx);
            put4(raw + 16 * i + 12, b.edx);
        }
        const char* from = raw;
        while (*from == ' ') ++from;
        for (int i = 0; from[i] != 0; ++i) f.brand[i] = from[i];
    }
    if (f.max_extended_leaf >= 0x80000007) f.invariant_tsc = bit(cpuid(0x80000007).edx, 8);
    if (f.max_extended_leaf >= 0x80000008)
        f.physical_bits = static_cast<uint8_t>(cpuid(0x80000008).eax);
    if (f.max_extended_leaf >= 0x80000021) f.lfence_serializing = bit(cpuid(0x80000021).eax, 2);
    return f;
}

}  // namespace doorbell::cpu
