// What CPUID answers with, by name: each bit belongs to one register of one leaf, and only there it
// can be asked for. Source: Intel SDM vol. 2A, CPUID; AMD APM vol. 3, appendix E.
#pragma once
#include <cstdint>

#include "firmware/cpu/access.h"
#include "firmware/cpu/field.h"

namespace doorbell::cpu {

/// One register of one leaf's answer; `fixed_subleaf` is what ECX was.
template <uint32_t fixed_leaf, uint32_t fixed_subleaf, uint32_t CpuidRegisters::* which>
struct CpuidWord {
    using Word = uint32_t;
    static constexpr uint32_t leaf = fixed_leaf, subleaf = fixed_subleaf;
    static constexpr uint32_t CpuidRegisters::* place = which;
};

/// One leaf's answer, asked for once. Ask only up to the highest leaf that there is.
template <uint32_t leaf, uint32_t subleaf = 0>
class CpuidLeaf {
  public:
    explicit CpuidLeaf(Cpuid cpuid) : answer_(cpuid(leaf, subleaf)) {}
    const CpuidRegisters* operator->() const { return &answer_; }
    /// A field's content, of this leaf.
    template <class W, unsigned first, unsigned width>
        requires(W::leaf == leaf && W::subleaf == subleaf)
    uint32_t operator[](Field<W, first, width> field) const {
        return static_cast<uint32_t>(field.of(Value<W>(answer_.*W::place)));
    }

  private:
    CpuidRegisters answer_;
};

namespace cpuid {

inline constexpr uint32_t first_hypervisor = 0x40000000, first_extended = 0x80000000,
                          extended_features = 0x80000001, brand = 0x80000002,
                          power_management = 0x80000007, sizes = 0x80000008,
                          amd_features = 0x80000021, amd_monitoring = 0x80000022;

struct VersionEax : CpuidWord<1, 0, &CpuidRegisters::eax> {
    static constexpr Field<VersionEax, 0, 4> stepping{};
    static constexpr Field<VersionEax, 4, 4> model{};
    static constexpr Field<VersionEax, 8, 4> family{};
    static constexpr Field<VersionEax, 16, 4> extended_model{};
    static constexpr Field<VersionEax, 20, 8> extended_family{};
};
struct VersionEcx : CpuidWord<1, 0, &CpuidRegisters::ecx> {
    static constexpr Field<VersionEcx, 3> monitor{};
    static constexpr Field<VersionEcx, 17> pcid{};
    static constexpr Field<VersionEcx, 21> x2apic{};
    static constexpr Field<VersionEcx, 24> tsc_deadline{};
    static constexpr Field<VersionEcx, 26> xsave{};
    static constexpr Field<VersionEcx, 28> avx{};
    static constexpr Field<VersionEcx, 31> hypervisor{};
};
struct VersionEdx : CpuidWord<1, 0, &CpuidRegisters::edx> {
    static constexpr Field<VersionEdx, 9> apic{};
};
struct StructuredEbx : CpuidWord<7, 0, &CpuidRegisters::ebx> {
    static constexpr Field<StructuredEbx, 7> smep{};
    static constexpr Field<StructuredEbx, 10> invpcid{};
    static constexpr Field<StructuredEbx, 20> smap{};
};
struct StructuredEcx : CpuidWord<7, 0, &CpuidRegisters::ecx> {
    static constexpr Field<StructuredEcx, 2> umip{};
};
/// MONITOR and MWAIT; EDX has four bits a C-state.
inline constexpr uint32_t monitor_leaf = 5;
/// Extended topology: the first level is the threads of a core.
struct TopologyEax : CpuidWord<0xB, 0, &CpuidRegisters::eax> {
    static constexpr Field<TopologyEax, 0, 5> core_shift{};  ///< from an APIC id to its core's
};
struct TopologyEbx : CpuidWord<0xB, 0, &CpuidRegisters::ebx> {
    static constexpr Field<TopologyEbx, 0, 16> threads{};
};
struct TopologyEcx : CpuidWord<0xB, 0, &CpuidRegisters::ecx> {
    static constexpr Field<TopologyEcx, 8, 8> level{};
    static constexpr uint32_t threads_of_a_core = 1;
};
/// Caches: a subleaf each (AMD: Fn8000_001D, of the same form).
inline constexpr uint32_t caches_leaf = 4, amd_caches = 0x8000001D;
struct AmdL1 : CpuidWord<0x80000005, 0, &CpuidRegisters::ecx> {
    static constexpr Field<AmdL1, 24, 8> data_kilobytes{};
};
struct AmdL2 : CpuidWord<0x80000006, 0, &CpuidRegisters::ecx> {
    static constexpr Field<AmdL2, 16, 16> kilobytes{};
};
struct AmdL3 : CpuidWord<0x80000006, 0, &CpuidRegisters::edx> {
    static constexpr Field<AmdL3, 18, 14> half_megabytes{};
};
struct CacheEax : CpuidWord<caches_leaf, 0, &CpuidRegisters::eax> {
    static constexpr Field<CacheEax, 0, 5> type{};  ///< 0: no more, 1 data, 2 instructions, 3 both
    static constexpr Field<CacheEax, 5, 3> level{};
};
struct CacheEbx : CpuidWord<caches_leaf, 0, &CpuidRegisters::ebx> {
    static constexpr Field<CacheEbx, 0, 12> line{};  ///< each of these less one
    static constexpr Field<CacheEbx, 12, 10> partitions{};
    static constexpr Field<CacheEbx, 22, 10> ways{};
};
/// Architectural performance monitoring (SDM vol. 3B, 20.2).
struct MonitoringEax : CpuidWord<0xA, 0, &CpuidRegisters::eax> {
    static constexpr Field<MonitoringEax, 0, 8> version{};
    static constexpr Field<MonitoringEax, 8, 8> counters{};
    static constexpr Field<MonitoringEax, 16, 8> width{};
    static constexpr Field<MonitoringEax, 24, 8> events{};  ///< number of valid bits in EBX
};
struct MonitoringEdx : CpuidWord<0xA, 0, &CpuidRegisters::edx> {
    static constexpr Field<MonitoringEdx, 0, 5> fixed_counters{};
    static constexpr Field<MonitoringEdx, 5, 8> fixed_width{};
};
struct BaseFrequencyEax : CpuidWord<0x16, 0, &CpuidRegisters::eax> {
    static constexpr Field<BaseFrequencyEax, 0, 16> mhz{};
};
struct ExtendedEcx : CpuidWord<extended_features, 0, &CpuidRegisters::ecx> {
    static constexpr Field<ExtendedEcx, 23> core_counter_extensions{};  ///< AMD
};
struct ExtendedEdx : CpuidWord<extended_features, 0, &CpuidRegisters::edx> {
    static constexpr Field<ExtendedEdx, 20> no_execute{};
    static constexpr Field<ExtendedEdx, 26> gigabyte_pages{};
    static constexpr Field<ExtendedEdx, 27> rdtscp{};
};
struct PowerManagementEdx : CpuidWord<power_management, 0, &CpuidRegisters::edx> {
    static constexpr Field<PowerManagementEdx, 8> invariant_tsc{};
};
struct SizesEax : CpuidWord<sizes, 0, &CpuidRegisters::eax> {
    static constexpr Field<SizesEax, 0, 8> physical_bits{};
};
struct AmdFeaturesEax : CpuidWord<amd_features, 0, &CpuidRegisters::eax> {
    static constexpr Field<AmdFeaturesEax, 2> lfence_serializing{};
};
struct AmdMonitoringEax : CpuidWord<amd_monitoring, 0, &CpuidRegisters::eax> {
    static constexpr Field<AmdMonitoringEax, 0> version_2{};
};
struct AmdMonitoringEbx : CpuidWord<amd_monitoring, 0, &CpuidRegisters::ebx> {
    static constexpr Field<AmdMonitoringEbx, 0, 4> core_counters{};
};

}  // namespace cpuid
}  // namespace doorbell::cpu
