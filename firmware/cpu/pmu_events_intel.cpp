// Intel's events, as the SDM's and the maker's event lists (perfmon-events.intel.com) name and
// number them.
#include "firmware/cpu/pmu.h"

namespace doorbell::cpu {
namespace {

constexpr PmuEvent architectural[] = {
    {"cycles", "UnHalted Core Cycles", 0x3C, 0x00, Proof::cycles},
    {"instructions", "Instruction Retired", 0xC0, 0x00, Proof::instructions},
    {"reference_cycles", "UnHalted Reference Cycles", 0x3C, 0x01, Proof::cycles},
    {"llc_references", "LLC Reference", 0x2E, 0x4F, Proof::lines},
    {"llc_misses", "LLC Misses", 0x2E, 0x41, Proof::lines},
    {"branches", "Branch Instruction Retired", 0xC4, 0x00, Proof::branches},
    {"branch_misses", "Branch Misses Retired", 0xC5, 0x00, Proof::branches},
};

// What several generations have under the same number.
constexpr PmuEvent l1d_replacement{"l1d_misses", "L1D.REPLACEMENT", 0x51, 0x01, Proof::lines};
constexpr PmuEvent l2_miss{"l2_misses", "L2_RQSTS.MISS", 0x24, 0x3F, Proof::lines};
constexpr PmuEvent walk_completed{"dtlb_walks", "DTLB_LOAD_MISSES.WALK_COMPLETED", 0x08, 0x0E,
                                  Proof::pages};

constexpr PmuEvent haswell[] = {l1d_replacement, l2_miss, walk_completed};
constexpr PmuEvent skylake[] = {
    l1d_replacement,
    l2_miss,
    walk_completed,
    {"interrupts", "HW_INTERRUPTS.RECEIVED", 0xCB, 0x01, Proof::interrupts}};
constexpr PmuEvent ice_lake[] = {l1d_replacement,
                                 // L2_RQSTS.MISS does not count here.
                                 {"l2_misses", "L2_LINES_IN.ALL", 0xF1, 0x1F, Proof::lines},
                                 walk_completed};
constexpr PmuEvent golden_cove[] = {
    l1d_replacement,
    l2_miss,
    {"dtlb_walks", "DTLB_LOAD_MISSES.WALK_COMPLETED", 0x12, 0x0E, Proof::pages}};

constexpr PmuTable tables[] = {
    {"Haswell/Broadwell", "perfmon-events.intel.com, Haswell and Broadwell core events", haswell},
    {"Skylake", "perfmon-events.intel.com, Skylake core events", skylake},
    {"Ice Lake", "perfmon-events.intel.com, Ice Lake core events", ice_lake},
    {"Golden Cove", "perfmon-events.intel.com, Golden Cove core events", golden_cove}};

struct Model {
    uint8_t model, table;
};
// Display models of family 06H (SDM vol. 4, table 2-1).
constexpr Model models[] = {
    {0x3C, 0}, {0x3F, 0}, {0x45, 0}, {0x46, 0}, {0x3D, 0}, {0x47, 0}, {0x4F, 0}, {0x56, 0},
    {0x4E, 1}, {0x5E, 1}, {0x55, 1}, {0x8E, 1}, {0x9E, 1}, {0xA5, 1}, {0xA6, 1}, {0x7D, 2},
    {0x7E, 2}, {0x6A, 2}, {0x6C, 2}, {0x8C, 2}, {0x8D, 2}, {0xA7, 2}, {0x97, 3}, {0x9A, 3},
    {0xB7, 3}, {0xBA, 3}, {0xBF, 3}, {0x8F, 3}, {0xCF, 3},
};

}  // namespace

std::span<const PmuEvent> architectural_events() { return architectural; }

const PmuTable* intel_events(uint32_t family, uint32_t model) {
    if (family != 6) return nullptr;
    for (const Model& m : models)
        if (m.model == model) return &tables[m.table];
    return nullptr;
}

}  // namespace doorbell::cpu
