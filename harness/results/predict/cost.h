// What a stretch costs by a profile: its counts times their prices.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "harness/results/predict/counts.h"
#include "harness/results/profile/prices.h"

namespace doorbell::harness {

/// A share of a cost: what `count` events of a kind cost together.
struct CostPart {
    std::string name;  ///< "instructions", "chained-l2", "card-read"
    double count = 0;  ///< a sample
    Estimate cost;
};

/// What one sample of a stretch costs, in one unit. An estimate of the middle; nothing is said of
/// higher percentiles.
struct Cost {
    Estimate all;
    std::vector<CostPart> parts;
    std::vector<std::string> missing;  ///< prices that are needed and not known; then nothing holds
    bool known() const { return missing.empty(); }
    /// Adds another stretch's.
    void add(const Cost& other);
    /// The sum of the parts becomes the whole.
    void sum_up();
    void add(const std::string& part, double count, const Estimate& cost);
    void lacks(const std::string& price);
};

/// The cost of `counts` (of counts_of()) by `prices`.
///
/// Where the unit is a processor's time, loads and stores that nothing waits for (scattered,
/// streamed, stores) go on while instructions run: what they cost is what they take beyond these,
/// at most all of it; and at least the time of one load that is waited for. A mispredicted branch's
/// price holds a load, a test and the branch itself, which the path counts, too.
///
/// Of a poll that counts less than one look a sample: the looks follow each other without a gap,
/// and each sees the state at one instant in it, the middle. From an event to the next such instant
/// it is half a look in the mean, from there to the look's end another half: one look, at least a
/// half, at most one and a half.
Cost cost_of(const Counts& counts, const Circumstances& circumstances, const Prices& prices);

/// The two costs' difference at the same prices: where both have a part, it is either dear in both
/// or cheap in both.
Cost difference_of(const Cost& a, const Cost& b);

/// Widens the interval of the code's own parts by `factor` either way. The middle stays.
void widen(Cost& cost, double factor);

/// Whether a part's cost is the code's own (instructions, misses), not an event's price.
bool is_own_part(const std::string& part);

/// How a count is priced. One line of the table a count.
struct PricedCount {
    enum class How : unsigned char {
        event,   ///< the price, less the instructions that are counted apart
        some,    ///< one of several prices, nobody knows which: an interval over all
        page,    ///< a page that the TLB does not know: the first of several prices that is known
        miss,    ///< what a miss costs beyond a hit of L1D
        hidden,  ///< a miss that may have cost nothing
        open,    ///< a miss of a class that nobody told: from scattered to chained
        half,    ///< a part of a pair that has one price
        device,  ///< a line that a device wrote: from memory, at least from the LLC (DDIO)
    };
    const char* count;
    How how;
    /// event, half: the price's name; some, page: names, parted by blanks; the first that is known
    /// gives the value;
    /// miss, hidden: access and level, parted by a blank; open: the level.
    const char* price;
    double instructions = 0;  ///< in the price's body, which count as instructions already
    /// A look at what an event changes. The clock that counts instructions sees it as an instant,
    /// before or behind the event; a processor is in it when the event comes: see cost_of().
    bool is_look = false;
};
std::span<const PricedCount> priced_counts();

}  // namespace doorbell::harness
