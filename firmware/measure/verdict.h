// What a clock's numbers are worth, judged from what the instrument measured. Pure: no hardware is
// touched here, so the same code judges in the image and in unit tests.
#pragma once
#include <cstdint>
#include <span>

namespace doorbell::measure {

/// What a number is worth, from the best to the worst.
enum class Evidence : uint8_t {
    exact,     ///< counted instructions
    measured,  ///< the TSC of hardware, or of KVM with hardware behind it
    rough,     ///< anything else: good for a smoke test only
};
const char* name_of(Evidence evidence);

/// What the samples may be used for, from the best to the worst.
enum class Verdict : uint8_t {
    exact,    ///< every digit
    tails,    ///< quiet enough for p99 and beyond
    medians,  ///< medians only: something takes time away, or the rate of the TSC may change
    refused,  ///< nothing: the timestamp itself is not stable
};
const char* name_of(Verdict verdict);

/// A distribution, in ticks.
struct Spread {
    uint64_t min = 0, p50 = 0, p99 = 0, max = 0;
};

/// What the instrument measured, and what the processor says of itself. All times in ticks.
struct Observed {
    Spread pair;                                 ///< begin()/end() with nothing between
    Spread nops;                                 ///< 1000 NOPs, the cost of the pair included
    uint64_t thousand_nops = 0;                  ///< their median, the cost of the pair removed
    uint64_t call_cost = 0, interrupt_cost = 0;  ///< medians: CALL+RET, INT n+IRETQ
    uint64_t resolution = 0;                     ///< the step of the clock; 0: it never moved
    uint64_t gap_share_ppm = 0;                  ///< time that something else took
    uint64_t smi_during = 0;  ///< system management interrupts while the clock was watched
    uint64_t backward = 0;    ///< reads that gave less than the read before
    bool stopped = false;     ///< the same value was read for longer than any step lasts

    bool tcg = false;        ///< QEMU's emulation, by CPUID's hypervisor leaf
    bool invariant = false;  ///< CPUID.80000007H:EDX[8]
    /// Independent sources of the TSC's frequency that were asked, and the most of them that agree
    /// to 1,000 ppm.
    uint64_t rate_sources = 0, rate_agree = 0;
};

/// Whether this clock counts instructions: QEMU's -icount with shift 0.
bool counts_instructions(const Observed& o);

/// One thing that lowers what the numbers are worth.
struct Rule {
    const char* name;  ///< short, for tests
    bool (*applies)(const Observed& o);
    Evidence evidence;    ///< no better than this where it applies
    Verdict verdict;      ///< no better than this where it applies
    const char* because;  ///< one sentence for people
};
/// Every rule, the one whose sentence matters most first.
std::span<const Rule> rules();

struct Judgement {
    Evidence evidence = Evidence::rough;
    Verdict verdict = Verdict::refused;
    const char* because = "";  ///< of the first rule that applies
};
/// A clock that counts instructions is exact; any other is as good as the worst rule that applies
/// allows, or measured and good for tails where none applies.
Judgement judge(const Observed& o);

}  // namespace doorbell::measure
