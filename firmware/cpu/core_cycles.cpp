#include "firmware/cpu/core_cycles.h"

namespace doorbell::cpu {

Result<CoreCycles> CoreCycles::find(Cpuid cpuid, Msrs msrs, const Features& features,
                                    void (*work)()) {
    if (features.max_leaf < 6 || (cpuid(6).ecx & 1) == 0)
        return Error{"this processor has no APERF and MPERF (CPUID.06H:ECX[0])"};
    CoreCycles found;
    found.msrs_ = msrs;
    Reading first = found.read();
    work();
    Reading second = found.read();
    if (second.cycles == first.cycles || second.ticks == first.ticks)
        return Error{"APERF and MPERF are advertised but do not count"};
    return found;
}

uint64_t CoreCycles::a_million_ticks(const Reading& first, const Reading& second) {
    uint64_t ticks = second.ticks - first.ticks;
    if (ticks == 0) return 0;
    return static_cast<uint64_t>(static_cast<unsigned __int128>(second.cycles - first.cycles) *
                                 1000000 / ticks);
}

}  // namespace doorbell::cpu
