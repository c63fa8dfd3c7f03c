// AMD's events of the Zen families, by the numbers under which each family's Processor Programming
// Reference (PPR, "Core Performance Monitor Counters") lists them: PMCxNNN, which is the place in
// the book as well. The L3's own counters belong to another unit and are not read here: what the
// core had to fetch from it, and from memory, stands for them.
#include "firmware/cpu/pmu.h"

namespace doorbell::cpu {
namespace {

// The same in every family; interrupts from Zen 2 on.
constexpr const char* every_ppr = "PPR of each Zen family (54945, 56176, 55898, 55901, 57238)";
constexpr PmuEvent common[] = {
    {"interrupts", "PMCx02C LsIntTaken", 0x02C, 0x00, Proof::interrupts, every_ppr},
    {"instructions", "PMCx0C0 ExRetInstr", 0x0C0, 0x00, Proof::instructions, every_ppr},
    {"cycles", "PMCx076 LsNotHaltedCyc", 0x076, 0x00, Proof::cycles, every_ppr},
    {"l2_misses", "PMCx064 L2CacheReqStat, IcFillMiss and LsRdBlkC", 0x064, 0x09, Proof::lines,
     every_ppr},
    {"branch_misses", "PMCx0C3 ExRetBrnMisp", 0x0C3, 0x00, Proof::branches, every_ppr},
    {"dtlb_walks", "PMCx045 LsL1DTlbMiss, L2 misses", 0x045, 0xF0, Proof::pages, every_ppr},
};

// The sources of a fill are what differs: more of them are told apart from family to family.
constexpr const char* from_anywhere = "PMCx043 LsDmndFillsFromSys, from anywhere";
constexpr const char* from_beyond_l2 = "PMCx043 LsDmndFillsFromSys, from beyond the L2";
constexpr const char* from_memory = "PMCx043 LsDmndFillsFromSys, from memory";

constexpr const char* zen1_ppr = "PPR for family 17h (54945, 56176)";
constexpr PmuEvent zen1[] = {
    {"l1d_misses", from_anywhere, 0x043, 0x5B, Proof::lines, zen1_ppr},
    {"llc_references", from_beyond_l2, 0x043, 0x5A, Proof::lines, zen1_ppr},
    {"llc_misses", from_memory, 0x043, 0x48, Proof::lines, zen1_ppr},
};
constexpr const char* zen3_ppr = "PPR for family 19h, models 00h-0Fh and 20h-5Fh (55898, 56214)";
constexpr PmuEvent zen3[] = {
    {"l1d_misses", from_anywhere, 0x043, 0x5F, Proof::lines, zen3_ppr},
    {"llc_references", from_beyond_l2, 0x043, 0x5E, Proof::lines, zen3_ppr},
    {"llc_misses", from_memory, 0x043, 0x48, Proof::lines, zen3_ppr},
};
constexpr const char* zen4_ppr =
    "PPR for family 19h, models 10h-1Fh, 60h-7Fh, A0h-AFh (55901), and family 1Ah (57238)";
constexpr PmuEvent zen4[] = {
    {"l1d_misses", from_anywhere, 0x043, 0xDF, Proof::lines, zen4_ppr},
    {"llc_references", from_beyond_l2, 0x043, 0xDE, Proof::lines, zen4_ppr},
    {"llc_misses", from_memory, 0x043, 0xC8, Proof::lines, zen4_ppr},
};

constexpr std::span<const PmuEvent> from_zen2(common);
constexpr PmuTable tables[] = {{"Zen, Zen+", zen1, from_zen2.subspan(1)},
                               {"Zen 2", zen1, from_zen2},
                               {"Zen 3", zen3, from_zen2},
                               {"Zen 4, Zen 5", zen4, from_zen2}};

}  // namespace

const PmuTable* amd_events(uint32_t family, uint32_t model) {
    if (family == 0x17) return model < 0x30 ? &tables[0] : &tables[1];
    if (family == 0x18) return &tables[0];  // Hygon's Zen
    if (family == 0x19)
        return model < 0x10 || (model >= 0x20 && model < 0x60) ? &tables[2] : &tables[3];
    if (family == 0x1A) return &tables[3];
    return nullptr;
}

}  // namespace doorbell::cpu
