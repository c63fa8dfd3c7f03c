// AMD's events of the Zen families, by the numbers under which each family's Processor Programming
// Reference (PPR, "Core Performance Monitor Counters") lists them: PMCxNNN, which is the place in
// the book as well. The L3's own counters belong to another unit and are not read here: what the
// core had to fetch from it, and from memory, stands for them.
#include <array>

#include "firmware/cpu/pmu.h"

namespace doorbell::cpu {
namespace {

// The same in the PPR of each Zen family (54945, 56176, 55898, 55901, 57238); interrupts from Zen 2
// on.
constexpr PmuEvent common[] = {
    {"interrupts", "PMCx02C LsIntTaken", 0x02C, 0x00, Proof::interrupts},
    {"instructions", "PMCx0C0 ExRetInstr", 0x0C0, 0x00, Proof::instructions},
    {"cycles", "PMCx076 LsNotHaltedCyc", 0x076, 0x00, Proof::cycles},
    {"l2_misses", "PMCx064 L2CacheReqStat, IcFillMiss and LsRdBlkC", 0x064, 0x09, Proof::lines},
    {"branch_misses", "PMCx0C3 ExRetBrnMisp", 0x0C3, 0x00, Proof::branches},
    {"dtlb_walks", "PMCx045 LsL1DTlbMiss, L2 misses", 0x045, 0xF0, Proof::pages},
};

// The sources of a fill, a bit each, are what differs: more of them are told apart from family to
// family.
constexpr std::array<PmuEvent, 3> demand_fills(uint8_t from_anywhere, uint8_t from_beyond_l2,
                                               uint8_t from_memory) {
    return {{{"l1d_misses", "PMCx043 LsDmndFillsFromSys, from anywhere", 0x043, from_anywhere,
              Proof::lines},
             {"llc_references", "PMCx043 LsDmndFillsFromSys, from beyond the L2", 0x043,
              from_beyond_l2, Proof::lines},
             {"llc_misses", "PMCx043 LsDmndFillsFromSys, from memory", 0x043, from_memory,
              Proof::lines}}};
}
constexpr auto zen1 = demand_fills(0x5B, 0x5A, 0x48), zen3 = demand_fills(0x5F, 0x5E, 0x48),
               zen4 = demand_fills(0xDF, 0xDE, 0xC8);

constexpr const char* family_17h = "PPR for family 17h (54945, 56176)";
constexpr std::span<const PmuEvent> from_zen2(common);
constexpr PmuTable tables[] = {
    {"Zen, Zen+", family_17h, zen1, from_zen2.subspan(1)},
    {"Zen 2", family_17h, zen1, from_zen2},
    {"Zen 3", "PPR for family 19h, models 00h-0Fh and 20h-5Fh (55898, 56214)", zen3, from_zen2},
    {"Zen 4, Zen 5",
     "PPR for family 19h, models 10h-1Fh, 60h-7Fh, A0h-AFh (55901), and family 1Ah (57238)", zen4,
     from_zen2}};

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
