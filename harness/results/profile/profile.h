// A profile: what one event of each kind costs on one machine (profile.json, schema
// doorbell-profile/1). Made from a run of lab `prices`, or published figures with their sources.
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "harness/results/stored_run.h"

namespace doorbell::harness {

inline constexpr const char* profile_schema = "doorbell-profile/1";

/// A value and the interval that it lies in.
struct Estimate {
    double value = 0, low = 0, high = 0;
};

/// What one event costs, in each unit that is known. Where the clock counts instructions that is
/// `insn` alone.
struct Price {
    std::string name;      ///< "load-chained-l2", "int-iretq-ring3"
    std::string evidence;  ///< exact, measured, rough, published
    std::optional<Estimate> insn, ticks, cycles, ns;
    std::vector<std::string> from;   ///< the cases or sources that it comes from
    std::vector<std::string> flags;  ///< "the yardstick drifted ..."
};

/// The size of a level, found as the knee of a sweep: everything of `low` fits, `high` does not.
struct Capacity {
    std::string name;  ///< "l1d", "l2", "llc", "dtlb"
    std::string unit;  ///< "byte", "page"
    uint64_t low = 0, high = 0;
};

/// A missing price, and the reason.
struct NoPrice {
    std::string name, reason;
};

struct Profile {
    std::string name;
    std::string evidence;
    Json machine = Json::object();
    Json firmware = Json::object();
    std::string date;
    double tsc_hz = 0;                  ///< 0: not known
    std::optional<Estimate> yardstick;  ///< core cycles in a tick
    std::string model;           ///< words of --model for this machine; "": as its capacities say
    uint64_t page_bytes = 4096;  ///< of the pages that loads and stores were measured in
    Json smt;                    ///< true, false, or null where it is unknown
    Json hypervisor;             ///< its name, "" on bare metal, or null where it is unknown
    std::vector<std::string> sources;
    std::vector<Price> prices;
    std::vector<Capacity> capacities;
    std::vector<NoPrice> refused;    ///< measured, but not steady
    std::vector<NoPrice> absent;     ///< not measured
    std::vector<std::string> notes;  ///< what a reader of all prices must know, in sentences

    const Price* find(std::string_view price) const;
    Json json() const;
    /// Reads profile.json. Unknown members are ignored. Throws std::runtime_error with a sentence.
    static Profile from(const Json& document);
};

/// The profile of a run with series of lab `prices`. Throws UsageError where it has none.
Profile profile_of(const StoredRun& stored);

}  // namespace doorbell::harness
