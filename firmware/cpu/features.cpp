#include "firmware/cpu/features.h"

#include "firmware/cpu/cpuid.h"

namespace doorbell::cpu {
namespace {

void put4(char* to, uint32_t word) {
    for (int i = 0; i < 4; ++i) to[i] = static_cast<char>(word >> 8 * i);
}

void read_vendor(Cpuid cpuid, Features& f) {
    CpuidRegisters r = cpuid(0);
    f.max_leaf = r.eax;
    put4(f.vendor, r.ebx);
    put4(f.vendor + 4, r.edx);
    put4(f.vendor + 8, r.ecx);
}

/// Leaf 1: display family and model (SDM vol. 2A, CPUID, "INPUT EAX = 01H"), and the oldest bits.
void read_version(Cpuid cpuid, Features& f) {
    using namespace doorbell::cpu::cpuid;
    CpuidLeaf<1> one(cpuid);
    uint32_t family = one[VersionEax::family];
    f.stepping = one[VersionEax::stepping];
    f.family = family == 0xF ? family + one[VersionEax::extended_family] : family;
    f.model = one[VersionEax::model];
    if (family == 6 || family == 0xF) f.model |= one[VersionEax::extended_model] << 4;
    f.monitor = one[VersionEcx::monitor];
    f.pcid = one[VersionEcx::pcid];
    f.x2apic = one[VersionEcx::x2apic];
    f.xsave = one[VersionEcx::xsave];
    f.avx = one[VersionEcx::avx];
    f.hypervisor_present = one[VersionEcx::hypervisor];
}

void read_structured(Cpuid cpuid, Features& f) {
    using namespace doorbell::cpu::cpuid;
    if (f.max_leaf < 7) return;
    CpuidLeaf<7> structured(cpuid);
    f.smep = structured[StructuredEbx::smep];
    f.invpcid = structured[StructuredEbx::invpcid];
    f.smap = structured[StructuredEbx::smap];
    f.umip = structured[StructuredEcx::umip];
}

void read_hypervisor(Cpuid cpuid, Features& f) {
    if (!f.hypervisor_present) return;
    CpuidRegisters h = cpuid(cpuid::first_hypervisor);
    put4(f.hypervisor, h.ebx);
    put4(f.hypervisor + 4, h.ecx);
    put4(f.hypervisor + 8, h.edx);
    for (int i = 0; i < 12 && f.hypervisor[i] != 0; ++i)
        if (f.hypervisor[i] < ' ' || f.hypervisor[i] > '~') f.hypervisor[i] = '?';
    if (f.hypervisor[0] == 0) put4(f.hypervisor, 0x3F3F3F3F);  // present, but nameless
}

void read_brand(Cpuid cpuid, Features& f) {
    char raw[49] = {};
    for (uint32_t i = 0; i < 3; ++i) {
        CpuidRegisters b = cpuid(cpuid::brand + i);
        put4(raw + 16 * i, b.eax);
        put4(raw + 16 * i + 4, b.ebx);
        put4(raw + 16 * i + 8, b.ecx);
        put4(raw + 16 * i + 12, b.edx);
    }
    const char* from = raw;
    while (*from == ' ') ++from;
    for (int i = 0; from[i] != 0; ++i) f.brand[i] = from[i];
}

void read_extended(Cpuid cpuid, Features& f) {
    using namespace doorbell::cpu::cpuid;
    f.max_extended_leaf = cpuid(first_extended).eax;
    if (f.max_extended_leaf >= extended_features) {
        CpuidLeaf<extended_features> extended(cpuid);
        f.no_execute = extended[ExtendedEdx::no_execute];
        f.gigabyte_pages = extended[ExtendedEdx::gigabyte_pages];
        f.rdtscp = extended[ExtendedEdx::rdtscp];
    }
    if (f.max_extended_leaf >= brand + 2) read_brand(cpuid, f);
    if (f.max_extended_leaf >= power_management)
        f.invariant_tsc = CpuidLeaf<power_management>(cpuid)[PowerManagementEdx::invariant_tsc];
    if (f.max_extended_leaf >= sizes)
        f.physical_bits = static_cast<uint8_t>(CpuidLeaf<sizes>(cpuid)[SizesEax::physical_bits]);
    if (f.max_extended_leaf >= amd_features)
        f.lfence_serializing = CpuidLeaf<amd_features>(cpuid)[AmdFeaturesEax::lfence_serializing];
}

void read_topology(Cpuid cpuid, Features& f) {
    using namespace doorbell::cpu::cpuid;
    if (f.max_leaf < TopologyEax::leaf) return;
    CpuidLeaf<TopologyEax::leaf> first(cpuid);
    if (first[TopologyEcx::level] != TopologyEcx::threads_of_a_core) return;
    f.threads = first[TopologyEbx::threads];
    f.core_shift = first[TopologyEax::core_shift];
}

/// Where a processor or a hypervisor has no leaf with a subleaf for each cache (APM vol. 3,
/// appendix E.4).
void read_amd_caches(Cpuid cpuid, Features& f) {
    using namespace doorbell::cpu::cpuid;
    if (f.max_extended_leaf < AmdL2::leaf) return;
    CpuidLeaf<AmdL1::leaf> first(cpuid);
    CpuidLeaf<AmdL2::leaf> others(cpuid);
    constexpr uint64_t l3_unit = 512 << 10;
    f.cache_bytes[0] = uint64_t{first[AmdL1::data_kilobytes]} << 10;
    f.cache_bytes[1] = uint64_t{others[AmdL2::kilobytes]} << 10;
    f.cache_bytes[2] = others[AmdL3::half_megabytes] * l3_unit;
}

void read_caches(Cpuid cpuid, Features& f) {
    using namespace doorbell::cpu::cpuid;
    if (f.amd()) read_amd_caches(cpuid, f);
    const uint32_t leaf = f.amd() ? amd_caches : caches_leaf;
    if ((f.amd() ? f.max_extended_leaf : f.max_leaf) < leaf) return;
    constexpr uint32_t most = 8, instructions = 2;
    for (uint32_t i = 0; i < most; ++i) {
        CpuidRegisters r = cpuid(leaf, i);
        Value<CacheEax> eax(r.eax);
        Value<CacheEbx> ebx(r.ebx);
        if (CacheEax::type.of(eax) == 0) return;
        uint64_t level = CacheEax::level.of(eax);
        if (CacheEax::type.of(eax) == instructions || level == 0 || level > 3) continue;
        f.cache_bytes[level - 1] = (CacheEbx::line.of(ebx) + 1) *
                                   (CacheEbx::partitions.of(ebx) + 1) *
                                   (CacheEbx::ways.of(ebx) + 1) * (uint64_t{r.ecx} + 1);
    }
}

}  // namespace

Features Features::read(Cpuid cpuid) {
    Features f;
    read_vendor(cpuid, f);
    read_version(cpuid, f);
    read_structured(cpuid, f);
    read_hypervisor(cpuid, f);
    read_extended(cpuid, f);
    read_topology(cpuid, f);
    read_caches(cpuid, f);
    return f;
}

}  // namespace doorbell::cpu
