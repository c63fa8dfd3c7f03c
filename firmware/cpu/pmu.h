// The processor's performance monitoring unit: Intel's architectural performance monitoring,
// versions 1 to 5 (SDM vol. 3B, "Performance Monitoring", 20.2), and AMD's core counters (APM vol.
// 2, 13.2 "Performance Monitoring Counters"; the family's PPR for the events). Registers are
// programmed and read back here; measured code reads with RDPMC, by the index that program() gives.
#pragma once
#include <cstdint>
#include <span>

#include "firmware/cpu/access.h"
#include "firmware/cpu/features.h"
#include "firmware/cpu/result.h"

namespace doorbell::cpu {

/// What is certain to cause an event, so that its counter can be seen to move.
enum class Proof : uint8_t { instructions, cycles, lines, branches, pages, interrupts };

/// One event as the manual has it.
struct PmuEvent {
    const char* counter;  ///< what it is called here
    const char* name;     ///< the manual's name
    uint16_t event;       ///< event select; AMD's has 12 bits
    uint8_t umask;
    Proof proof;
};

/// The events of one microarchitecture.
struct PmuTable {
    const char* name;
    const char* source;  ///< manual and table
    std::span<const PmuEvent> events;
    std::span<const PmuEvent> shared = {};  ///< with other microarchitectures
};

/// The events that every architectural PMU may have, in the order of CPUID.0AH:EBX (SDM vol. 3B,
/// 20.2.1.2, table 20-1).
std::span<const PmuEvent> architectural_events();
/// The rest, by microarchitecture; null where the processor is not known.
const PmuTable* intel_events(uint32_t family, uint32_t model);
const PmuTable* amd_events(uint32_t family, uint32_t model);

/// An event that is being counted.
struct PmuCounter {
    const PmuEvent* event = nullptr;
    uint32_t rdpmc = 0;  ///< what ECX is for RDPMC
    uint32_t msr = 0;    ///< the counter itself
    uint64_t mask = 0;   ///< its width: it counts modulo this + 1
    /// How much it moved between two readings.
    uint64_t between(uint64_t first, uint64_t second) const { return (second - first) & mask; }
};

class Pmu {
  public:
    static constexpr unsigned most_events = 16, most_counters = 16;

    /// Looks at CPUID and the model. Error: no PMU, with what CPUID says.
    static Result<Pmu> find(Cpuid cpuid, Msrs msrs, const Features& features);

    unsigned version() const { return version_; }  ///< of the architectural PMU; 0 on AMD
    unsigned programmable() const { return count_; }
    unsigned fixed() const { return fixed_count_; }
    const char* table() const { return table_; }
    /// What can be counted here; an architectural event that CPUID calls unavailable is not among
    /// them.
    std::span<const PmuEvent* const> events() const { return {events_, event_count_}; }

    /// Stops all counters and programs as many of `wanted` as there are counters for; `counters`
    /// gets them. How many were taken: the rest need another turn. Error: a register did not take
    /// what was written.
    Result<unsigned> program(std::span<const PmuEvent* const> wanted,
                             std::span<PmuCounter> counters);
    /// Lets them count, from 0.
    Result<void> start() const;
    void stop() const;
    uint64_t read(const PmuCounter& counter) const {
        return msrs_.read(counter.msr) & counter.mask;
    }

  private:
    void add(const PmuEvent& event);
    void add(const PmuTable& table);
    Result<void> write(uint32_t msr, uint64_t value, uint64_t mask, const char* complaint) const;
    int fixed_for(const PmuEvent& event) const;
    Result<void> select(unsigned counter, const PmuEvent& event) const;

    Msrs msrs_;
    bool amd_ = false, extended_ = false, global_ = false;
    unsigned version_ = 0, count_ = 0, fixed_count_ = 0;
    uint32_t fixed_mask_ = 0;
    uint64_t mask_ = 0, fixed_width_mask_ = 0;
    const char* table_ = nullptr;
    const PmuEvent* events_[most_events] = {};
    unsigned event_count_ = 0;
    uint64_t enabled_ = 0;  ///< for the global control
    uint64_t fixed_control_ = 0;
    PmuCounter running_[most_counters];
    unsigned running_count_ = 0;
};

}  // namespace doorbell::cpu
