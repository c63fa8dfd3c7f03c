#include "firmware/cpu/pmu.h"

#include "firmware/cpu/cpuid.h"

namespace doorbell::cpu {
namespace {

// SDM vol. 4, table 2-2 (architectural MSRs).
constexpr uint32_t ia32_pmc0 = 0xC1, ia32_perfevtsel0 = 0x186, ia32_fixed_ctr0 = 0x309,
                   ia32_fixed_ctr_ctrl = 0x38D, ia32_perf_global_status = 0x38E,
                   ia32_perf_global_ctrl = 0x38F, ia32_perf_global_ovf_ctrl = 0x390;
// APM vol. 2, 13.2.1, and appendix A.
constexpr uint32_t perf_legacy_ctl0 = 0xC0010000, perf_legacy_ctr0 = 0xC0010004,
                   perf_ctl0 = 0xC0010200, perf_cntr_global_status = 0xC0000300,
                   perf_cntr_global_ctl = 0xC0000301, perf_cntr_global_status_clr = 0xC0000302;

constexpr uint64_t user = 1 << 16, kernel = 1 << 17, enable = 1 << 22;
/// What every event select has; the bits that may differ when read back (reserved ones of later
/// versions).
constexpr uint64_t select_mask = 0xFF | 0xFF00 | user | kernel | enable;
constexpr uint64_t amd_high_event = 0xFull << 32;
constexpr uint32_t rdpmc_fixed = 1u << 30;
/// Left set by somebody before (a firmware, a kernel before kexec), it keeps every counter from
/// counting: CTR_Frz of IA32_PERF_GLOBAL_STATUS (SDM 20.2.4, version 4), PMCF of
/// PerfCntrGlobalStatus (APM vol. 2, 13.2.1).
constexpr uint64_t counters_frozen = 1ull << 59;
/// Many events count on the first four counters only, on whatever has more (the maker's event
/// lists, "Counter"; AMD's RDPMC numbers the core's counters 0 to 5, then comes another unit).
constexpr unsigned intel_usable = 4, amd_usable = 6;

constexpr uint64_t low_bits(unsigned n) { return n >= 64 ? ~0ull : (1ull << n) - 1; }

constexpr const char* unwritable =
    "advertised but does not count: a performance monitoring register did not take what was "
    "written";

}  // namespace

void Pmu::add(const PmuEvent& event) {
    if (event_count_ < most_events) events_[event_count_++] = &event;
}

void Pmu::add(const PmuTable& table) {
    table_ = table.name;
    for (std::span<const PmuEvent> events : {table.events, table.shared})
        for (const PmuEvent& e : events) add(e);
}

Result<Pmu> Pmu::find(Cpuid cpuid, Msrs msrs, const Features& f) {
    Pmu pmu;
    pmu.msrs_ = msrs;
    if (f.amd()) {
        if (f.family < 0x17)
            return Lacking{"AMD processors before Zen (family 17h) are not known here", f.family};
        pmu.amd_ = true;
        // Core performance counter extensions: CPUID Fn8000_0001_ECX[23].
        pmu.extended_ =
            f.max_extended_leaf >= cpuid::extended_features &&
            CpuidLeaf<cpuid::extended_features>(cpuid)[cpuid::ExtendedEcx::core_counter_extensions];
        pmu.count_ = pmu.extended_ ? 6 : 4;
        pmu.mask_ = low_bits(48);
        if (f.max_extended_leaf >= cpuid::amd_monitoring) {
            // PerfMonV2: Fn8000_0022_EAX[0]; EBX[3:0] is the number of core counters.
            CpuidLeaf<cpuid::amd_monitoring> monitoring(cpuid);
            pmu.global_ = monitoring[cpuid::AmdMonitoringEax::version_2];
            uint32_t counters = monitoring[cpuid::AmdMonitoringEbx::core_counters];
            if (pmu.global_ && pmu.extended_ && counters != 0) pmu.count_ = counters;
        }
        if (const PmuTable* table = amd_events(f.family, f.model)) pmu.add(*table);
        if (pmu.count_ > amd_usable) pmu.count_ = amd_usable;
        if (pmu.event_count_ == 0)
            return Lacking{"no events are known for this AMD family", f.family << 8 | f.model};
        return pmu;
    }
    if (!f.intel()) return Lacking{"neither an Intel nor an AMD processor"};
    if (f.max_leaf < 0xA)
        return Lacking{"CPUID has no leaf 0AH: no architectural performance monitoring"};
    CpuidLeaf<0xA> r(cpuid);
    using cpuid::MonitoringEax, cpuid::MonitoringEdx;
    pmu.version_ = r[MonitoringEax::version];
    pmu.count_ = r[MonitoringEax::counters];
    if (pmu.version_ == 0 || pmu.count_ == 0)
        return Lacking{"CPUID.0AH reports no performance monitoring", r->eax};
    if (pmu.count_ > intel_usable) pmu.count_ = intel_usable;
    pmu.mask_ = low_bits(r[MonitoringEax::width]);
    pmu.global_ = pmu.version_ >= 2;
    pmu.table_ = "architectural events only";
    if (pmu.version_ >= 2) {
        // Version 5 may leave some fixed counters out: ECX is a bitmap beside EDX[4:0]
        // (SDM 20.2.5).
        pmu.fixed_count_ = r[MonitoringEdx::fixed_counters];
        pmu.fixed_mask_ =
            static_cast<uint32_t>(low_bits(pmu.fixed_count_)) | (pmu.version_ >= 5 ? r->ecx : 0);
        pmu.fixed_width_mask_ = low_bits(r[MonitoringEdx::fixed_width]);
    }
    // A set bit in EBX, or an index at or beyond EAX[31:24], means: not available.
    unsigned known = r[MonitoringEax::events], index = 0;
    for (const PmuEvent& e : architectural_events()) {
        if (index < known && (r->ebx >> index & 1) == 0) pmu.add(e);
        ++index;
    }
    if (const PmuTable* table = intel_events(f.family, f.model)) pmu.add(*table);
    return pmu;
}

/// Fixed counters 0, 1 and 2 count instructions, core cycles and reference cycles (SDM table 20-2).
int Pmu::fixed_for(const PmuEvent& event) const {
    const auto& all = architectural_events();
    static constexpr unsigned index_of[3] = {1, 0, 2};
    for (unsigned i = 0; i < 3; ++i)
        if ((fixed_mask_ >> i & 1) != 0 && &event == &all[index_of[i]]) return static_cast<int>(i);
    return -1;
}

Result<void> Pmu::write(uint32_t msr, uint64_t value, uint64_t mask, const char* complaint) const {
    msrs_.write(msr, value);
    if (((msrs_.read(msr) ^ value) & mask) != 0) return Error{complaint, msr};
    return {};
}

Result<void> Pmu::select(unsigned i, const PmuEvent& e) const {
    uint64_t value = (e.event & 0xFF) | uint64_t{e.umask} << 8 | user | kernel | enable;
    if (!amd_) return write(ia32_perfevtsel0 + i, value, select_mask, unwritable);
    value |= uint64_t{static_cast<uint16_t>(e.event >> 8 & 15)} << 32;
    return write(extended_ ? perf_ctl0 + 2 * i : perf_legacy_ctl0 + i, value,
                 select_mask | amd_high_event, unwritable);
}

Result<unsigned> Pmu::program(std::span<const PmuEvent* const> wanted,
                              std::span<PmuCounter> counters) {
    stop();
    running_count_ = 0;
    enabled_ = fixed_control_ = 0;
    unsigned next = 0, taken = 0;
    for (const PmuEvent* e : wanted) {
        if (taken == counters.size() || taken == most_counters) break;
        PmuCounter c{.event = e};
        if (int fixed = fixed_for(*e); fixed >= 0) {
            auto i = static_cast<unsigned>(fixed);
            c.rdpmc = rdpmc_fixed | i;
            c.msr = ia32_fixed_ctr0 + i;
            c.mask = fixed_width_mask_;
            enabled_ |= 1ull << (32 + i);
            fixed_control_ |= 3ull << (4 * i);  // rings 0 and above it
        } else {
            if (next == count_) break;
            c.rdpmc = next;
            c.msr = !amd_       ? ia32_pmc0 + next
                    : extended_ ? perf_ctl0 + 2 * next + 1
                                : perf_legacy_ctr0 + next;
            c.mask = mask_;
            enabled_ |= 1ull << next;
            DOORBELL_TRY(select(next, *e));
            ++next;
        }
        counters[taken] = running_[taken] = c;
        ++taken;
    }
    running_count_ = taken;
    return taken;
}

Result<void> Pmu::start() const {
    // A write to IA32_PMCx is sign-extended from bit 31 (SDM 20.2.1) unless IA32_PERF_CAPABILITIES
    // has FW_WRITE and it goes to IA32_A_PMCx (20.2.8); 0 is 0 either way, so there is one way
    // here.
    for (unsigned i = 0; i < running_count_; ++i) msrs_.write(running_[i].msr, 0);
    if (fixed_control_ != 0) {
        DOORBELL_TRY(write(ia32_fixed_ctr_ctrl, fixed_control_, fixed_control_, unwritable));
    }
    if (!global_) return {};
    // Clears overflow bits that were left set, and with them a freeze; without that feature the bit
    // is reserved.
    uint64_t frozen =
        msrs_.read(amd_ ? perf_cntr_global_status : ia32_perf_global_status) & counters_frozen;
    msrs_.write(amd_ ? perf_cntr_global_status_clr : ia32_perf_global_ovf_ctrl, enabled_ | frozen);
    return write(amd_ ? perf_cntr_global_ctl : ia32_perf_global_ctrl, enabled_, enabled_,
                 unwritable);
}

void Pmu::stop() const {
    if (global_) msrs_.write(amd_ ? perf_cntr_global_ctl : ia32_perf_global_ctrl, 0);
    if (fixed_mask_ != 0) msrs_.write(ia32_fixed_ctr_ctrl, 0);
    for (unsigned i = 0; i < count_; ++i)
        msrs_.write(!amd_       ? ia32_perfevtsel0 + i
                    : extended_ ? perf_ctl0 + 2 * i
                                : perf_legacy_ctl0 + i,
                    0);
}

}  // namespace doorbell::cpu
