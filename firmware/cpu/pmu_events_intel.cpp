// Intel's events, as the SDM's and the maker's event lists (perfmon-events.intel.com) name and
// number them.
#include "firmware/cpu/pmu.h"

namespace doorbell::cpu {
namespace {

constexpr const char* sdm = "SDM vol. 3B, 20.2.1.2, table 20-1";

constexpr PmuEvent architectural[] = {
    {"cycles", "UnHalted Core Cycles", 0x3C, 0x00, Proof::cycles, sdm},
    {"instructions", "Instruction Retired", 0xC0, 0x00, Proof::instructions, sdm},
    {"reference_cycles", "UnHalted Reference Cycles", 0x3C, 0x01, Proof::cycles, sdm},
    {"llc_references", "LLC Reference", 0x2E, 0x4F, Proof::lines, sdm},
    {"llc_misses", "LLC Misses", 0x2E, 0x41, Proof::lines, sdm},
    {"branches", "Branch Instruction Retired", 0xC4, 0x00, Proof::branches, sdm},
    {"branch_misses", "Branch Misses Retired", 0xC5, 0x00, Proof::branches, sdm},
};

constexpr const char* haswell_list = "perfmon-events.intel.com, Haswell and Broadwell core events";
constexpr PmuEvent haswell[] = {
    {"l1d_misses", "L1D.REPLACEMENT", 0x51, 0x01, Proof::lines, haswell_list},
    {"l2_misses", "L2_RQSTS.MISS", 0x24, 0x3F, Proof::lines, haswell_list},
    {"dtlb_walks", "DTLB_LOAD_MISSES.WALK_COMPLETED", 0x08, 0x0E, Proof::pages, haswell_list},
};

constexpr const char* skylake_list = "perfmon-events.intel.com, Skylake core events";
constexpr PmuEvent skylake[] = {
    {"l1d_misses", "L1D.REPLACEMENT", 0x51, 0x01, Proof::lines, skylake_list},
    {"l2_misses", "L2_RQSTS.MISS", 0x24, 0x3F, Proof::lines, skylake_list},
    {"dtlb_walks", "DTLB_LOAD_MISSES.WALK_COMPLETED", 0x08, 0x0E, Proof::pages, skylake_list},
    {"interrupts", "HW_INTERRUPTS.RECEIVED", 0xCB, 0x01, Proof::interrupts, skylake_list},
};

constexpr const char* ice_lake_list = "perfmon-events.intel.com, Ice Lake core events";
constexpr PmuEvent ice_lake[] = {
    {"l1d_misses", "L1D.REPLACEMENT", 0x51, 0x01, Proof::lines, ice_lake_list},
    {"l2_misses", "L2_LINES_IN.ALL", 0xF1, 0x1F, Proof::lines,
     ice_lake_list},  // L2_RQSTS.MISS does not count here
    {"dtlb_walks", "DTLB_LOAD_MISSES.WALK_COMPLETED", 0x08, 0x0E, Proof::pages, ice_lake_list},
};

constexpr const char* golden_cove_list = "perfmon-events.intel.com, Golden Cove core events";
constexpr PmuEvent golden_cove[] = {
    {"l1d_misses", "L1D.REPLACEMENT", 0x51, 0x01, Proof::lines, golden_cove_list},
    {"l2_misses", "L2_RQSTS.MISS", 0x24, 0x3F, Proof::lines, golden_cove_list},
    {"dtlb_walks", "DTLB_LOAD_MISSES.WALK_COMPLETED", 0x12, 0x0E, Proof::pages, golden_cove_list},
};

constexpr PmuTable tables[] = {{"Haswell/Broadwell", haswell},
                               {"Skylake", skylake},
                               {"Ice Lake", ice_lake},
                               {"Golden Cove", golden_cove}};

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
