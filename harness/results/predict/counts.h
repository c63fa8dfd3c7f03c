// What was counted in a stretch of a run, a sample.
#pragma once
#include <map>
#include <optional>
#include <string>

#include "harness/data/run_data.h"

namespace doorbell::harness {

/// Count by name, a sample. A count that is 0 may be missing.
using Counts = std::map<std::string, double>;

inline double count_of(const Counts& counts, const std::string& name) {
    auto found = counts.find(name);
    return found == counts.end() ? 0 : found->second;
}

/// The counts of a stage of `series` (""): the whole; nothing where its instructions were not
/// counted.
std::optional<Counts> counts_of(const Series& series, const std::string& stage);

/// What a case says of its events that no counter says.
struct Circumstances {
    std::string entry = "interrupt-entry";  ///< the price of an interrupt's delivery and entry
    bool message = false;                   ///< a device sends it to the local APIC first
    bool from_ring3 = true;                 ///< INT n comes out of ring 3
    bool by_int = false;  ///< the event is an INT n, which is over when the counts begin
    bool polls = false;   ///< the event comes while a look is under way
    bool pcid = false;    ///< address spaces are tagged: a write to CR3 keeps the TLB
    bool card = false;    ///< the event is a network card's: it writes a line of memory
};

/// By the keys of a case: `ring`, `space`, `wait` (poll; irq-halt, mwait: how the processor waits)
/// and `source`. Where there is no `source`, the interrupts of a lab that wants a card are the
/// card's.
Circumstances circumstances_of(const Series& series);

/// The counts in terms that have a price each: pairs (an INT and its IRETQ, an LFENCE before an
/// RDTSC) instead of their parts, and the rest of each sum whose parts are known (MMIO that is not
/// the local APIC's or the HPET's is a card's).
Counts in_priced_terms(const Counts& counts, const Circumstances& circumstances);

}  // namespace doorbell::harness
